"""Celery's signals: one verb, which captures errors."""

from __future__ import annotations

import celery
from celery.utils.dispatch import Signal

from tests.conformance.rows.row import Dispatcher, Verb

_OLD = {"tells_bound_methods_apart": f"Celery {celery.__version__} looks at the function alone"}
_NOT_AWAITED = "it calls async receivers as plain ones"

ROWS = [
    Dispatcher(
        "celery",
        Signal,
        verbs=[Verb("send", captures=True)],
        without={
            "async_receivers": _NOT_AWAITED,
            "concurrent_receivers": _NOT_AWAITED,
            "forgets_senders": "it compares ids alone",
            "plain_in_a_thread": "nothing is awaited",
            "receiver_decorator": "connect is one itself",
            **(_OLD if celery.VERSION < (5, 7) else {}),
        },
        refused=frozenset({"built-in"}),  # connect reads its signature, and it has none
        logged=r"^Signal handler <function \S+failing at 0x[0-9a-f]+> raised: Broken\('oven'\)$",
    )
]
