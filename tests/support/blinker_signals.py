"""Signals of blinker's, and receivers for them."""

from __future__ import annotations

from typing import Any

import blinker

from tests.support.observers import Note

__all__ = [
    "METHODS",
    "ORIGINALS",
    "Broken",
    "Kitchen",
    "anonymous",
    "another",
    "async_receiver",
    "calls",
    "kept_here",
    "order_paid",
    "receiver",
]

METHODS = ["send", "send_async"]
ORIGINALS = {name: vars(blinker.Signal)[name] for name in METHODS}

shop = blinker.Namespace()
order_paid = shop.signal("order-paid")
kept_here = blinker.NamedSignal("kept-here")
anonymous = blinker.Signal()


class Kitchen:
    """Holds signals, and a namespace."""

    signals = blinker.Namespace()
    pizza_done = signals.signal("pizza-done")
    oven_hot = blinker.Signal()


class Broken(Exception):
    """Raised by receivers on purpose."""


def receiver(sender: Any, **_: Any) -> str:
    return "heard"


def another(sender: Any, **_: Any) -> str:
    return "heard too"


async def async_receiver(sender: Any, **_: Any) -> str:
    return "heard later"


def calls(note: Note) -> list[tuple[str, str, str | None]]:
    """Return receiver, mode and outcome of each call of one dispatch."""
    return [(call.receiver, call.mode, call.outcome) for call in note.calls]
