"""What a rung of the ladder is: a way to dispatch, perhaps observed, that is measured as one line of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from benchmarks.backend import Backend

__all__ = ["Dispatcher", "Prepared", "Receiver", "Rung", "Send", "Shop", "empty_receivers"]

Receiver = Callable[..., Any]
Send = Callable[[object], Any]

PART = 100  # receivers that are connected to one part of a signal before the parts are joined


class Shop:
    """Who sends in all benchmarks: the class itself, as with Django's own signals."""


def empty_receivers(count: int) -> list[Receiver]:
    """Return *count* different receivers that do nothing."""

    def empty() -> Receiver:
        def receiver(sender: object, **kwargs: object) -> None:
            pass

        return receiver

    return [empty() for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """How one library is used.

    Attributes:
        new: Makes a signal.
        connect: Connects a receiver to it.
        send: Returns what sends it: a function of the sender, the cheapest that the library has.
        join: Makes one signal of many; only where connecting takes quadratic time.
        receivers: Makes so many different receivers.
    """

    new: Callable[[], Any]
    connect: Callable[[Any, Receiver], object]
    send: Callable[[Any], Send]
    join: Callable[[Sequence[Any]], Any] | None = None
    receivers: Callable[[int], list[Receiver]] = empty_receivers

    def connected(self, receivers: Sequence[Receiver]) -> Any:
        """Return a signal to which all *receivers* are connected, in order, one after the other."""
        signal = self.new()
        for receiver in receivers:
            self.connect(signal, receiver)
        return signal

    def ready_to_send(self, receivers: Sequence[Receiver]) -> Send:
        """Return what sends a signal to all *receivers*; how they were connected is not measured here."""
        if self.join is None:
            return self.send(self.connected(receivers))
        return self.send(self.join([self.connected(part) for part in _parts(receivers)]))


def _parts(receivers: Sequence[Receiver]) -> Iterator[Sequence[Receiver]]:
    return (receivers[start : start + PART] for start in range(0, len(receivers), PART))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A rung in the process that measures it, with all that is global set up.

    Attributes:
        dispatcher: What dispatches.
        around: What the sends of one measurement stand in, such as a span that is not sampled.
        traced: Whether each receiver call becomes a span, as does each send.
    """

    dispatcher: Dispatcher
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the ladder.

    Attributes:
        name: What ``--only`` and the goals call it.
        title: What the tables call it.
        prepare: Sets it up. Called once, in a process of its own: it may patch what it likes.
    """

    name: str
    title: str
    prepare: Callable[[Backend], Prepared]
