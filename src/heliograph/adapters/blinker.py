"""blinker's signals: named ones such as Flask's, anonymous ones, and those that tell of connections.

``Signal.send`` and ``Signal.send_async`` are replaced by ones that do the same and report. blinker looks receivers up while
it sends, so that one may leave, or die, before its turn. That is kept: a dispatch's receivers are noted as they are
found, and those that an error leaves uncalled are looked up then.

An async receiver runs in its sender's own task and context. Its steps are observed from the interpreter's own
iterators, so that no frame of ours is on the stack while it runs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import perf_counter_ns as clock
from types import GeneratorType
from typing import Any, Self

from heliograph.adapters.adapter import Patches, Undo, is_stock, live, outer_dialect, replace, say_unknown
from heliograph.adapters.blinker_names import BlinkerNames
from heliograph.fanout.facts import PROPAGATE, Dispatch, Library, Receiver
from heliograph.fanout.observer import attempt, watching
from heliograph.fanout.record import Entered, Recorder, enclosing_call, finish, running
from heliograph.fanout.run import make_outer_asend, make_outer_send

__all__ = ["BlinkerAdapter", "adapter"]

KNOWN_RELEASES = ("1.8", "1.9")
# What blinker says, so that whoever looks for it finds it.
_NO_ASYNC_WRAPPER = "Cannot send to a coroutine function."
_NO_SYNC_WRAPPER = "Cannot send to a non-coroutine function."

Result = list[tuple[Receiver, Any]]
IsAsync = Callable[[Any], bool]


class BlinkerAdapter:
    """Makes blinker report."""

    library = "blinker"

    def __init__(self) -> None:
        self._patches = Patches(self._apply)

    def available(self) -> bool:
        return importlib.util.find_spec("blinker") is not None

    def install(self) -> Undo:
        return self._patches.hold()

    def connected(self) -> Iterator[tuple[str, Receiver]]:
        for name, signal in self._names.signals() if _is_known_release() else ():
            yield from ((name, receiver) for receiver in _connected_to(signal))

    def signal_names(self) -> list[str]:
        return [name for name, _ in self._names.signals()]

    @functools.cached_property
    def _names(self) -> BlinkerNames:
        return BlinkerNames(importlib.import_module("blinker.base"))

    def _apply(self) -> list[Undo]:
        base = importlib.import_module("blinker.base")
        known = _is_known_release()
        return [
            replace(base.Signal, name, _stand_in(name, vars(base.Signal)[name], base, self._names, known))
            for name in ("send", "send_async")
            if name in vars(base.Signal)
        ]


adapter = BlinkerAdapter()


def _stand_in(name: str, original: Any, base: Any, names: BlinkerNames, known: bool) -> Callable[..., Any]:
    library = outer_dialect("blinker", names.name_of)
    awaited = name == "send_async"
    if known and is_stock(original, "blinker.base"):
        made = (_make_send_async if awaited else _make_send)(library, base.iscoroutinefunction)
    else:  # an unknown release, or a method that somebody else has wrapped: theirs is called, not done again
        made = (make_outer_asend if awaited else make_outer_send)(name, PROPAGATE, library, original)
    return functools.update_wrapper(made, original)


def _is_known_release() -> bool:
    version = _release()
    if ".".join(version.split(".")[:2]) in KNOWN_RELEASES:
        return True
    say_unknown("blinker", version)
    return False


def _release() -> str:
    try:
        return importlib.metadata.version("blinker")
    except importlib.metadata.PackageNotFoundError:  # copied into the program, say
        return "(no release)"


# ----------------------------------------------------------------------------------------------------------------- sending


def _make_send(library: Library, is_async: IsAsync) -> Callable[..., Result]:  # noqa: C901, PLR0915  # see within
    # Long because nothing may stand between sender and receiver: the first loop is blinker's, and all that an unobserved
    # send runs; the second one differs in what it writes down.
    def send(  # noqa: C901, PLR0912, PLR0915
        self: Any, sender: Any = None, /, *, _async_wrapper: Any = None, **kwargs: Any
    ) -> Result:
        watched = watching(self, library)
        results: Result = []
        if watched is None:
            if self.is_muted:
                return results
            for receiver in self.receivers_for(sender):
                if is_async(receiver):
                    if _async_wrapper is None:
                        raise RuntimeError(_NO_ASYNC_WRAPPER)
                    result = _async_wrapper(receiver)(sender, **kwargs)
                else:
                    result = receiver(sender, **kwargs)
                results.append((receiver, result))
            return results

        site, (observers, enter, leave) = watched
        receivers: list[Receiver] = []  # grows, and so do the lists of times
        dispatch = Dispatch(site, sender, "send", PROPAGATE, receivers, 0, kwargs, enclosing_call())
        begans, endeds = dispatch.begans, dispatch.endeds
        token = running.set(dispatch)
        due: Iterable[Receiver] = ()
        try:
            due = () if self.is_muted else self.receivers_for(sender)
            for position, receiver in enumerate(due):
                receivers.append(receiver)
                begans.append(None)
                endeds.append(None)
                dispatch.first_async = position + 1
                dispatch.running = position
                awaited = is_async(receiver)
                if awaited and _async_wrapper is None:
                    raise RuntimeError(_NO_ASYNC_WRAPPER)  # noqa: TRY301
                inside = None if enter is None else enter(dispatch, position)
                begans[position] = clock()
                try:
                    result = (_async_wrapper(receiver) if awaited else receiver)(sender, **kwargs)
                except BaseException as error:
                    endeds[position] = clock()
                    dispatch.fault(position, error)
                    raise
                else:
                    endeds[position] = clock()
                finally:
                    if leave is not None:
                        leave(dispatch, position, inside)
                results.append((receiver, result))
        except BaseException as error:
            attempt(_note_skipped, dispatch, due)
            dispatch.first_async = len(receivers)
            finish(observers, dispatch, error)
            raise
        else:
            finish(observers, dispatch)
        finally:
            running.reset(token)
        return results

    return send


def _make_send_async(library: Library, is_async: IsAsync) -> Callable[..., Awaitable[Result]]:
    # As above, for receivers that are awaited one after another.
    async def send_async(self: Any, sender: Any = None, /, *, _sync_wrapper: Any = None, **kwargs: Any) -> Result:
        watched = watching(self, library)
        results: Result = []
        if watched is None:
            if self.is_muted:
                return results
            for receiver in self.receivers_for(sender):
                if not is_async(receiver):
                    if _sync_wrapper is None:
                        raise RuntimeError(_NO_SYNC_WRAPPER)
                    result = await _sync_wrapper(receiver)(sender, **kwargs)
                else:
                    result = await receiver(sender, **kwargs)
                results.append((receiver, result))
            return results

        record = Recorder(watched, sender, "send_async", PROPAGATE, ((), ()), kwargs)
        dispatch = record.dispatch
        dispatch.receivers = []
        due: Iterable[Receiver] = ()
        try:
            due = () if self.is_muted else self.receivers_for(sender)
            for position, receiver in enumerate(due):
                _add(dispatch, receiver)
                awaited = is_async(receiver)
                if not awaited and _sync_wrapper is None:
                    raise RuntimeError(_NO_SYNC_WRAPPER)  # noqa: TRY301
                steps = _Steps(record, position)
                try:
                    steps.begin()
                    awaitable = (receiver if awaited else _sync_wrapper(receiver))(sender, **kwargs)
                    result = await steps.of(awaitable)
                except BaseException as error:
                    steps.end(error)
                    raise
                steps.end()
                results.append((receiver, result))
        except BaseException as error:
            attempt(_note_skipped, dispatch, due)
            record.finish(error)
            raise
        record.finish()
        return results

    return send_async


def _note_skipped(dispatch: Dispatch, due: Iterable[Receiver]) -> None:
    """Add the receivers that an error leaves uncalled, if it is blinker itself that looks them up."""
    if type(due) is not GeneratorType or due.gi_code.co_qualname != "Signal.receivers_for":
        return
    for receiver in due:
        _add(dispatch, receiver)


def _add(dispatch: Dispatch, receiver: Receiver) -> None:
    """Add a receiver that is due and has not begun."""
    receivers: Any = dispatch.receivers
    receivers.append(receiver)
    dispatch.begans.append(None)
    dispatch.endeds.append(None)


class _Steps:
    """The steps of one async receiver: inside its context while it runs, never while it waits.

    Whoever else runs in the sender's context while the receiver waits is not inside it.
    """

    __slots__ = ("_entered", "_position", "_record")

    def __init__(self, record: Recorder, position: int) -> None:
        self._record = record
        self._position = position
        self._entered: Entered | None = None

    def begin(self) -> None:
        """Note that it is called now."""
        self.enter()
        self._record.begin(self._position)

    def end(self, error: BaseException | None = None) -> None:
        """Note that it has ended, with *error* if it raised."""
        self._record.end(self._position, error)
        self.leave()

    def enter(self) -> None:
        """Stand inside its context; the first step follows the call at once, and finds us there."""
        if self._entered is None:
            self._entered = self._record.enter(self._position)

    def leave(self) -> None:
        """Leave it."""
        entered, self._entered = self._entered, None
        if entered is not None:
            self._record.leave(self._position, entered)

    def leave_with(self, pair: tuple[Any, Any]) -> Any:
        """Leave it because it waits; return what for."""
        self.leave()
        return pair[1]

    def of(self, awaitable: Any) -> Awaitable[Any]:
        """Return something to await in the place of *awaitable*. Its end is not noticed: see :meth:`end`."""
        if not hasattr(awaitable, "__await__"):  # a generator marked as a coroutine, or what cannot be awaited at all
            awaitable = _awaiting(awaitable)
        return _Observed(self, awaitable)


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable


class _Observed(map):  # type: ignore[type-arg]
    """An awaitable that enters before each step of another one, and leaves when that waits.

    ``zip`` first asks for nothing, which enters, and then for the step; ``map`` leaves with what the step yields. All three
    are called by the interpreter, so the receiver's frame lies right above its sender's.
    """

    _awaitable: Any
    _steps: Any
    _inside: _Steps

    def __new__(cls, inside: _Steps, awaitable: Any) -> Self:
        steps = awaitable.__await__()
        observed = super().__new__(cls, inside.leave_with, zip(iter(inside.enter, _NEVER), steps, strict=False))
        observed._steps, observed._inside, observed._awaitable = steps, inside, awaitable
        return observed

    def __await__(self) -> _Observed:
        return self

    def send(self, value: Any) -> Any:
        self._inside.enter()
        return self._inside.leave_with((None, self._steps.send(value)))

    def throw(self, *error: Any) -> Any:
        throw = getattr(self._steps, "throw", None)
        if throw is None:  # then it is thrown where it is awaited
            raise next((one for one in error if isinstance(one, BaseException)), error[0])
        self._inside.enter()
        return self._inside.leave_with((None, throw(*error)))

    def close(self) -> None:
        self._inside.enter()
        getattr(self._steps, "close", _nothing)()

    def __getattr__(self, name: str) -> Any:  # cr_frame and the like, for debuggers
        return getattr(self._awaitable, name)


_NEVER = object()


def _nothing() -> None:
    return None


def _connected_to(signal: Any) -> Iterator[Receiver]:
    for connected in list(signal.receivers.values()):
        receiver = live(connected)
        if receiver is not None:
            yield receiver
