"""The one recorder: fills a dispatch with its receiver calls and tells whoever observes the signal."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterable, Sequence
from contextvars import ContextVar, Token
from time import perf_counter_ns, time_ns
from typing import Any

from heliograph.fanout import observer
from heliograph.fanout.facts import Audience, Dispatch, Mode, Outcome, Policy, Receiver, ReceiverCall, Site

__all__ = ["UNRECORDED", "Recorder", "Unrecorded", "current_call"]

current_call: ContextVar[ReceiverCall | None] = ContextVar("heliograph_current_call", default=None)

Entered = tuple[Token[ReceiverCall | None], list[object]]


class Recorder:
    """Records one dispatch. Observers that come or go while it runs change nothing for it."""

    __slots__ = ("_inside", "_observers", "_open", "_undelivered", "dispatch")

    def __init__(
        self,
        watched: tuple[Site, Audience],
        sender: object,
        operation: str,
        policy: Policy,
        receivers: Sequence[Receiver] | None,
        argument_names: Iterable[str],
    ) -> None:
        site, (self._observers, self._inside) = watched
        self._open = 0
        self._undelivered = [True]
        self.dispatch = Dispatch(site, sender, operation, policy, receivers, argument_names, _enclosing_call())
        self.dispatch.started_at = time_ns()
        self.dispatch.began = perf_counter_ns()

    def open(self) -> None:
        """Note that more calls may begin even if the dispatch ends, until :meth:`close`."""
        self._open += 1

    def close(self) -> None:
        """Note that none will."""
        self._open -= 1
        if self.dispatch.ended is not None:
            self._deliver()

    def begin(self, receiver: Receiver, mode: Mode) -> ReceiverCall:
        """Note that *receiver* begins now."""
        call = ReceiverCall(self.dispatch, receiver, mode, perf_counter_ns())
        self.dispatch.calls.append(call)
        return call

    def enter(self, call: ReceiverCall) -> Entered:
        """Stand inside the receiver's context, until :meth:`leave`."""
        marks = observer.enter(self._inside, call) if self._inside else []
        return current_call.set(call), marks

    def end(self, call: ReceiverCall, error: BaseException | None = None) -> None:
        """Note that the receiver ends now, with *error* if it raised."""
        _end(call, error)

    def leave(self, call: ReceiverCall, entered: Entered) -> None:
        """Leave the receiver's context, at its end or at a step of an async one."""
        token, marks = entered
        current_call.reset(token)
        if marks:
            observer.leave(self._inside, call, marks)
        if call.ended is not None and self.dispatch.ended is not None:
            self._deliver()  # it outlived its dispatch, as async receivers may when a sibling raises

    def finish(self, error: BaseException | None = None) -> None:
        """Note that the dispatch ends now, with *error* if it raised."""
        _end(self.dispatch, error)
        self._deliver()

    def _deliver(self) -> None:
        if self._open or any(call.ended is None for call in self.dispatch.calls):
            return
        try:
            # Calls end on several threads under asend; pop is atomic, so exactly one of them delivers.
            self._undelivered.pop()
        except IndexError:
            return
        observer.finish(self._observers, self.dispatch)
        _drop_errors(self.dispatch)


class Unrecorded:
    """Takes the place of a recorder where nobody observes."""

    __slots__ = ()

    def open(self) -> None:
        """Note nothing."""

    def close(self) -> None:
        """Note nothing."""

    def begin(self, receiver: Receiver, mode: Mode) -> Any:
        """Note nothing."""

    def enter(self, call: Any) -> Any:
        """Note nothing."""

    def leave(self, call: Any, entered: Any) -> None:
        """Note nothing."""

    def end(self, call: Any, error: BaseException | None = None) -> None:
        """Note nothing."""


UNRECORDED = Unrecorded()


def _end(fact: Dispatch | ReceiverCall, error: BaseException | None) -> None:
    fact.ended = perf_counter_ns()
    if error is None:
        fact.outcome = Outcome.RETURNED
        return
    # To be cancelled or closed is not to fail.
    fact.outcome = Outcome.CANCELLED if isinstance(error, (CancelledError, GeneratorExit)) else Outcome.RAISED
    fact.error = error


def _drop_errors(dispatch: Dispatch) -> None:
    dispatch.error = None
    for call in dispatch.calls:
        call.error = None


def _enclosing_call() -> ReceiverCall | None:
    # A task that a receiver started inherits the context and may outlive the receiver: nothing encloses it then.
    call = current_call.get()
    return call if call is not None and call.ended is None else None
