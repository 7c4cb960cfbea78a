"""Functions that send, observed from the outside: for releases whose inside is not known, the dispatch alone is told."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from heliograph.adapters.pydispatcher_calls import Operation, Signals, signal_and_sender
from heliograph.fanout.record import Recorder

__all__ = ["observe_alone"]

Function = Callable[..., Any]


def observe_alone(original: Function, operation: Operation, signals: Signals) -> Function:
    """Return what stands in for *original*, calls it, and says when it began and ended."""
    begin = functools.partial(_begin, operation, signals)
    made = _awaited(original, begin) if inspect.iscoroutinefunction(original) else _called(original, begin)
    return functools.update_wrapper(made, original)


def _begin(
    operation: Operation, signals: Signals, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Recorder | None:
    signal, sender = signal_and_sender(signals, arguments, named)
    watched = signals.watched(signal)
    if watched is None:
        return None
    payload = [name for name in named if name not in {"signal", "sender"}]
    return Recorder(watched, signals.sender(sender), operation.name, operation.policy, None, payload)


def _called(original: Function, begin: Callable[..., Recorder | None]) -> Function:
    def send(*arguments: Any, **named: Any) -> Any:
        record = begin(arguments, named)
        if record is None:
            return original(*arguments, **named)
        try:
            result = original(*arguments, **named)
        except BaseException as error:
            record.finish(error)
            raise
        if hasattr(type(result), "addBoth"):  # a Deferred: it ends when that does
            result.addBoth(functools.partial(_fired, record))
        else:
            record.finish()
        return result

    return send


def _fired(record: Recorder, result: Any) -> Any:
    record.finish(getattr(result, "value", None) if hasattr(type(result), "getErrorMessage") else None)
    return result


def _awaited(original: Callable[..., Awaitable[Any]], begin: Callable[..., Recorder | None]) -> Function:
    async def send(*arguments: Any, **named: Any) -> Any:
        record = begin(arguments, named)
        if record is None:
            return await original(*arguments, **named)
        try:
            result = await original(*arguments, **named)
        except BaseException as error:
            record.finish(error)
            raise
        record.finish()
        return result

    return send
