"""Django's signals, of whatever release is installed."""

from __future__ import annotations

import sys

import django
import django.dispatch

from tests.conformance.rows.row import Dispatcher, Verb, as_connected, plain_ones_first

_AWAITED = [Verb("asend", awaited=True), Verb("asend_robust", captures=True, awaited=True)]
_IN_A_COMPREHENSION = django.VERSION < (5, 0) and sys.version_info < (3, 12)
_HAS_ASYNC = django.VERSION >= (5, 0)
_HAS_WEAK_SENDERS = django.VERSION >= (6, 1)
_NO_ASYNC = f"Django {django.get_version()} calls async receivers as plain ones"

ROWS = [
    Dispatcher(
        "django",
        django.dispatch.Signal,
        verbs=[
            Verb("send", frames=3 if _IN_A_COMPREHENSION else 2),
            Verb("send_robust", captures=True),
            *(_AWAITED if _HAS_ASYNC else ()),
        ],
        without={
            "names_any_receiver": "its send_robust fails for a failing receiver without __qualname__",
            **({} if _HAS_ASYNC else {"async_receivers": _NO_ASYNC, "concurrent_receivers": _NO_ASYNC}),
            **({} if _HAS_WEAK_SENDERS else {"forgets_senders": f"Django {django.get_version()} compares ids alone"}),
        },
        arranged=plain_ones_first if _HAS_ASYNC else as_connected,
        logged=r"^Error calling \S+failing in Signal\.send_robust\(\) \(oven\)$",
        shared_context=django.VERSION >= (6, 1),
    )
]
