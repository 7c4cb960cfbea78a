"""Scrapy's signals, which are PyDispatcher's, sent by functions of its own: part of the adapter for PyDispatcher.

===========================  ============================================================================
``send_catch_log``           one receiver after the other; errors are logged and become responses
``send_catch_log_deferred``  calls all, then waits for those that returned a Deferred or a coroutine
``send_catch_log_async``     on asyncio, from 2.14 on: each receiver in a task of its own; else as above
===========================  ============================================================================

``SignalManager`` looks them up in their module, and others have imported them by name. They stay what they are.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from types import CodeType, FrameType, ModuleType
from typing import Any

from heliograph.adapters.adapter import Undo, replace
from heliograph.adapters.pydispatcher_calls import Fanout, Operation, Receivers, Signals, calling, signal_and_sender
from heliograph.fanout.facts import CAPTURE, Receiver
from heliograph.fanout.record import Entered
from heliograph.fanout.run import _Observed

__all__ = ["MODULE", "SIGNALS", "is_known", "operation_of", "patch", "senders"]

MODULE = "scrapy.utils.signal"
SIGNALS = "scrapy.signals"
GATHERING = "_send_catch_log_asyncio"
_TWISTED = "twisted.internet.defer"
_LOOKED_UP = {"getAllReceivers", "liveReceivers", "robustApply"}


class Awaiting(Fanout):
    """One dispatch that waits for what its receivers returned: all of them may run beside each other."""

    overlapping = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._running = 0

    def take(self, receiver: Receiver) -> int | None:
        position = super().take(receiver)
        self._running += position is not None
        return position

    def returned(self, position: int, response: Any) -> Any:
        if isinstance(response, sys.modules[_TWISTED].Deferred):
            response.addBoth(self._fired, position)
        elif isinstance(response, Coroutine):
            return _Steps(self, position, response)
        elif asyncio.isfuture(response):
            response.add_done_callback(functools.partial(self._done, position))
        else:
            self.end(position)
        return response

    def raised(self, position: int, error: BaseException) -> None:
        self.end(position, error)

    def end(self, position: int, error: BaseException | None = None) -> None:
        self._running -= 1
        is_cancelled = isinstance(error, sys.modules[_TWISTED].CancelledError)
        super().end(position, asyncio.CancelledError() if is_cancelled else error)

    def leave(self, position: int, entered: Entered) -> None:
        self.record.leave(position, entered)
        self.settle()

    def settle(self) -> None:
        if not self._running:
            super().settle()

    def _fired(self, result: Any, position: int) -> Any:
        self.end(position, getattr(result, "value", None) if _is_failure(result) else None)
        self.settle()
        return result

    def _done(self, position: int, future: asyncio.Future[Any]) -> None:
        self.end(position, asyncio.CancelledError() if future.cancelled() else future.exception())
        self.settle()


class Gathering(Awaiting):
    """One dispatch that finds all receivers, then runs each in a task, and is told when all have ended."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.is_open = True
        self._due: dict[int, list[int]] = {}

    def live(self, original: Callable[[Receivers], Iterator[Receiver]]) -> Iterator[Receiver]:
        for receiver in original(self._source):
            self._due.setdefault(id(receiver), []).append(self._add(receiver))
            yield receiver

    def take(self, receiver: Receiver) -> int | None:
        due = self._due.get(id(receiver))
        if not due:
            return None
        calling.set(None)  # the task's own context, which may be passed on to tasks that outlive all this
        self._running += 1
        return due.pop(0)

    def settle(self) -> None:
        if self.record.dispatch.ended is not None:  # cancelled, and what a receiver waits for has ended only now
            self.record.close()


class _Steps(_Observed):
    """A coroutine that a receiver has returned. The receiver began when it was called."""

    __slots__ = ("_fanout",)

    def __init__(self, fanout: Awaiting, position: int, awaitable: Awaitable[Any]) -> None:
        super().__init__(fanout.record, position, awaitable)
        self._fanout = fanout
        self._begun = True

    def _step(self, resume: Callable[..., Any], *value: Any) -> Any:
        try:
            return super()._step(resume, *value)
        finally:
            if self._ended:
                self._fanout.settle()

    def _end(self, error: BaseException | None) -> None:
        self._ended = True
        self._fanout.end(self._position, error)


LOOPS = {
    "send_catch_log": Operation("send_catch_log", CAPTURE),
    "send_catch_log_deferred": Operation("send_catch_log_deferred", CAPTURE, Awaiting),
    "_send_catch_log_deferred": Operation("send_catch_log_deferred", CAPTURE, Awaiting),
}
_ASYNC = Operation("send_catch_log_async", CAPTURE, Awaiting)
_GATHERED = Operation("send_catch_log_async", CAPTURE, Gathering)


def operation_of(frame: FrameType) -> Operation | None:
    """Return which of Scrapy's functions that send *frame* belongs to, if any."""
    operation = LOOPS.get(frame.f_code.co_qualname)
    if operation is None or operation.fanout is Fanout:
        return operation
    return _ASYNC if _is_for_async(frame.f_back) else operation


def _is_for_async(frame: FrameType | None) -> bool:
    """Tell whether ``send_catch_log_async`` has led to *frame*, with nothing but Twisted's own functions in between."""
    while frame is not None and frame.f_globals.get("__name__") == _TWISTED:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_qualname == _ASYNC.name and frame.f_globals.get("__name__") == MODULE


def senders(module: ModuleType) -> dict[str, Operation]:
    """Return the functions in *module* that send, by name: of each kind the innermost."""
    kinds = (
        {"send_catch_log": LOOPS["send_catch_log"]},
        {name: LOOPS[name] for name in ("_send_catch_log_deferred", "send_catch_log_deferred")},
        {GATHERING: _GATHERED, _GATHERED.name: _ASYNC},  # from 2.14 on
    )
    present = [[(name, one) for name, one in kind.items() if name in vars(module)] for kind in kinds]
    return dict(found[0] for found in present if found)


def is_known(module: ModuleType) -> bool:
    """Tell whether the functions that send in *module* look up what they need as all releases known so far do."""
    found = senders(module)
    loops = all(_names_in(vars(module)[name]) >= _LOOKED_UP for name in found)
    return loops and len(found) >= 2 and vars(module).keys() >= _LOOKED_UP


def _names_in(function: Any) -> set[str]:
    return _names_in_code(getattr(inspect.unwrap(function), "__code__", None)) if callable(function) else set()


def _names_in_code(code: CodeType | None) -> set[str]:
    if code is None:
        return set()
    inner = [_names_in_code(one) for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*inner)


def patch(module: ModuleType, signals: Signals) -> list[Undo]:
    """Make the functions in *module* say what cannot be seen from within their loops; return what undoes it."""
    gather = vars(module).get(GATHERING)
    if gather is None:  # before 2.14
        return []
    return [replace(module, GATHERING, functools.update_wrapper(_make_gather(gather, signals), gather))]


def _make_gather(original: Callable[..., Awaitable[Any]], signals: Signals) -> Callable[..., Awaitable[Any]]:
    # The tasks that it gathers have stacks of their own, so no receiver sees the frame that this adds.
    async def gather(*arguments: Any, **named: Any) -> Any:
        signal, sender = signal_and_sender(signals, arguments, named)
        watched = signals.watched(signal)
        if watched is None:
            return await original(*arguments, **named)
        payload = [name for name in named if name not in {"signal", "sender", "dont_log"}]
        fanout = signals.begin(_GATHERED, watched, sender, {"named": payload, "dont_log": named.get("dont_log")})
        token = calling.set(fanout)
        try:
            responses = await original(*arguments, **named)
        except BaseException as error:
            fanout.record.finish(error)
            raise
        finally:
            with suppress(ValueError):  # a coroutine may be closed in another context than it began in
                calling.reset(token)
        fanout.record.finish()
        return responses

    return gather


def _is_failure(result: Any) -> bool:
    return isinstance(result, sys.modules["twisted.python.failure"].Failure)
