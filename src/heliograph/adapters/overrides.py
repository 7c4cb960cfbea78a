"""Signal classes with a ``send`` of their own: plugin systems, mostly, that loop over the receivers themselves.

Each such method is enclosed, so the dispatch is seen whatever the method does; the method itself, the receivers and
what passes between them stay what they are. Which receivers it calls is told by the interpreter, where it can
(:mod:`heliograph.adapters.receiver_calls`). A method that hands over to the library's own ``send`` is not told of
twice: what that one records is the dispatch.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType, FunctionType
from typing import Any

from heliograph.adapters.adapter import Undo
from heliograph.adapters.importlib_bootstrap_like import make_enclosing_asend, make_enclosing_send
from heliograph.adapters.receiver_calls import Registry, Watch, current, receiver_calls
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Policy
from heliograph.fanout.observer import watching
from heliograph.fanout.record import running
from heliograph.fanout.run import Dialect

__all__ = ["Overrides", "note_send"]

StandIns = Sequence[tuple[Callable[..., Any], Callable[..., Any]]]

OPERATIONS = ("send", "send_robust", "asend", "asend_robust")
_FURTHER = ("send_", "asend_")

_MAKERS: tuple[Any, ...] = (make_enclosing_send, make_enclosing_asend)
_CODES = frozenset(id(make(None, None, current).__code__) for make in _MAKERS)  # of all methods that these make


class Overrides:
    """Observes the methods with which subclasses of a library's signal class send in a way of their own.

    Args:
        signal_class: The library's class.
        registry: How it keeps who is connected; None where that is not known.

    Attributes:
        operations: The names of the methods found so far; empty where there is no such class.
    """

    def __init__(self, signal_class: type, registry: Registry | None) -> None:
        self._signal_class = signal_class
        self._registry = registry
        self.operations: set[str] = set()

    def install(self, dialect: Dialect, stand_ins: StandIns) -> Undo:
        """Enclose the methods of all subclasses, there already or defined later; return a function that undoes it.

        Args:
            dialect: How the library dispatches.
            stand_ins: What stands in for each of the library's own methods, and that method: a subclass may hold either.
        """
        self._dialect = dialect
        self._stand_ins = stand_ins
        stop = receiver_calls.start()
        hook = self._hook_later_ones()
        for cls in _subclasses(self._signal_class):
            self._enclose(cls)
        return functools.partial(self._undo, stop, hook)

    def _undo(self, stop: Undo, hook: object) -> None:
        if hook is not None and vars(self._signal_class).get("__init_subclass__") is hook:
            del self._signal_class.__init_subclass__
        for cls in _subclasses(self._signal_class):
            self._disclose(cls)
        stop()

    def _hook_later_ones(self) -> object:
        if "__init_subclass__" in vars(self._signal_class):
            return None
        signal_class: Any = self._signal_class
        enclose = self._enclose

        def __init_subclass__(cls: Any, **named: Any) -> None:  # noqa: N807  # it is what Python calls
            super(signal_class, cls).__init_subclass__(**named)
            enclose(cls)

        function: Any = __init_subclass__
        signal_class.__init_subclass__ = classmethod(function)
        return vars(signal_class)["__init_subclass__"]

    def _enclose(self, cls: type) -> None:
        for name, method in list(vars(cls).items()):
            if type(method) is not FunctionType or not _sends(name, method) or _is_ours(method):
                continue
            setattr(cls, name, self._known(method) or self._enclosing(name, method))

    def _known(self, method: Callable[..., Any]) -> Callable[..., Any] | None:
        """Return what stands in for *method* if it is one of the library's own, under whatever name."""
        for stand_in, original in self._stand_ins:
            if method in {stand_in, original}:
                return stand_in
        return None

    def _enclosing(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        make = make_enclosing_asend if inspect.iscoroutinefunction(method) else make_enclosing_send
        self.operations.add(name)
        begin = functools.partial(self._begin, name, CAPTURE if "robust" in name else PROPAGATE)
        return functools.update_wrapper(make(method, begin, current), method)

    def _disclose(self, cls: type) -> None:
        originals = {id(stand_in): original for stand_in, original in self._stand_ins}
        for name, method in list(vars(cls).items()):
            if type(method) is FunctionType and _is_ours(method):
                setattr(cls, name, method.__wrapped__)  # type: ignore[attr-defined]
            elif id(method) in originals:
                setattr(cls, name, originals[id(method)])

    def _begin(
        self, operation: str, policy: Policy, signal: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> _Enclosing | None:
        watched = watching(signal, self._dialect)
        note_send(signal, sys._getframe(1).f_back)
        if watched is None:
            return None
        sender = arguments[0] if arguments else named.get("sender")
        return _Enclosing(watched, signal, sender, operation, policy, named, self._registry)


def note_send(signal: Any, frame: FrameType | None) -> None:
    """Note that *frame* sends *signal*: if it does so for a method that is enclosed, this is the dispatch."""
    enclosing = current.get()
    if type(enclosing) is _Enclosing and enclosing.signal is signal and not enclosing.handed_over:
        enclosing.handed_over = not enclosing.is_in_receiver(frame)


class _Enclosing(Watch):
    """One send by a method that is enclosed."""

    __slots__ = ("handed_over",)

    def __init__(self, *arguments: Any) -> None:
        self.handed_over = False
        super().__init__(*arguments)

    def finish(self, error: BaseException | None = None) -> None:
        """Note that it ends now; say nothing if another dispatch was all there was to it."""
        if not self.handed_over or self.has_calls:
            self.record.finish(error)

    def is_in_receiver(self, frame: FrameType | None) -> bool:
        """Tell whether a receiver called by the method has led to *frame*, rather than the method itself."""
        if running.get() is not self.base:
            return True
        while frame is not None and id(frame.f_code) not in _CODES:
            if self.calls(frame.f_code):
                return True
            frame = frame.f_back
        return False


def _subclasses(cls: type) -> Iterator[type]:
    found: list[type] = type.__subclasses__(cls)
    for subclass in found:
        yield subclass
        yield from _subclasses(subclass)


def _sends(name: str, method: FunctionType) -> bool:
    if name in OPERATIONS:
        return True
    code: CodeType = method.__code__
    return name.startswith(_FURTHER) and "sender" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _is_ours(method: FunctionType) -> bool:
    return id(method.__code__) in _CODES
