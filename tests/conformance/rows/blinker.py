"""blinker's signals: as they are, with receivers in no promised order, and with a set that keeps one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import blinker
from asgiref.sync import async_to_sync

from tests.conformance.rows.row import Dispatcher, Pairs, Verb


class InOrder:
    """A set in the order of adding, as blinker's documentation suggests for receivers that are to be called in order."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __or__(self, other: InOrder) -> InOrder:
        return InOrder([*self, *other])

    def add(self, item: Any) -> None:
        self._items[item] = None

    def discard(self, item: Any) -> None:
        self._items.pop(item, None)

    def copy(self) -> InOrder:
        return InOrder(self)


class OrderedSignal(blinker.Signal):  # type: ignore[misc]  # its types are not looked at
    """A signal that calls its receivers in the order of connecting."""

    set_class: Any = InOrder


class AnyOrder(list[tuple[Any, Any]]):
    """Equal to a list of the same pairs in whatever order."""

    def __eq__(self, other: object) -> bool:
        rest = list(other) if isinstance(other, list) else None
        if rest is None or len(rest) != len(self):
            return False
        for pair in self:
            if pair not in rest:
                return False
            rest.remove(pair)
        return True

    __hash__ = None


def in_any_order(pairs: Pairs, is_async: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
    """Return *pairs*, to be compared with a result in whatever order."""
    return AnyOrder(pairs)


def by_position(signal: Any, sender: Any, payload: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return how a receiver is called: with the sender by position, and without the signal."""
    return (sender,), payload


def at_once(receiver: Callable[..., Any]) -> Callable[..., Any]:
    """Make an async function of a plain receiver, for ``send_async``."""

    async def run(*arguments: Any, **named: Any) -> Any:
        return receiver(*arguments, **named)

    return run


VERBS = [
    Verb("send", of=lambda signal: partial(signal.send, _async_wrapper=async_to_sync)),
    Verb("send_async", awaited=True, of=lambda signal: partial(signal.send_async, _sync_wrapper=at_once)),
]
WITHOUT = {
    "assignable_receivers": "its receivers are a dictionary",
    "concurrent_receivers": "async receivers are awaited one after another",
    "dispatch_uid": "there are none",
    "has_listeners": "it has has_receivers_for instead",
    "live_receivers": "it has receivers_for instead",
    "logs_captured": "no error is captured",
    "names_any_receiver": "no error is captured",
    "plain_in_a_thread": "where they run is up to the wrapper that the sender passes",
    "receiver_decorator": "it has connect_via instead",
    "refuses_senders": "the sender may be left out, and is given by position alone",
    "settled_receivers": "receivers are looked up as the send goes on",
    "signal_argument": "receivers get the sender alone",
    "tells_disconnection": "disconnect returns nothing",
    "use_caching": "there is no cache",
}
ROWS = [
    Dispatcher(
        "blinker",
        blinker.Signal,
        verbs=VERBS,
        without={**WITHOUT, "order": "it promises none"},
        calls=by_position,
        arranged=in_any_order,
    ),
    Dispatcher("blinker", OrderedSignal, verbs=VERBS, without=WITHOUT, variant="in order", calls=by_position),
]
