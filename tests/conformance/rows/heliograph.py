"""heliograph's own dispatcher."""

from __future__ import annotations

import heliograph
from tests.conformance.rows.row import Dispatcher, Verb, plain_ones_first

ROWS = [
    Dispatcher(
        "heliograph",
        heliograph.Signal,
        verbs=[
            Verb("send"),
            Verb("send_robust", captures=True),
            Verb("asend", awaited=True),
            Verb("asend_robust", captures=True, awaited=True),
        ],
        without={"no_checked_signatures": "it reads signatures when a receiver is connected"},
        arranged=plain_ones_first,
        logged=r"^Error calling \S+failing in Signal\.send_robust\(\) \(oven\)$",
    )
]
