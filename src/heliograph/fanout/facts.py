"""What is written down while receivers run: plain records with slots, and no payload.

Times are integers in nanoseconds, on the monotonic clock of :func:`time.perf_counter_ns`; ``started_at`` alone
counts since the epoch. Durations are properties, in seconds.
"""

from __future__ import annotations

import enum
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns, time_ns
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from heliograph.fanout.plain import plain

__all__ = [
    "CAPTURE",
    "PROPAGATE",
    "UNKNOWN_NAME",
    "Audience",
    "Dispatch",
    "Library",
    "Mode",
    "Outcome",
    "Policy",
    "Receiver",
    "ReceiverCall",
    "Site",
]

Receiver: TypeAlias = Callable[..., Any]

UNKNOWN_NAME: Final = "_OTHER"

_NO_FAULTS: Final[Any] = MappingProxyType({})  # what most dispatches have to say of faults


class Outcome(enum.Enum):
    """How a dispatch or a receiver call ended."""

    RETURNED = "returned"
    RAISED = "raised"
    CANCELLED = "cancelled"

    @classmethod
    def of(cls, error: BaseException | None) -> Outcome:
        """Return how something ended that raised *error*, or nothing. To be cancelled or closed is not to fail."""
        if error is None:
            return cls.RETURNED
        return cls.CANCELLED if isinstance(error, (CancelledError, GeneratorExit)) else cls.RAISED


class Mode(enum.Enum):
    """How a dispatch runs a receiver: as a plain call, or as something that is awaited."""

    SYNC = "sync"
    ASYNC = "async"


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of a receiver's error: the exceptions in *captured* turn into responses.

    Attributes:
        name: ``propagate`` or ``capture``.
        captured: Exception classes for an ``except`` clause; empty when errors propagate.
    """

    name: str
    captured: tuple[type[BaseException], ...]


PROPAGATE: Final = Policy("propagate", ())
CAPTURE: Final = Policy("capture", (Exception,))


class Library(Protocol):
    """What a site needs to know of the library that a signal belongs to."""

    @property
    def system(self) -> str:
        """The library's name in telemetry."""
        ...

    @property
    def name_of(self) -> Callable[[Any], str | None]:
        """Finds a signal's dotted name, or None."""
        ...

    @property
    def uid_of(self) -> Callable[[Any, Receiver], str | None]:
        """Finds the ``dispatch_uid`` with which a receiver is connected to a signal, or None."""
        ...


class Audience(NamedTuple):
    """Who hears of a dispatch.

    Attributes:
        observers: All of them; those inside first, for what they leave on the facts is there for the others.
        enter: Lets those inside enter a receiver's context; None when there are none. Never raises.
        leave: Lets them leave it again, with what ``enter`` returned. Never raises.
    """

    observers: tuple[Any, ...]
    enter: Callable[[Dispatch, int], Any] | None
    leave: Callable[[Dispatch, int, Any], None] | None


class Site:
    """One signal as heliograph knows it: its library, its name, and whoever observes it.

    Attributes:
        system: The library the signal belongs to, such as ``django``.
        name: Its dotted path, such as ``django.db.models.signals.post_save``; ``_OTHER`` until it is found.
        named: Whether the name has been found. A signal may be sent while its module is still being
            imported, so an unknown name is looked for again.
        asked: How often it has been looked for in vain.
        audience: Who observes it; None when nobody does.
        gates: If any of them may be asleep: all of them, each with what to ask before a send, or None.
        gate: What to ask if there is but one observer, and it may be asleep; else None.
    """

    __slots__ = ("_library", "_signal", "asked", "audience", "gate", "gates", "name", "named", "system")

    def __init__(self, library: Library, signal: Callable[[], Any]) -> None:
        self._library = library
        self._signal = signal
        self.system: str = library.system
        self.name: str = UNKNOWN_NAME
        self.named: bool = False
        self.asked: int = 0
        self.audience: Audience | None = None
        self.gates: tuple[tuple[Any, Callable[[], bool] | None], ...] = ()
        self.gate: Callable[[], bool] | None = None
        self.find_name()

    def find_name(self) -> bool:
        """Look for the name; return whether it is known now."""
        try:
            name = self._library.name_of(self._signal())
        except Exception:  # modules hold all kinds of things, and a name is never worth an error
            return False
        if name is not None:
            self.name, self.named = plain(name), True
        return self.named

    def dispatch_uid(self, receiver: Receiver) -> str | None:
        """Return the ``dispatch_uid`` with which *receiver* is connected, or None."""
        signal = self._signal()
        return None if signal is None else self._library.uid_of(signal, receiver)


class Dispatch:
    """One send, from start to end.

    While receivers run, only times and faults are noted, in lists addressed by the receiver's position: the
    hot path makes no object per receiver. A :class:`ReceiverCall` is a view of them, made for whoever asks.

    Attributes:
        site: The signal that was sent.
        sender: Who sent it.
        operation: The library's own verb: ``send``, ``asend_robust`` and the like.
        policy: What becomes of receivers' errors.
        receivers: All live receivers, in the order in which they are due, async ones after plain ones; None when
            the library's internals are unknown and only the dispatch itself can be observed.
        first_async: The position of the first async receiver.
        argument_names: The names of the keyword arguments sent, never their values.
        outer: The receiver call from within which this was sent, if any.
        depth: How many dispatches enclose this one.
        started_at: When it started, since the epoch.
        began: When it started.
        ended: When the send returned or raised; None while it runs.
        outcome: How it ended; None while it runs.
        error: What it raised. Observers may read it while they are told; it is dropped afterwards, because an
            exception keeps alive every frame it passed through.
        begans: When each receiver was called, by position; None for one that was not.
        endeds: When each receiver returned or raised, by position; None for one that has not.
        faults: How those receivers ended that did not return, by position.
        errors: What they raised, by position; dropped like ``error``.
        running: The position of the plain receiver that runs now.
        inside: What the observer that stands inside the receivers' contexts keeps about this dispatch.
    """

    __slots__ = (
        "__weakref__",
        "argument_names",
        "began",
        "begans",
        "depth",
        "ended",
        "endeds",
        "error",
        "errors",
        "faults",
        "first_async",
        "inside",
        "operation",
        "outcome",
        "outer",
        "policy",
        "receivers",
        "running",
        "sender",
        "site",
        "started_at",
    )

    def __init__(
        self,
        site: Site,
        sender: object,
        operation: str,
        policy: Policy,
        receivers: Sequence[Receiver] | None,
        first_async: int,
        argument_names: Iterable[str],
        outer: ReceiverCall | None,
    ) -> None:
        self.site: Site = site
        self.sender: object = sender
        self.operation: str = operation
        self.policy: Policy = policy
        self.receivers: Sequence[Receiver] | None = receivers
        self.first_async: int = first_async
        self.argument_names: tuple[str, ...] = tuple(argument_names) if argument_names else ()
        self.outer: ReceiverCall | None = outer
        self.depth: int = 0 if outer is None else outer.dispatch.depth + 1
        self.begans: list[int | None] = [None] * len(receivers) if receivers else []
        self.endeds: list[int | None] = self.begans.copy()
        self.faults: dict[int, Outcome] = _NO_FAULTS
        self.errors: dict[int, BaseException] = _NO_FAULTS
        self.error: BaseException | None = None
        self.running: int = 0
        self.inside: Any = None
        self.ended: int | None = None
        self.outcome: Outcome | None = None
        self.started_at: int = time_ns()
        self.began: int = perf_counter_ns()

    @property
    def calls(self) -> list[ReceiverCall]:
        """The calls of receivers that have begun, in the order in which they were due."""
        return [ReceiverCall(self, position) for position, began in enumerate(self.begans) if began is not None]

    @property
    def duration(self) -> float:
        """Seconds from the start of the send to its end; 0 while it runs."""
        return 0.0 if self.ended is None else (self.ended - self.began) / 1e9

    @property
    def failed(self) -> bool:
        """Whether the send itself raised; a captured error of a receiver does not count."""
        return self.outcome is Outcome.RAISED

    @property
    def failed_count(self) -> int:
        """How many receivers raised."""
        return sum(fault is Outcome.RAISED for fault in self.faults.values())

    @property
    def skipped(self) -> list[Receiver]:
        """The receivers that never ran because an earlier one raised, in the order in which they were due."""
        if not self.failed or self.receivers is None:
            return []
        return [receiver for receiver, began in zip(self.receivers, self.begans, strict=True) if began is None]

    @property
    def settled(self) -> bool:
        """Whether it has ended and so have all async calls that it began; plain ones do not outlive whoever runs them."""
        begans, endeds = self.begans, self.endeds
        concurrent = range(self.first_async, len(begans))
        return self.ended is not None and all(begans[at] is None or endeds[at] is not None for at in concurrent)

    def at(self, moment: int) -> int:
        """Return *moment*, a reading of the monotonic clock, in nanoseconds since the epoch."""
        return self.started_at + moment - self.began

    def fault(self, position: int, error: BaseException) -> None:
        """Note that the receiver at *position* raised *error*."""
        if self.faults is _NO_FAULTS:
            self.faults, self.errors = {}, {}
        self.faults[position] = Outcome.of(error)
        self.errors[position] = error

    def drop_errors(self) -> None:
        """Let go of all exceptions."""
        self.error = None
        self.errors = _NO_FAULTS


class ReceiverCall:
    """One receiver run by one dispatch: a view of what the dispatch has noted about it.

    Args:
        dispatch: The dispatch that called it.
        position: The receiver's place among the dispatch's receivers.
    """

    __slots__ = ("dispatch", "position")

    def __init__(self, dispatch: Dispatch, position: int) -> None:
        self.dispatch: Dispatch = dispatch
        self.position: int = position

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ReceiverCall):
            return NotImplemented
        return self.dispatch is other.dispatch and self.position == other.position

    def __hash__(self) -> int:
        return hash((id(self.dispatch), self.position))

    @property
    def receiver(self) -> Receiver:
        """The connected callable itself."""
        return (self.dispatch.receivers or ())[self.position]

    @property
    def mode(self) -> Mode:
        """Whether it ran as a plain call or as a coroutine."""
        return Mode.SYNC if self.position < self.dispatch.first_async else Mode.ASYNC

    @property
    def began(self) -> int:
        """When it was called; an async receiver begins with its first step."""
        return self.dispatch.begans[self.position] or 0

    @property
    def ended(self) -> int | None:
        """When it returned or raised; None while it runs."""
        return self.dispatch.endeds[self.position]

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it runs."""
        return None if self.ended is None else self.dispatch.faults.get(self.position, Outcome.RETURNED)

    @property
    def error(self) -> BaseException | None:
        """What it raised, while observers are told."""
        return self.dispatch.errors.get(self.position)

    @property
    def duration(self) -> float:
        """Seconds from the call to its end, waiting included; 0 while it runs."""
        ended = self.ended
        return 0.0 if ended is None else (ended - self.began) / 1e9

    @property
    def failed(self) -> bool:
        """Whether it raised; a cancelled call has not failed."""
        return self.dispatch.faults.get(self.position) is Outcome.RAISED
