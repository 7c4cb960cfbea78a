"""What is written down while receivers run: plain records with slots, and no payload.

Times are integers in nanoseconds: ``began`` and ``ended`` on the monotonic clock of
:func:`time.perf_counter_ns`, ``started_at`` since the epoch. Durations are properties, in seconds.
"""

from __future__ import annotations

import enum
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

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


class Outcome(enum.Enum):
    """How a dispatch or a receiver call ended."""

    RETURNED = "returned"
    RAISED = "raised"
    CANCELLED = "cancelled"


class Mode(enum.Enum):
    """Whether a receiver is a plain callable or a coroutine function."""

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
        inside: Those that also stand inside each receiver's context.
    """

    observers: tuple[Any, ...]
    inside: tuple[Any, ...]


class Site:
    """One signal as heliograph knows it: its library, its name, and whoever observes it.

    Attributes:
        system: The library the signal belongs to, such as ``django``.
        name: Its dotted path, such as ``django.db.models.signals.post_save``; ``_OTHER`` until it is found.
        named: Whether the name has been found. A signal may be sent while its module is still being
            imported, so an unknown name is looked for again.
        audience: Who observes it; None when nobody does.
        gates: If any of them may be asleep: all of them, each with what to ask before a send, or None.
    """

    __slots__ = ("_library", "_signal", "audience", "gates", "name", "named", "system")

    def __init__(self, library: Library, signal: Callable[[], Any]) -> None:
        self._library = library
        self._signal = signal
        self.system: str = library.system
        self.name: str = UNKNOWN_NAME
        self.named: bool = False
        self.audience: Audience | None = None
        self.gates: tuple[tuple[Any, Callable[[], bool] | None], ...] = ()
        self.find_name()

    def find_name(self) -> bool:
        """Look for the name; return whether it is known now."""
        try:
            name = self._library.name_of(self._signal())
        except Exception:  # modules hold all kinds of things, and a name is never worth an error
            return False
        if name is not None:
            self.name, self.named = name, True
        return self.named

    def dispatch_uid(self, receiver: Receiver) -> str | None:
        """Return the ``dispatch_uid`` with which *receiver* is connected, or None."""
        signal = self._signal()
        return None if signal is None else self._library.uid_of(signal, receiver)


class ReceiverCall:
    """One receiver run by one dispatch.

    Attributes:
        receiver: The connected callable itself.
        mode: Whether it ran as a plain call or as a coroutine.
        began: When it was called; an async receiver begins with its first step.
        ended: When it returned or raised; None while it runs.
        outcome: How it ended; None while it runs.
        error: What it raised. Observers may read it while they are told; it is dropped
            afterwards, because an exception keeps alive every frame it passed through.
        span: A handle left by the observer that stands inside the call, for those told later.
    """

    __slots__ = ("_dispatch", "began", "ended", "error", "mode", "outcome", "receiver", "span")

    def __init__(self, dispatch: Dispatch, receiver: Receiver, mode: Mode, began: int) -> None:
        self._dispatch = dispatch.reference
        self.receiver: Receiver = receiver
        self.mode: Mode = mode
        self.began: int = began
        self.ended: int | None = None
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.span: Any = None

    @property
    def dispatch(self) -> Dispatch:
        """The dispatch that called it, for as long as anything holds that.

        Raises:
            ReferenceError: If nothing does any more: keep the dispatch, not its calls.
        """
        dispatch = self._dispatch()
        if dispatch is None:
            raise ReferenceError("the dispatch of this call is gone; keep the dispatch, which keeps its calls")
        return dispatch

    @property
    def duration(self) -> float:
        """Seconds from the call to its end, waiting included; 0 while it runs."""
        return 0.0 if self.ended is None else (self.ended - self.began) / 1e9

    @property
    def failed(self) -> bool:
        """Whether it raised; a cancelled call has not failed."""
        return self.outcome is Outcome.RAISED


class Dispatch:
    """One send, from start to end.

    Attributes:
        site: The signal that was sent.
        sender: Who sent it.
        operation: The library's own verb: ``send``, ``asend_robust`` and the like.
        policy: What becomes of receivers' errors.
        argument_names: The names of the keyword arguments sent, never their values.
        receivers: All live receivers, in the order in which they are due; None when the library's
            internals are unknown and only the dispatch itself can be observed.
        calls: The calls made so far, in the order in which they began.
        outer: The receiver call from within which this was sent, if any.
        depth: How many dispatches enclose this one.
        started_at: When it started, since the epoch.
        began, ended, outcome, error, span: As for :class:`ReceiverCall`.
        reference: A weak reference to the dispatch.
    """

    # A call refers to its dispatch weakly: in a cycle, receivers would outlive the send until the garbage
    # collector comes, and one that was to die right after it would be called again by the next.
    __slots__ = (
        "__weakref__",
        "_outer_dispatch",
        "argument_names",
        "began",
        "calls",
        "depth",
        "ended",
        "error",
        "operation",
        "outcome",
        "outer",
        "policy",
        "receivers",
        "reference",
        "sender",
        "site",
        "span",
        "started_at",
    )

    def __init__(
        self,
        site: Site,
        sender: object,
        operation: str,
        policy: Policy,
        receivers: Sequence[Receiver] | None,
        argument_names: Iterable[str],
        outer: ReceiverCall | None,
    ) -> None:
        self.site: Site = site
        self.sender: object = sender
        self.operation: str = operation
        self.policy: Policy = policy
        self.receivers: Sequence[Receiver] | None = receivers
        self.argument_names: tuple[str, ...] = tuple(argument_names)
        self.calls: list[ReceiverCall] = []
        self.reference: weakref.ref[Dispatch] = weakref.ref(self)
        self.outer: ReceiverCall | None = outer
        self._outer_dispatch = None if outer is None else outer.dispatch
        self.depth: int = 0 if self._outer_dispatch is None else self._outer_dispatch.depth + 1
        self.ended: int | None = None
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.span: Any = None
        self.started_at: int = 0
        self.began: int = 0

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
        return sum(call.failed for call in self.calls)

    @property
    def skipped(self) -> list[Receiver]:
        """The receivers that never ran because an earlier one raised, in the order in which they were due."""
        if not self.failed or self.receivers is None or len(self.calls) == len(self.receivers):
            return []
        called = Counter(id(call.receiver) for call in self.calls)
        skipped = []
        for receiver in self.receivers:
            if called[id(receiver)] > 0:  # the same receiver may be connected twice
                called[id(receiver)] -= 1
            else:
                skipped.append(receiver)
        return skipped

    def at(self, moment: int) -> int:
        """Return *moment*, a reading of the monotonic clock, in nanoseconds since the epoch."""
        return self.started_at + moment - self.began
