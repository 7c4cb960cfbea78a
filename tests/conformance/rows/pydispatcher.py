"""PyDispatcher's signals, which are any objects; and the same sent by Scrapy's functions, where Scrapy is installed."""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any

from pydispatch import dispatcher, errors, robust

from tests.conformance.rows.row import Dispatcher, Verb


class Signal:
    """An object to be sent, with the suite's words for connecting to it."""

    def connect(self, receiver: Any, sender: Any = dispatcher.Any, *, weak: bool = True) -> None:
        dispatcher.connect(receiver, self, sender, weak)

    def disconnect(self, receiver: Any, sender: Any = dispatcher.Any) -> None:
        for weak in (True, False):  # as it was connected, which PyDispatcher wants to be told
            with suppress(errors.DispatcherKeyError):
                dispatcher.disconnect(receiver, self, sender, weak)


WITHOUT = {
    "any_payload": "what calls receivers has an argument named receiver itself",
    "assignable_receivers": "its receivers are in one table for all signals",
    "async_receivers": "it calls async receivers as plain ones",
    "concurrent_receivers": "it calls async receivers as plain ones",
    "dispatch_uid": "there are none",
    "forgets_senders": "it compares ids alone",
    "has_listeners": "it has getAllReceivers instead",
    "late_connections": "a receiver connected during a send is called in it",
    "live_receivers": "it has liveReceivers instead, a function",
    "logs_captured": "it does not log",
    "plain_in_a_thread": "nothing is awaited",
    "receiver_decorator": "there is none",
    "refuses_senders": "the sender may be left out",
    "settled_receivers": "receivers are looked up as the send goes on",
    "signal_argument": "a payload with a signal never gets so far: send has an argument of that name itself",
    "subclasses": "send is a function",
    "tells_disconnection": "disconnect returns nothing",
    "thread_safe": "it looks receivers up in lists that change meanwhile",
    "use_caching": "there is no cache",
}
REFUSED = frozenset(
    {"built-in", "cached function", "class", "not hashable", "partial", "partial of a partial", "partialmethod"}
)
ROWS = [
    Dispatcher(
        "pydispatcher",
        Signal,
        verbs=[
            Verb("send", frames=3, of=lambda signal: partial(dispatcher.send, signal)),
            Verb("sendRobust", captures=True, frames=3, of=lambda signal: partial(robust.sendRobust, signal)),
        ],
        without=WITHOUT,
        refused=REFUSED,
    )
]
if find_spec("scrapy") is not None:
    scrapy_signal = importlib.import_module("scrapy.utils.signal")
    ROWS.append(
        Dispatcher(
            "pydispatcher",
            Signal,
            verbs=[
                Verb(
                    "send_catch_log",
                    captures=True,
                    frames=3,
                    of=lambda signal: partial(scrapy_signal.send_catch_log, signal),
                ),
                Verb(
                    "send_catch_log_async",
                    captures=True,
                    awaited=True,
                    of=lambda signal: partial(scrapy_signal.send_catch_log_async, signal),
                ),
            ],
            without={
                name: why for name, why in WITHOUT.items() if name not in {"concurrent_receivers", "logs_captured"}
            },
            variant="by Scrapy",
            response_of=lambda response: getattr(response, "value", response),
            refused=REFUSED,
            logged=r"^Error caught on signal handler: <function \S+failing at 0x[0-9a-f]+>$",
        )
    )
