"""Dotted names for signals that carry none, found in the modules and classes that hold them.

``post_save`` is an attribute of many modules, and only one defined it. Where several hold the same signal,
the compiled module tells an assignment from an import.
"""

from __future__ import annotations

import dis
import sys
import threading
import weakref
from collections.abc import Iterator
from importlib.util import find_spec
from time import perf_counter
from types import CodeType, ModuleType
from typing import Any

__all__ = ["SignalNames"]

# Some programs import their main module under its real name as well, which is the better one; multiprocessing
# adds one that is worse.
_WORSE = {"__main__": 1, "__mp_main__": 2}
_FREE_SEARCHES = 50
_REST = 50  # times as long as a search took
_IMPORTS = ("IMPORT_FROM", "IMPORT_NAME")


class SignalNames:
    """The names of all live signals of some classes, searched for in the loaded modules whenever one is not known."""

    def __init__(self, *classes: type) -> None:
        self._classes = classes
        # By id, because a signal may define equality as it likes; the reference removes it when the signal dies.
        self._names: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._modules_seen = self._searches = 0
        self._next_search = 0.0
        self._lock = threading.Lock()

    def name_of(self, signal: Any, /) -> str | None:
        """Return the dotted name of *signal*, or None when no loaded module or class holds it."""
        found = self._names.get(id(signal))
        if found is None and self._may_search():
            with self._lock:
                self._search()
            found = self._names.get(id(signal))
        return None if found is None else found[1]

    def _may_search(self) -> bool:
        # Modules are searched for each signal that is not known. Some never are: beyond the first searches, and
        # while no module is loaded, no more than a small share of the time is spent on it.
        if self._searches < _FREE_SEARCHES or len(sys.modules) != self._modules_seen:
            return True
        return perf_counter() > self._next_search

    def all(self) -> list[tuple[str, Any]]:
        """Return name and signal of all that the loaded modules and classes hold."""
        with self._lock:
            self._search()
        found = [(name, reference()) for reference, name in list(self._names.values())]
        return sorted(((name, signal) for name, signal in found if signal is not None), key=lambda pair: pair[0])

    def _search(self) -> None:
        began, self._modules_seen = perf_counter(), len(sys.modules)
        holders: dict[int, tuple[Any, list[tuple[str, str]]]] = {}
        for module, path, signal in _held_signals(self._classes):
            holders.setdefault(id(signal), (signal, []))[1].append((module, path))
        for signal, places in holders.values():
            if id(signal) not in self._names:
                self._add(signal, ".".join(_place_of_definition(places)))
        self._searches += 1
        self._next_search = perf_counter() + (perf_counter() - began) * _REST

    def _add(self, signal: Any, name: str) -> None:
        names, key = self._names, id(signal)
        names[key] = weakref.ref(signal, lambda _: names.pop(key, None)), name


def _held_signals(classes: tuple[type, ...]) -> Iterator[tuple[str, str, Any]]:
    for module_name, module in list(sys.modules.items()):
        # type() and not isinstance(): a lazy object answers for its class by loading itself.
        if not issubclass(type(module), ModuleType):
            continue
        for name, value in list(_MODULE_DICT.__get__(module).items()):
            if issubclass(type(value), classes):
                yield module_name, name, value
            elif issubclass(type(value), type) and _module_of(value) == module_name:
                yield from ((module_name, path, signal) for path, signal in _signals_of_class(value, name, classes))


def _signals_of_class(cls: type, path: str, classes: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in list(_CLASS_DICT.__get__(cls).items()):
        if issubclass(type(value), classes):
            yield f"{path}.{name}", value


# What a metaclass or a kind of module does when it is asked for its attributes is not our business.
_MODULE_DICT: Any = vars(ModuleType)["__dict__"]
_CLASS_DICT: Any = vars(type)["__dict__"]


def _module_of(cls: type) -> str | None:
    name = _CLASS_DICT.__get__(cls).get("__module__")
    return name if type(name) is str else None


def _place_of_definition(places: list[tuple[str, str]]) -> tuple[str, str]:
    if len(places) == 1:
        return places[0]
    defining = [place for place in places if _assigns(*place)]
    # Within one module the first one wins: it is the definition, the others are aliases.
    return min(defining or places, key=lambda place: (_WORSE.get(place[0], 0), place[0].count("."), place[0]))


def _assigns(module_name: str, path: str) -> bool:
    """Tell whether the module gives the name a value of its own rather than importing it."""
    name, _, rest = path.partition(".")
    if rest:
        return True  # held by a class that the module itself defines
    previous = ""
    for instruction in dis.get_instructions(_code_of(module_name) or _NO_CODE):
        if instruction.opname == "STORE_NAME" and instruction.argval == name and previous not in _IMPORTS:
            return True
        previous = instruction.opname
    return False


_NO_CODE = compile("", "<nothing>", "exec")


def _code_of(module_name: str) -> CodeType | None:
    try:
        loader: Any = (sys.modules[module_name].__spec__ or find_spec(module_name)).loader  # type: ignore[union-attr]
        code = loader.get_code(module_name)
        return code if isinstance(code, CodeType) else None
    except Exception:  # loaders are other people's code, and a name is never worth an error
        return None
