"""Which receivers a method calls that is not ours: the interpreter tells, from Python 3.12 on.

``sys.monitoring`` reports where the functions of connected receivers begin and end, and no other function. Nothing
is put around a receiver or in its place. What leaves a function with an exception is reported for all functions or for
none, so it is asked for once there is a receiver to look at; a frame that an exception leaves then costs 0.1 µs more.
"""

from __future__ import annotations

import functools
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from inspect import CO_COROUTINE
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

from heliograph.adapters.adapter import Undo
from heliograph.fanout.describe import PerObject
from heliograph.fanout.facts import Audience, Dispatch, Policy, Receiver, Site
from heliograph.fanout.observer import attempt
from heliograph.fanout.record import Entered, Recorder, running

__all__ = ["Connection", "Registry", "Watch", "current", "receiver_calls", "reference_to"]

_MAX_UNWRAPS = 32
_TOOLS = (3, 4)  # the others have owners: debuggers, coverage, profilers, optimizers
_monitoring: Any = getattr(sys, "monitoring", None)

current: ContextVar[Watch | None] = ContextVar("heliograph_watch", default=None)
"""The dispatch by a method that is not ours within which this context runs."""


class Connection(NamedTuple):
    """A receiver that is connected to a signal.

    Attributes:
        reference: Returns the receiver as long as it lives, and does not keep it alive.
        is_for: Tells whether it is connected for a sender.
    """

    reference: Callable[[], Receiver | None]
    is_for: Callable[[object], bool]


class Registry(NamedTuple):
    """How a library keeps who is connected to a signal.

    Attributes:
        keys: Returns an object for each connection of a signal: another object for another connection.
        connections: Returns the connections, in order.
    """

    keys: Callable[[Any], list[object]]
    connections: Callable[[Any], Iterable[Connection]]


class _Codes:
    """The code of a signal's receivers. It holds none of them.

    Attributes:
        by_id: The connections by the ``id`` of the code that runs when their receiver is called.
        any_async: Whether any of them is a coroutine function.
    """

    def __init__(self, keys: list[object], connections: Iterable[Connection]) -> None:
        self._keys = keys
        self.by_id: dict[int, list[Connection]] = {}
        self.any_async = False
        for connection in connections:
            code = _code_of(connection.reference())
            if code is not None:
                receiver_calls.watch(code)
                self.by_id.setdefault(id(code), []).append(connection)
                self.any_async = self.any_async or bool(code.co_flags & CO_COROUTINE)

    def are_of(self, keys: list[object]) -> bool:
        """Tell whether they are those of the connections that have these keys."""
        return len(keys) == len(self._keys) and all(map(operator.is_, keys, self._keys))


_codes: PerObject[_Codes] = PerObject()


def _codes_of(signal: Any, registry: Registry) -> _Codes:
    keys, known = registry.keys(signal), _codes.values.get(id(signal))
    if known is None or not known.are_of(keys) or not receiver_calls.hears_of(known.by_id.keys()):
        known = _Codes(keys, registry.connections(signal))
        _codes.keep(signal, known)
    return known


class Watch:
    """One dispatch by a method that is not ours, and the calls of receivers that are seen within.

    Attributes:
        signal: What is sent.
        record: What is recorded.
        base: What runs around the method, as :data:`heliograph.fanout.record.running` has it.
        open: Calls that have not ended, by the ``id`` of their frame: the receiver's place, and what was entered unless
            it waits.
    """

    __slots__ = ("_codes", "_registry", "_sender", "base", "open", "record", "signal")

    def __init__(
        self,
        watched: tuple[Site, Audience],
        signal: Any,
        sender: object,
        operation: str,
        policy: Policy,
        named: Mapping[str, Any],
        registry: Registry | None,
    ) -> None:
        self.signal = signal
        self.base = running.get()
        self._sender = sender
        self._registry = registry
        self._codes: _Codes | None = None
        self.open: dict[int, tuple[int, Entered | None]] = {}
        self.record = Recorder(watched, sender, operation, policy, self._due(), named)

    @property
    def has_calls(self) -> bool:
        """Whether any receiver was seen to be called."""
        return any(began is not None for began in self.record.dispatch.begans)

    def calls(self, code: CodeType) -> bool:
        """Return whether *code* is what runs when a receiver of the signal is called."""
        return self._registry is not None and id(code) in _codes_of(self.signal, self._registry).by_id

    def began(self, code: CodeType, frame: FrameType) -> None:
        """Note that *frame*, which runs *code*, begins: the call of a receiver."""
        dispatch = self.record.dispatch
        receiver = self._which(code, frame) if dispatch.ended is None else None
        if receiver is not None:
            position = _position(dispatch, receiver)
            self.open[id(frame)] = position, self.record.enter(position)
            self.record.begin(position)

    def paused(self, frame: FrameType) -> None:
        """Note that an async receiver stops to wait."""
        position, entered = self.open.get(id(frame), (0, None))
        if entered is not None:
            self.open[id(frame)] = position, None
            self.record.leave(position, entered)

    def resumed(self, frame: FrameType) -> None:
        """Note that it goes on."""
        position, entered = self.open.get(id(frame), (None, None))
        if position is not None and entered is None:
            self.open[id(frame)] = position, self.record.enter(position)

    def ended(self, frame: FrameType, error: BaseException | None = None) -> None:
        """Note that *frame* ends, with *error* if it raised."""
        self.resumed(frame)
        position, entered = self.open.pop(id(frame), (0, None))
        if entered is not None:
            self.record.end(position, error)
            self.record.leave(position, entered)

    def _due(self) -> tuple[list[Receiver], list[Receiver]] | None:
        """Return the receivers that are due; none so far where each gets its place when it is called.

        Async ones have their places after plain ones, and may begin before them: then all have theirs from the start.
        """
        registry = self._registry
        due: tuple[list[Receiver], list[Receiver]] = ([], [])
        if registry is None or not (receiver_calls.is_on or not registry.keys(self.signal)):
            return None
        self._codes = _codes_of(self.signal, registry)
        if self._codes.any_async:
            for connection in registry.connections(self.signal):
                receiver = connection.reference()
                code = _code_of(receiver)
                if receiver is not None and code is not None and connection.is_for(self._sender):
                    due[bool(code.co_flags & CO_COROUTINE)].append(receiver)
        return due

    def _which(self, code: CodeType, frame: FrameType) -> Receiver | None:
        """Return the receiver whose call *frame* is. Several may share their code, as what a decorator returns does."""
        connections = () if self._codes is None else self._codes.by_id.get(id(code), ())
        alive = (one.reference() for one in connections if one.is_for(self._sender))
        found = [one for one in alive if one is not None and _code_of(one) is code]
        if len(found) > 1:
            found = [one for one in found if _may_run_in(frame, one)] or found
            called = [call.receiver for call in self.record.dispatch.calls]
            found = [one for one in found if not any(_are_same(one, other) for other in called)] or found
        return found[0] if found else None


def _position(dispatch: Dispatch, receiver: Receiver) -> int:
    """Return the place of a receiver that is called now."""
    due = dispatch.receivers or ()
    if dispatch.first_async < len(due):
        places = [at for at, one in enumerate(due) if _are_same(one, receiver)]
        return next((at for at in places if dispatch.begans[at] is None), places[0])
    dispatch.receivers = (*due, receiver)
    dispatch.begans.append(None)
    dispatch.endeds.append(None)
    dispatch.first_async = len(due) + 1
    return len(due)


def _are_same(one: Any, other: Any) -> bool:
    if type(one) is MethodType and type(other) is MethodType:  # another object each time
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    return one is other


def _may_run_in(frame: FrameType, receiver: Any) -> bool:
    code, variables = frame.f_code, frame.f_locals
    if type(receiver) is FunctionType:
        cells = zip(code.co_freevars, receiver.__closure__ or (), strict=True)
        return all(_content(cell) is variables.get(name) for name, cell in cells)
    if issubclass(type(receiver), functools.partial):
        return True
    owner = receiver.__self__ if type(receiver) is MethodType else receiver
    return variables.get(code.co_varnames[0] if code.co_argcount else "") is owner


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def reference_to(receiver: Receiver) -> Callable[[], Receiver | None]:
    """Return what leads to *receiver* without keeping it alive; to nothing where there is no such way."""
    try:
        return weakref.WeakMethod(receiver) if type(receiver) is MethodType else weakref.ref(receiver)
    except TypeError:
        return lambda: None


def _code_of(receiver: Any) -> CodeType | None:
    """Return the code that runs first when *receiver* is called; None for what is not written in Python."""
    for _ in range(_MAX_UNWRAPS):
        if type(receiver) is MethodType:
            receiver = receiver.__func__
        elif issubclass(type(receiver), functools.partial):
            receiver = receiver.func
        else:
            break
    if type(receiver) is not FunctionType:
        bases = type.__dict__["__mro__"].__get__(type(receiver))
        receiver = next((vars(base)["__call__"] for base in bases if "__call__" in vars(base)), None)
    return receiver.__code__ if type(receiver) is FunctionType else None


class ReceiverCalls:
    """Hears from the interpreter where the functions of receivers begin and end."""

    def __init__(self) -> None:
        self._tool: int | None = None
        self._users = 0
        self._codes: dict[int, weakref.ref[CodeType]] = {}
        self._lock = threading.RLock()

    @property
    def is_on(self) -> bool:
        """Whether it hears anything."""
        return self._tool is not None

    def start(self) -> Undo:
        """Hear from now on; return a function that ends it, once all who have started it have called theirs."""
        with self._lock:
            self._users += 1
            if self._users == 1 and _monitoring is not None:
                self._tool = next((tool for tool in _TOOLS if _monitoring.get_tool(tool) is None), None)
                if self._tool is not None:
                    self._begin(self._tool)
        return self._stop

    def watch(self, code: CodeType) -> None:
        """Hear of *code* too."""
        if id(code) in self._codes:
            return
        with self._lock:
            if self._tool is None:
                return
            if not self._codes:
                _monitoring.set_events(self._tool, _EVERYWHERE)
            self._codes[id(code)] = weakref.ref(code, functools.partial(self._forget, id(code)))
            _monitoring.set_local_events(self._tool, code, _HERE)

    def hears_of(self, codes: AbstractSet[int]) -> bool:
        """Return whether it hears of all these, told by their ``id``; also where it hears of none at all."""
        return self._tool is None or self._codes.keys() >= codes

    def _forget(self, key: int, _: object) -> None:
        self._codes.pop(key, None)

    def _begin(self, tool: int) -> None:
        _monitoring.use_tool_id(tool, "heliograph")
        for event, callback in _callbacks(self._codes):
            _monitoring.register_callback(tool, event, callback)

    def _stop(self) -> None:
        with self._lock:
            self._users -= 1
            tool = self._tool
            if self._users or tool is None:
                return
            self._tool = None
            _monitoring.set_events(tool, 0)
            for reference in list(self._codes.values()):
                code = reference()
                if code is not None:
                    _monitoring.set_local_events(tool, code, 0)
            self._codes.clear()
            for event, _ in _callbacks({}):
                _monitoring.register_callback(tool, event, None)
            _monitoring.free_tool_id(tool)


def _callbacks(codes: Mapping[int, object]) -> list[tuple[int, Callable[..., None]]]:
    """Return what to call at which event. The frame that an event is about is the caller of what is called."""
    frame = sys._getframe

    def start(code: CodeType, _: int) -> None:
        watch = current.get()
        # Within a receiver something else runs: what is called there is no receiver's call of this dispatch.
        if watch is not None and running.get() is watch.base:
            attempt(watch.began, code, frame(1))

    def pause(_: CodeType, __: int, ___: object) -> None:
        watch = current.get()
        if watch is not None and watch.open:
            attempt(watch.paused, frame(1))

    def resume(code: CodeType, _: int, __: object = None) -> None:
        watch = current.get()
        if watch is not None and watch.open and id(code) in codes:
            attempt(watch.resumed, frame(1))

    def end(_: CodeType, __: int, ___: object) -> None:
        watch = current.get()
        if watch is not None and watch.open:
            attempt(watch.ended, frame(1))

    def unwind(code: CodeType, _: int, error: BaseException) -> None:
        if id(code) in codes:
            watch = current.get()
            if watch is not None and watch.open:
                attempt(watch.ended, frame(1), error)

    events = _monitoring.events
    return [
        (events.PY_START, start),
        (events.PY_YIELD, pause),
        (events.PY_RESUME, resume),
        (events.PY_THROW, resume),
        (events.PY_RETURN, end),
        (events.PY_UNWIND, unwind),
    ]


if _monitoring is not None:
    _EVENTS: Any = _monitoring.events
    _HERE: int = _EVENTS.PY_START | _EVENTS.PY_YIELD | _EVENTS.PY_RESUME | _EVENTS.PY_RETURN
    _EVERYWHERE: int = _EVENTS.PY_THROW | _EVENTS.PY_UNWIND

receiver_calls = ReceiverCalls()
