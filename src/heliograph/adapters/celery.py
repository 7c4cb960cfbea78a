"""Celery's signals: those that workers and clients send, and an application's own of the same class.

``send`` is replaced by one that does the same and reports, and ``send_robust`` stays an alias of it. Celery keeps some
signals' bound ``send`` from its import on (``celery.app.trace.send_prerun``), and so may others; such a method holds
the function that ``send`` was. That function gets other code, which calls the replacement.

To import Celery's dispatcher takes longer, and more memory, than heliograph itself. So that is left to the
program: a Celery that is installed and not used costs nothing.

The dispatcher has done the same since 5.4, the oldest release supported, as far as it is used here.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from heliograph.adapters.adapter import Patches, Undo, is_stock, live, outer_dialect, replace, say_unknown
from heliograph.adapters.imported import when_imported
from heliograph.fanout.describe import held_by, know_senders, look_through
from heliograph.fanout.facts import CAPTURE, Receiver
from heliograph.fanout.naming import SignalNames
from heliograph.fanout.run import NOBODY, Dialect, Live, make_outer_send, make_send

__all__ = ["CeleryAdapter", "adapter"]

DISPATCHER = "celery.utils.dispatch.signal"
KNOWN_RELEASES = ((5, 4), (5, 5), (5, 6), (5, 7))
# What ``connect(retry=True)`` connects in the place of a receiver, which it calls until that one succeeds.
_RETRYING = (
    "Signal.connect.<locals>._handle_options.<locals>._connect_signal.<locals>"
    "._retry_receiver.<locals>._try_receiver_over_time"
)


def _task_named(name: str) -> Any:
    """Return the task of that name: where a task is published, its name is the sender."""
    state: Any = sys.modules.get("celery._state")
    tasks = [app._tasks.get(name) for app in state._get_active_apps()] if state is not None else []
    return next((task for task in tasks if task is not None), None)


look_through(DISPATCHER, _RETRYING, "retry_fun")
know_senders("celery", _task_named)


class CeleryAdapter:
    """Makes ``celery.utils.dispatch`` report."""

    library = "celery"

    def __init__(self) -> None:
        self._patches = Patches(lambda: [when_imported(DISPATCHER, self._patch)])

    def available(self) -> bool:
        return importlib.util.find_spec("celery") is not None

    def install(self) -> Undo:
        return self._patches.hold()

    def connected(self) -> Iterator[tuple[str, Receiver]]:
        for name, signal in self._all_signals():
            yield from ((name, receiver) for receiver in _connected_to(signal))

    def signal_names(self) -> list[str]:
        return [name for name, _ in self._all_signals()]

    def _all_signals(self) -> list[tuple[str, Any]]:
        dispatcher = sys.modules.get(DISPATCHER)
        return [] if dispatcher is None else _names_of(dispatcher.Signal).all()

    def _patch(self, dispatcher: ModuleType) -> Undo:
        signal_class = dispatcher.Signal
        known = _is_known_release()
        dialect = _dialect(dispatcher) if known else outer_dialect(self.library, _name_finder(dispatcher))
        stand_ins: dict[int, Callable[..., Any]] = {}
        undos: list[Undo] = []
        for name in ("send", "send_robust"):
            original = vars(signal_class).get(name)
            if original is None:
                continue
            if id(original) not in stand_ins:  # else it is an alias, and stays one
                stand_in = stand_ins[id(original)] = _stand_in(name, original, dialect, known)
                if is_stock(original, DISPATCHER):
                    undos.append(_forward(original, stand_in))
            undos.append(replace(signal_class, name, stand_ins[id(original)]))

        def undo() -> None:
            for one in reversed(undos):
                one()

        return undo


adapter = CeleryAdapter()


def _stand_in(name: str, original: Any, dialect: Dialect, known: bool) -> Callable[..., Any]:
    if not is_stock(original, DISPATCHER):  # somebody else has wrapped it: theirs is called, not done again
        made = make_outer_send(name, CAPTURE, dialect, original)
    elif known:
        made = make_send(name, CAPTURE, dialect)
    else:
        made = make_outer_send(name, CAPTURE, dialect, _copy(original))
    return functools.update_wrapper(made, original)


def _copy(function: FunctionType) -> FunctionType:
    return FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )


def _forward(function: FunctionType, stand_in: Callable[..., Any]) -> Undo:
    """Make those who hold *function* itself, bound or not, call *stand_in*."""
    original, forwarding = function.__code__, _forwarding_code(stand_in)
    if function.__closure__:  # only code without free variables fits any function without them
        return lambda: None
    function.__code__ = forwarding

    def undo() -> None:
        if function.__code__ is forwarding:
            function.__code__ = original

    return undo


def _forwarding_code(stand_in: Callable[..., Any]) -> CodeType:
    def send(self: Any, sender: Any, **named: Any) -> Any:
        stand_in: Any = "the stand-in"
        return stand_in(self, sender, **named)

    # As a constant, because the code will run with the globals of Celery's module.
    constants = tuple(stand_in if one == "the stand-in" else one for one in send.__code__.co_consts)
    return send.__code__.replace(co_consts=constants)


def _is_known_release() -> bool:
    version = tuple(getattr(sys.modules.get("celery"), "VERSION", ())[:2])
    if version in KNOWN_RELEASES:
        return True
    say_unknown("Celery", ".".join(map(str, version)))
    return False


def _dialect(dispatcher: Any) -> Dialect:
    no_receivers = dispatcher.NO_RECEIVERS

    def called(signal: Any, sender: Any) -> Live:
        if not signal.receivers or signal.sender_receivers_cache.get(sender) is no_receivers:
            return NOBODY
        return signal._live_receivers(sender), ()

    def uid_of(signal: Any, receiver: Receiver) -> str | None:
        own = dispatcher._make_id(held_by(receiver))  # as Celery has it: of what is retried, not of what retries
        for (uid, _), connected in list(signal.receivers):
            if uid != own and live(connected) == receiver:
                return str(uid)
        return None

    def log(signal: Any, receiver: Receiver, error: Exception) -> None:
        # Called from a handler, and said as by the caller: it is called ``send`` as Celery's own is.
        dispatcher.logger.exception("Signal handler %r raised: %r", receiver, error, stacklevel=2)  # noqa: LOG004

    return Dialect("celery", _name_finder(dispatcher), uid_of, called, log)


def _name_finder(dispatcher: Any) -> Callable[[Any], str | None]:
    names = _names_of(dispatcher.Signal)

    def name_of(signal: Any) -> str | None:
        found = names.name_of(signal)
        if found is not None:
            return found
        own = getattr(signal, "name", None)  # of one that no module holds
        return own if type(own) is str and own else None

    return name_of


@functools.lru_cache(maxsize=1)
def _names_of(signal_class: type) -> SignalNames:
    return SignalNames(signal_class)


def _connected_to(signal: Any) -> Iterator[Receiver]:
    for connection in list(getattr(signal, "receivers", ())):
        receiver = live(connection[1])  # after the key
        if receiver is not None:
            yield receiver
