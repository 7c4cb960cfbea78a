"""Who called whom when signals were sent, seen by the interpreter's own tracing and by nothing else.

Django's dispatcher runs untouched: nothing is replaced, wrapped or connected. The interpreter reports each
Python function as it is called; those of ``Signal`` and whatever these call are written down.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from django.dispatch import Signal

# By identity: to hash code is slow, and this is asked at each call of any function.
_SENDS = {
    id(getattr(Signal, name).__code__): name
    for name in ("send", "send_robust", "asend", "asend_robust")
    if hasattr(Signal, name)
}
_LIVE_RECEIVERS = Signal._live_receivers.__code__


@dataclass(eq=False)
class Send:
    """One send: who sent what, to whom, and what came of it."""

    frame: FrameType | None
    signal: Any
    sender: Any
    operation: str
    receivers: list[Any] | None = None
    calls: list[Call] = field(default_factory=list)
    error: type[BaseException] | None = None


@dataclass(eq=False)
class Call:
    """One call of a receiver, and what was sent while it ran."""

    frame: FrameType | None
    receiver: Any
    sends: list[Send] = field(default_factory=list)
    error: type[BaseException] | None = None


class Recorder:
    """Writes down every send of this thread between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.sends: list[Send] = []
        self._open: list[Send | Call] = []

    def start(self) -> None:
        """Begin to watch."""
        sys.settrace(self._called)

    def stop(self) -> None:
        """Watch no longer."""
        sys.settrace(None)
        if self._open:
            raise RuntimeError(f"Sends that never ended: {self._open}")

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        operation = _SENDS.get(id(frame.f_code))
        if operation is not None:
            return self._begin_send(frame, operation)
        if self._open and frame.f_back is self._open[-1].frame and isinstance(self._open[-1], Send):
            return self._called_by_send(self._open[-1], frame)
        return None

    def _begin_send(self, frame: FrameType, operation: str) -> Any:
        if operation.startswith("a"):
            raise RuntimeError(f"{operation} is asynchronous, which this recorder cannot follow")
        send = Send(frame, frame.f_locals["self"], frame.f_locals["sender"], operation)
        within = self._open[-1] if self._open else None
        (within.sends if isinstance(within, Call) else self.sends).append(send)
        self._open.append(send)
        frame.f_trace_lines = False
        return self._in_send

    def _in_send(self, frame: FrameType, event: str, argument: Any) -> Any:
        send = self._open[-1]
        assert isinstance(send, Send)
        assert send.frame is frame
        if event == "exception":  # also when the next line catches it
            send.error = argument[0]
            send.calls[-1].error = argument[0]
        elif event == "return":
            if argument is not None:  # a list: the error was captured
                send.error = None
            send.frame = None
            self._open.pop()
        return self._in_send

    def _called_by_send(self, send: Send, frame: FrameType) -> Any:
        frame.f_trace_lines = False
        if frame.f_code is _LIVE_RECEIVERS:
            return self._found_receivers
        if send.receivers is None or frame.f_code.co_name == "_log_robust_failure":
            return None  # looks for receivers, or reports a failed one
        receiver = send.receivers[len(send.calls)]
        if _code_of(receiver) is not frame.f_code:
            raise RuntimeError(f"{receiver} was due, {frame.f_code} was called")
        send.calls.append(Call(frame, receiver))
        self._open.append(send.calls[-1])
        return self._in_receiver

    def _found_receivers(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return":
            send = self._open[-1]
            assert isinstance(send, Send)
            plain, asynchronous = argument if isinstance(argument, tuple) else (argument, [])
            send.receivers = [*plain, *asynchronous]
        return self._found_receivers

    def _in_receiver(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return":
            self._open.pop().frame = None
        return self._in_receiver


def _code_of(receiver: Any) -> CodeType:
    if not inspect.isroutine(receiver):
        receiver = type(receiver).__call__
    code: CodeType = getattr(receiver, "__func__", receiver).__code__
    return code
