"""PyDispatcher's signals, and those of Scrapy, which are PyDispatcher's.

What is put in the place of PyDispatcher's functions, and why of those, is said in
:mod:`heliograph.adapters.pydispatcher_calls`; what Scrapy does of its own in :mod:`heliograph.adapters.scrapy`. Scrapy
and Twisted are left to the program to import: Scrapy's functions are looked at once it has them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType, FunctionType, ModuleType
from typing import Any

from heliograph.adapters import scrapy
from heliograph.adapters.adapter import Patches, Undo, replace
from heliograph.adapters.hashable_signals import SignalKeys
from heliograph.adapters.imported import when_imported
from heliograph.adapters.pydispatcher_alone import observe_alone
from heliograph.adapters.pydispatcher_calls import (
    Operation,
    Signals,
    make_get_all_receivers,
    make_live_receivers,
    make_robust_apply,
)
from heliograph.fanout.facts import CAPTURE, PROPAGATE, UNKNOWN_NAME, Receiver

__all__ = ["PyDispatcherAdapter", "adapter"]

logger = logging.getLogger("heliograph")

KNOWN_RELEASES = ("2.0.5", "2.0.6", "2.0.7")
_MODULES = ("robustapply", "dispatcher", "robust")
_SENDING = {"pydispatch.dispatcher", "pydispatch.robust"}
OPERATIONS = {
    "send": Operation("send", PROPAGATE),
    "sendExact": Operation("sendExact", PROPAGATE),
    "sendRobust": Operation("sendRobust", CAPTURE),
}


@dataclass(frozen=True, slots=True)
class _Library:
    """What a site needs to know."""

    system: str
    name_of: Callable[[Any], str | None]
    uid_of: Callable[[Any, Receiver], str | None]


_LIBRARY = _Library("pydispatcher", lambda key: key.name, lambda *_: None)


class PyDispatcherAdapter:
    """Makes PyDispatcher and Scrapy report."""

    library = _LIBRARY.system

    def __init__(self) -> None:
        self._keys = SignalKeys(scrapy.SIGNALS, "pydispatch.dispatcher")
        self._patches = Patches(self._apply)

    def available(self) -> bool:
        return importlib.util.find_spec("pydispatch") is not None

    def install(self) -> Undo:
        return self._patches.hold()

    def connected(self) -> Iterator[tuple[str, Receiver]]:
        dispatcher = importlib.import_module("pydispatch.dispatcher")
        for by_signal in list(dispatcher.connections.values()):
            for signal, receivers in list(by_signal.items()):
                name = self._keys.of(signal).name or UNKNOWN_NAME
                yield from ((name, receiver) for receiver in dispatcher.liveReceivers(tuple(receivers)))

    def signal_names(self) -> list[str]:
        scrapys = sys.modules.get(scrapy.SIGNALS)
        for signal in [] if scrapys is None else list(vars(scrapys).values()):
            if type(signal) is object:
                self._keys.of(signal)
        connected = {name for name, _ in self.connected()} - {UNKNOWN_NAME}
        return sorted(connected.union(self._keys.names()))

    def _apply(self) -> list[Undo]:
        robustapply, dispatcher, robust = [importlib.import_module(f"pydispatch.{name}") for name in _MODULES]
        signals = Signals(dispatcher, _LIBRARY, self._keys)
        if not _is_known_release(robustapply, dispatcher):
            undos = [undo for module in (dispatcher, robust) for undo in _alone(module, OPERATIONS, signals)]
            return [*undos, when_imported(scrapy.MODULE, lambda it: _together(_alone(it, scrapy.senders(it), signals)))]
        stand_ins = _stand_ins(robustapply, dispatcher, signals)
        undos = [undo for module in (robustapply, dispatcher, robust) for undo in _put(module, stand_ins)]
        return [*undos, when_imported(scrapy.MODULE, lambda it: _together(_patch_scrapy(it, stand_ins, signals)))]


adapter = PyDispatcherAdapter()

StandIn = tuple[Any, Any]
"""What is replaced, and what stands in for it."""


def _stand_ins(robustapply: Any, dispatcher: Any, signals: Signals) -> dict[str, StandIn]:
    made = {
        "robustApply": (robustapply.robustApply, make_robust_apply(robustapply)),
        "getAllReceivers": (dispatcher.getAllReceivers, make_get_all_receivers(dispatcher, signals, _operation_of)),
        "liveReceivers": (dispatcher.liveReceivers, make_live_receivers(dispatcher, signals, _operation_of)),
    }
    return {name: (original, functools.update_wrapper(new, original)) for name, (original, new) in made.items()}


def _operation_of(frame: FrameType) -> Operation | None:
    module = frame.f_globals.get("__name__")
    if module == scrapy.MODULE:
        return scrapy.operation_of(frame)
    return OPERATIONS.get(frame.f_code.co_qualname) if module in _SENDING else None


def _put(module: ModuleType, stand_ins: Mapping[str, StandIn]) -> list[Undo]:
    """Replace in *module* what it has of the originals.

    One that was imported later has the stand-ins already, by name, and shall have the originals in the end.
    """
    undos = []
    for name, (original, stand_in) in stand_ins.items():
        if vars(module).get(name) is stand_in:
            setattr(module, name, original)
        if vars(module).get(name) is original:
            undos.append(replace(module, name, stand_in))
    return undos


def _patch_scrapy(module: ModuleType, stand_ins: Mapping[str, StandIn], signals: Signals) -> list[Undo]:
    undos = _put(module, stand_ins)
    if scrapy.is_known(module):
        return [*undos, *scrapy.patch(module, signals)]
    _together(undos)()
    _say_unknown("Scrapy", importlib.import_module("scrapy").__version__)
    return _alone(module, scrapy.senders(module), signals)


def _alone(module: ModuleType, operations: Mapping[str, Operation], signals: Signals) -> list[Undo]:
    """Observe dispatches alone."""
    return [
        replace(module, name, observe_alone(vars(module)[name], operation, signals))
        for name, operation in operations.items()
        if name in vars(module)
    ]


def _together(undos: list[Undo]) -> Undo:
    def undo() -> None:
        for one in reversed(undos):
            one()

    return undo


def _is_known_release(robustapply: Any, dispatcher: Any) -> bool:
    version = getattr(importlib.import_module("pydispatch"), "__version__", "")
    stock = (robustapply.robustApply, dispatcher.getAllReceivers, dispatcher.liveReceivers)
    if version not in KNOWN_RELEASES:
        _say_unknown("PyDispatcher", version)
        return False
    return all(_is_stock(one) for one in stock)  # else somebody has replaced them, and theirs are to be called


def _is_stock(function: Any) -> bool:
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return False
    return str(function.__module__).startswith("pydispatch.")


@functools.cache  # said once, however often it is instrumented
def _say_unknown(library: str, version: str) -> None:
    logger.warning(
        "heliograph does not know the dispatcher of %s %s; dispatches are observed, their receivers are not. "
        "A newer heliograph may know it.",
        library,
        version,
    )
