"""What stands in for PyDispatcher's ways to find and to call receivers.

Each of its ``send`` functions, and Scrapy's, is a loop of its own: ``for receiver in liveReceivers(getAllReceivers(sender,
signal))``, with ``robustApply(receiver, ...)`` in it. They look these three up in their module at each call. So they
themselves stay what they are, with their frames, error handling and log lines, for those who imported them by name
as well: it is the three that are replaced.

A receiver is found right before it is called, not before: an earlier one may have disconnected it, or connected
another, and nothing keeps it alive meanwhile. So the receivers of a dispatch become known one by one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar, Token
from inspect import CO_VARKEYWORDS
from types import FrameType
from typing import Any, NamedTuple, Self

from heliograph.adapters.hashable_signals import SignalKeys
from heliograph.fanout.facts import Audience, Library, Policy, Receiver, Site
from heliograph.fanout.observer import watching
from heliograph.fanout.record import Entered, Recorder

__all__ = [
    "Fanout",
    "Operation",
    "Receivers",
    "Signals",
    "calling",
    "make_get_all_receivers",
    "make_live_receivers",
    "make_robust_apply",
    "signal_and_sender",
]

Receivers = Iterable[Receiver]
Watched = tuple[Site, Audience]


class Fanout:
    """One dispatch that calls its receivers one after the other.

    Args:
        operation: The function that sends.
        watched: The signal's site, and who hears of it.
        sender: Who sent it; None if nobody in particular.
        scope: The local variables of that function.

    Attributes:
        record: What is recorded.
        is_open: Whether it has begun before its receivers are asked for.
    """

    is_open = False
    overlapping = False  # whether receivers may run beside each other

    def __init__(self, operation: Operation, watched: Watched, sender: object, scope: Mapping[str, Any]) -> None:
        self._captured = operation.policy.captured
        self._answers = _exceptions_in(scope.get("dont_log"))
        self._expected: tuple[Receiver, int] | None = None
        self._inside: tuple[int, Entered] | None = None
        self._token: Token[Any] | None = None
        self._live: Iterator[Receiver] = iter(())
        self._error: BaseException | None = None
        self._source: Receivers = ()
        self._is_exhausted = False
        named = scope.get("named", {})
        self.record = Recorder(watched, sender, operation.name, operation.policy, ([], []), named)
        self.record.dispatch.receivers = []  # grows

    def of(self, source: Receivers) -> Self:
        """Take note of how the receivers are connected."""
        self._source = source
        self.is_open = False
        return self

    def live(self, original: Callable[[Receivers], Iterator[Receiver]]) -> Iterator[Receiver]:
        """Yield the receivers as *original* finds them, each of them known right before it is called."""
        self._live = original(self._source)
        try:
            for receiver in self._live:
                self._expected = receiver, self._add(receiver)
                self._token = calling.set(self)
                yield receiver
                self._forget()
                self._leave()
        except BaseException as error:  # of who compares receivers; or the loop was left, and closes this
            self._error = self._error or error
            raise
        finally:
            self._is_exhausted = True
            self._forget()
            self._leave()
            self.settle()
            self._error = None  # it holds this frame, which holds all the rest

    def take(self, receiver: Receiver) -> int | None:
        """Return the position of *receiver*, which is to be called now; None if this is another call."""
        if self._expected is None or self._expected[0] is not receiver:
            return None
        position = self._expected[1]
        self._forget()  # before it runs: it must see what it would have seen
        return position

    def returned(self, position: int, response: Any) -> Any:
        """Note that the receiver at *position* has returned; return what the library shall get."""
        self.record.end(position)
        return response

    def raised(self, position: int, error: BaseException) -> None:
        """Note that the receiver at *position* has raised *error*."""
        self.end(position, error)
        if not isinstance(error, self._captured):
            self._error = error

    def end(self, position: int, error: BaseException | None = None) -> None:
        """Note that the receiver at *position* has ended. An error by which it answers the sender is none."""
        self.record.end(position, None if isinstance(error, self._answers) else error)

    def leave(self, position: int, entered: Entered) -> None:
        """Leave the context of the receiver at *position*, later if what logs its error shall find its span."""
        self._inside = position, entered
        if position not in self.record.dispatch.faults or self._error is not None:
            self._leave()
        self.settle()

    def settle(self) -> None:
        """Note that the dispatch ends now, if it does."""
        if self.record.dispatch.ended is None and (self._is_exhausted or self._error is not None):
            if not self._is_exhausted:
                self._add_skipped()
            self.record.finish(self._error)
            self._error = None

    def _add(self, receiver: Receiver) -> int:
        dispatch = self.record.dispatch
        position = len(dispatch.begans)
        dispatch.receivers.append(receiver)  # type: ignore[union-attr]  # our own list
        dispatch.begans.append(None)
        dispatch.endeds.append(None)
        if not self.overlapping:
            dispatch.first_async = position + 1
        return position

    def _add_skipped(self) -> None:
        with suppress(Exception):  # who compares receivers is other people's code
            for receiver in self._live:
                self._add(receiver)

    def _forget(self) -> None:
        """Expect no receiver any more, whether it was called or, after an undo, without our knowing."""
        if self._token is not None:
            calling.reset(self._token)
        self._expected = self._token = None

    def _leave(self) -> None:
        if self._inside is not None:
            inside, self._inside = self._inside, None
            self.record.leave(*inside)


class Operation(NamedTuple):
    """One of the functions that send.

    Attributes:
        name: The library's own verb.
        policy: What becomes of receivers' errors.
        fanout: Records it.
    """

    name: str
    policy: Policy
    fanout: Callable[[Operation, Watched, object, Mapping[str, Any]], Fanout] = Fanout


calling: ContextVar[Fanout | None] = ContextVar("heliograph_calling", default=None)
"""The dispatch that is about to call a receiver in this context."""


class Signals:
    """PyDispatcher's signals, and whoever watches them.

    Args:
        dispatcher: PyDispatcher's module of that name.

    Attributes:
        library: What is to be known of it.
        keys: Stand for its signals.
        anything: Its word for any signal or any sender.
    """

    def __init__(self, dispatcher: Any, library: Library, keys: SignalKeys) -> None:
        self.anything = dispatcher.Any
        self._nobodies = (dispatcher.Any, dispatcher.Anonymous)
        self.library = library
        self.keys = keys

    def watched(self, signal: object) -> Watched | None:
        """Return the site of *signal* and who wants to hear of its next dispatch, or None when nobody does."""
        return watching(self.keys.of(signal), self.library)

    def sender(self, sender: object) -> object:
        """Return who is to be named as the sender; None if nobody in particular."""
        return None if any(sender is one for one in self._nobodies) else sender

    def begin(self, operation: Operation, watched: Watched, sender: object, scope: Mapping[str, Any]) -> Fanout:
        """Return a dispatch that begins now, in a function with the local variables in *scope*."""
        return operation.fanout(operation, watched, self.sender(sender), scope)


def signal_and_sender(signals: Signals, arguments: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the two of the arguments that all functions that send have first."""
    signal = arguments[0] if arguments else named.get("signal", signals.anything)
    return signal, arguments[1] if len(arguments) > 1 else named.get("sender")


OperationOf = Callable[[FrameType], Operation | None]
"""Returns which of the functions that send a frame belongs to, if any."""


def make_get_all_receivers(dispatcher: Any, signals: Signals, operation_of: OperationOf) -> Callable[..., Any]:
    """Return what stands in for ``getAllReceivers``: a dispatch begins when a function that sends calls it."""
    original, anything = dispatcher.getAllReceivers, signals.anything
    key_of, library = signals.keys.of, signals.library

    def getAllReceivers(sender: Any = anything, signal: Any = anything) -> Any:  # noqa: N802  # the library's name
        receivers = original(sender, signal)
        watched = watching(key_of(signal), library)
        if watched is None:
            return receivers
        enclosing = calling.get()
        if enclosing is not None and enclosing.is_open:  # whoever stands around the loop has begun the dispatch
            return enclosing.of(receivers)
        frame = sys._getframe(1)
        operation = operation_of(frame)
        if operation is None:  # others may ask who listens
            return receivers
        return signals.begin(operation, watched, sender, frame.f_locals).of(receivers)

    return getAllReceivers


def make_live_receivers(dispatcher: Any, signals: Signals, operation_of: OperationOf) -> Callable[..., Any]:
    """Return what stands in for ``liveReceivers``, and tells the dispatch of each receiver."""
    original = dispatcher.liveReceivers

    def liveReceivers(receivers: Any) -> Any:  # noqa: N802  # the library's name
        if isinstance(receivers, Fanout):
            return receivers.live(original)
        if type(receivers) is not list:
            return original(receivers)
        frame = sys._getframe(1)
        operation = operation_of(frame)
        if operation is None:
            return original(receivers)
        scope = frame.f_locals  # ``sendExact`` has asked for a list of its own
        watched = signals.watched(scope["signal"])
        if watched is None:
            return original(receivers)
        return signals.begin(operation, watched, scope["sender"], scope).of(receivers).live(original)

    return liveReceivers


def make_robust_apply(robustapply: Any) -> Callable[..., Any]:
    """Return what stands in for ``robustApply``, and tells the dispatch what comes of each receiver."""
    original, function = robustapply.robustApply, robustapply.function

    def fitting(
        receiver: Receiver, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Receiver, dict[str, Any]]:
        target, code, bound = function(receiver)
        first = bound + len(arguments)
        if arguments and not named.keys().isdisjoint(code.co_varnames[bound:first]):
            original(receiver, *arguments, **named)  # raises: given both by position and by name
        if code.co_flags & CO_VARKEYWORDS:
            return target, named
        accepted = code.co_varnames[first : code.co_argcount]
        return target, {name: value for name, value in named.items() if name in accepted}

    # It calls the receiver itself, as the original does, so that no frame is between them that was not there.
    def robustApply(receiver: Receiver, *arguments: Any, **named: Any) -> Any:  # noqa: N802  # the library's name
        fanout = calling.get()
        position = None if fanout is None else fanout.take(receiver)
        if fanout is None or position is None:
            target, accepted = fitting(receiver, arguments, named)
            return target(*arguments, **accepted)
        entered = fanout.record.enter(position)
        fanout.record.begin(position)
        try:
            target, accepted = fitting(receiver, arguments, named)
            response = fanout.returned(position, target(*arguments, **accepted))
        except BaseException as error:
            fanout.raised(position, error)
            raise
        finally:
            fanout.leave(position, entered)
        return response

    return robustApply


def _exceptions_in(found: Any) -> tuple[type[BaseException], ...]:
    several = found if isinstance(found, (tuple, list)) else (found,)
    return tuple(one for one in several if isinstance(one, type) and issubclass(one, BaseException))
