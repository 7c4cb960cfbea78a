"""The one recorder: fills a dispatch with what its receivers do and tells whoever observes the signal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar, Token
from time import perf_counter_ns
from typing import Any

from heliograph.fanout.facts import Audience, Dispatch, Outcome, Policy, Receiver, ReceiverCall, Site
from heliograph.fanout.observer import Observer, tell

__all__ = ["UNRECORDED", "Recorder", "Unrecorded", "enclosing_call", "finish", "running"]

running: ContextVar[Dispatch | ReceiverCall | None] = ContextVar("heliograph_running", default=None)
"""What runs in this context: a dispatch (its ``running`` says which receiver), or one call that may run beside others."""

Live = tuple[Sequence[Receiver], Sequence[Receiver]]
Entered = tuple[Token[Dispatch | ReceiverCall | None], Any]

_RETURNED = Outcome.RETURNED  # looked up once: a member of an enumeration takes longer than a global


def finish(observers: tuple[Observer, ...], dispatch: Dispatch, error: BaseException | None = None) -> None:
    """Note that *dispatch*, all of whose calls have ended, ends now, with *error* if it raised; tell *observers*."""
    dispatch.ended = perf_counter_ns()
    dispatch.outcome = _RETURNED if error is None else Outcome.of(error)
    dispatch.error = error
    tell(observers, dispatch)
    if error is not None or dispatch.errors:
        dispatch.drop_errors()


class Recorder:
    """Records one dispatch whose calls may run beside each other, and may outlive it.

    Observers that come or go while it runs change nothing for it.
    """

    __slots__ = ("_observers", "_open", "_undelivered", "dispatch", "enter_context", "leave_context")

    def __init__(
        self,
        watched: tuple[Site, Audience],
        sender: object,
        operation: str,
        policy: Policy,
        receivers: Live | None,
        argument_names: Iterable[str],
    ) -> None:
        site, audience = watched
        plain, concurrent = receivers or ((), ())
        due = None if receivers is None else (*plain, *concurrent)
        outer = enclosing_call()
        self.go_on(Dispatch(site, sender, operation, policy, due, len(plain), argument_names, outer), audience)

    @classmethod
    def of(cls, dispatch: Dispatch, audience: Audience) -> Recorder:
        """Return a recorder of a dispatch that has begun already."""
        made = cls.__new__(cls)
        made.go_on(dispatch, audience)
        return made

    def go_on(self, dispatch: Dispatch, audience: Audience) -> None:
        """Record what comes of *dispatch*, for *audience*."""
        self._observers, self.enter_context, self.leave_context = audience
        self._open = False
        self._undelivered = [True]
        self.dispatch = dispatch

    def open(self) -> list[bool]:
        """Note that more calls may begin even if the dispatch ends, until :meth:`close`; return a token to take."""
        self._open = True
        return [True]

    def close(self) -> None:
        """Note that none will."""
        self._open = False
        if self.dispatch.ended is not None:
            self._deliver()

    def begin(self, position: int) -> None:
        """Note that the receiver at *position* is called now."""
        self.dispatch.begans[position] = perf_counter_ns()

    def end(self, position: int, error: BaseException | None = None) -> None:
        """Note that it ends now, with *error* if it raised."""
        self.dispatch.endeds[position] = perf_counter_ns()
        if error is not None:
            self.dispatch.fault(position, error)

    def enter(self, position: int) -> Entered:
        """Stand inside the context of a receiver that may run beside others, until :meth:`leave`."""
        dispatch = self.dispatch
        if position < dispatch.first_async:  # plain ones run one after the other, though maybe on a thread of their own
            dispatch.running = position
        entered = None if self.enter_context is None else self.enter_context(dispatch, position)
        return running.set(ReceiverCall(dispatch, position)), entered

    def leave(self, position: int, entered: Entered) -> None:
        """Leave it, at the receiver's end or at a step of an async one."""
        token, inside = entered
        running.reset(token)
        if self.leave_context is not None:
            self.leave_context(self.dispatch, position, inside)
        if self.dispatch.ended is not None:
            self._deliver()  # it outlived its dispatch, as async receivers may when a sibling raises

    def finish(self, error: BaseException | None = None) -> None:
        """Note that the dispatch ends now, with *error* if it raised."""
        dispatch = self.dispatch
        dispatch.ended = perf_counter_ns()
        dispatch.outcome = Outcome.of(error)
        dispatch.error = error
        self._deliver()

    def _deliver(self) -> None:
        dispatch = self.dispatch
        if self._open or (dispatch.first_async < len(dispatch.begans) and not dispatch.settled):
            return
        try:
            # Calls end on several threads under asend; pop is atomic, so exactly one of them delivers.
            self._undelivered.pop()
        except IndexError:
            return
        tell(self._observers, dispatch)
        dispatch.drop_errors()


class Unrecorded:
    """Takes the place of a recorder where nobody observes."""

    __slots__ = ()

    def open(self) -> list[bool]:
        """Note nothing."""
        return [True]

    def close(self) -> None:
        """Note nothing."""

    def begin(self, position: int) -> None:
        """Note nothing."""

    def end(self, position: int, error: BaseException | None = None) -> None:
        """Note nothing."""

    def enter(self, position: int) -> Any:
        """Note nothing."""

    def leave(self, position: int, entered: Any) -> None:
        """Note nothing."""


UNRECORDED = Unrecorded()


def enclosing_call() -> ReceiverCall | None:
    """Return the receiver call that runs in this context, if any.

    A task that a receiver started inherits the context and may outlive the receiver: nothing encloses it then.
    """
    found = running.get()
    if found is None:
        return None
    call = found if isinstance(found, ReceiverCall) else ReceiverCall(found, found.running)
    return call if call.dispatch.ended is None and call.began and call.ended is None else None
