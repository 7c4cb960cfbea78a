"""Django's signals: every ``Signal`` and ``ModelSignal``, built in or an application's own.

The methods of ``django.dispatch.Signal`` are replaced by ones that do the same and report. The receivers in
its registry, and everything else about it, stay what they are. Django's dispatcher differs between releases:

=========  ===========================  ================  =====================================
Django     ``_live_receivers`` returns  logs captured by  async receivers run
=========  ===========================  ================  =====================================
4.2        a list                       itself            never: it calls them as plain ones
5.0 - 6.0  a pair: plain and async      a method          each in its own context, with gather
6.1        a pair: plain and async      a method          in one shared context, in a TaskGroup
=========  ===========================  ================  =====================================
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from heliograph.adapters.adapter import Patches, Undo, is_stock, live, outer_dialect, replace, say_unknown
from heliograph.adapters.overrides import Overrides, note_send
from heliograph.adapters.receiver_calls import Connection, Registry, reference_to
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Policy, Receiver
from heliograph.fanout.naming import SignalNames
from heliograph.fanout.run import (
    NOBODY,
    Dialect,
    Live,
    gather,
    make_asend,
    make_outer_asend,
    make_outer_send,
    make_send,
)

__all__ = ["DjangoAdapter", "adapter"]

logger = logging.getLogger("heliograph")

KNOWN_RELEASES = ((4, 2), (5, 0), (5, 1), (5, 2), (6, 0), (6, 1))
OPERATIONS: dict[str, Policy] = {
    "send": PROPAGATE,
    "send_robust": CAPTURE,
    "asend": PROPAGATE,
    "asend_robust": CAPTURE,
}


class DjangoAdapter:
    """Makes ``django.dispatch`` report."""

    library = "django"

    def __init__(self) -> None:
        self._patches = Patches(self._apply)

    def available(self) -> bool:
        return importlib.util.find_spec("django") is not None

    def install(self) -> Undo:
        return self._patches.hold()

    def connected(self) -> Iterator[tuple[str, Receiver]]:
        for name, signal in self._names.all():
            yield from ((name, receiver) for receiver in _connected_to(signal))

    def signal_names(self) -> list[str]:
        return [name for name, _ in self._names.all()]

    @functools.cached_property
    def _names(self) -> SignalNames:
        return SignalNames(importlib.import_module("django.dispatch").Signal)

    def _apply(self) -> list[Undo]:
        dispatcher = importlib.import_module("django.dispatch.dispatcher")
        signal_class = dispatcher.Signal
        known = _is_known_release()
        overrides = Overrides(signal_class, Registry(_keys, _connections) if known else None)
        dialect = (
            _dialect(dispatcher, self._names, overrides) if known else outer_dialect("django", self._names.name_of)
        )
        originals = {name: vars(signal_class)[name] for name in OPERATIONS if name in vars(signal_class)}
        stand_ins = {
            name: _stand_in(name, original, OPERATIONS[name], dialect, known) for name, original in originals.items()
        }
        undos = [replace(signal_class, name, stand_in) for name, stand_in in stand_ins.items()]
        return [*undos, overrides.install(dialect, [(stand_ins[name], originals[name]) for name in originals])]


adapter = DjangoAdapter()


def _stand_in(name: str, original: Any, policy: Policy, dialect: Dialect, known: bool) -> Callable[..., Any]:
    if known and is_stock(original, "django.dispatch.dispatcher"):
        made = (make_asend if name.startswith("a") else make_send)(name, policy, dialect)
        if name == "send" and _calls_from_a_comprehension():
            made = _one_frame_deeper(made)
    else:  # an unknown release, or a method that somebody else has wrapped: theirs is called, not done again
        made = (make_outer_asend if name.startswith("a") else make_outer_send)(name, policy, dialect, original)
    return functools.update_wrapper(made, original)


def _is_known_release() -> bool:
    version = importlib.import_module("django").VERSION
    if version[:2] in KNOWN_RELEASES:
        return True
    say_unknown("Django", ".".join(map(str, version[:2])))
    return False


def _dialect(dispatcher: Any, names: SignalNames, overrides: Overrides) -> Dialect:
    no_receivers = dispatcher.NO_RECEIVERS
    shared_context = getattr(dispatcher, "_run_parallel", None)
    pairs = isinstance(dispatcher.Signal()._live_receivers(None), tuple)

    operations = overrides.operations

    def live(signal: Any, sender: Any) -> Live:
        if operations:  # most programs have none, and pay for this question alone
            note_send(signal, sys._getframe(1))
        if not signal.receivers or signal.sender_receivers_cache.get(sender) is no_receivers:
            return NOBODY
        return signal._live_receivers(sender) if pairs else (signal._live_receivers(sender), ())

    return Dialect(
        "django",
        names.name_of,
        _uid_of,
        live,
        _log_as_django_5 if pairs else _log_as_django_4(dispatcher.logger),
        parallel=shared_context or gather,
        overlapping=shared_context is None,
    )


def _uid_of(signal: Any, receiver: Receiver) -> str | None:
    own = _make_id(receiver)
    for (uid, _), connected, *_ in list(signal.receivers):
        if uid != own and live(connected) == receiver:
            return str(uid)
    return None


def _make_id(receiver: Any) -> Any:
    return (id(receiver.__self__), id(receiver.__func__)) if hasattr(receiver, "__func__") else id(receiver)


def _log_as_django_5(signal: Any, receiver: Any, error: Exception) -> None:
    signal._log_robust_failure(receiver, error)


def _log_as_django_4(logger: logging.Logger) -> Callable[[Any, Any, Exception], None]:
    def log(signal: Any, receiver: Any, error: Exception) -> None:
        # __qualname__ fails for a partial, as it does in Django: who relies on that gets the same.
        logger.error("Error calling %s in Signal.send_robust() (%s)", receiver.__qualname__, error, exc_info=error)

    return log


def _calls_from_a_comprehension() -> bool:
    """Tell whether Django's own ``send`` calls receivers from a list comprehension that has a frame of its own."""
    return importlib.import_module("django").VERSION[0] == 4 and sys.version_info < (3, 12)


def _one_frame_deeper(send: Callable[..., Any]) -> Callable[..., Any]:
    def deeper(self: Any, sender: Any, **named: Any) -> Any:
        return send(self, sender, **named)

    return deeper


def _keys(signal: Any) -> list[object]:
    return [connection[0] for connection in signal.receivers]


def _connections(signal: Any) -> Iterator[Connection]:
    for (_, sender_id), connected, *_ in list(signal.receivers):
        reference = connected if isinstance(connected, weakref.ReferenceType) else reference_to(connected)
        yield Connection(reference, functools.partial(_is_for, sender_id))


def _is_for(sender_id: Any, sender: object) -> bool:
    return sender_id in {_make_id(None), _make_id(sender)}


def _connected_to(signal: Any) -> Iterator[Receiver]:
    for connection in list(getattr(signal, "receivers", ())):
        receiver = live(connection[1])  # after the key, in every release
        if receiver is not None:
            yield receiver
