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
from types import CodeType, ModuleType
from typing import Any

__all__ = ["SignalNames"]

_IMPORTS = ("IMPORT_FROM", "IMPORT_NAME")


class SignalNames:
    """The names of all live signals of some classes. Searches the loaded modules again as more are loaded."""

    def __init__(self, *classes: type) -> None:
        self._classes = classes
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._modules_seen = 0
        self._lock = threading.Lock()

    def name_of(self, signal: Any, /) -> str | None:
        """Return the dotted name of *signal*, or None when no loaded module or class holds it."""
        if signal not in self._names and len(sys.modules) != self._modules_seen:
            with self._lock:
                self._search()
        return self._names.get(signal)

    def all(self) -> list[tuple[str, Any]]:
        """Return name and signal of all that the loaded modules and classes hold."""
        with self._lock:
            self._search()
        return sorted(((name, signal) for signal, name in self._names.items()), key=lambda pair: pair[0])

    def _search(self) -> None:
        self._modules_seen = len(sys.modules)
        holders: dict[int, tuple[Any, list[tuple[str, str]]]] = {}
        for module, path, signal in _held_signals(self._classes):
            holders.setdefault(id(signal), (signal, []))[1].append((module, path))
        for signal, places in holders.values():
            if signal not in self._names:
                self._names[signal] = ".".join(_place_of_definition(places))


def _held_signals(classes: tuple[type, ...]) -> Iterator[tuple[str, str, Any]]:
    for module_name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType):
            continue
        for name, value in list(vars(module).items()):
            # type() and not isinstance(): a lazy object answers for its class by loading itself.
            if issubclass(type(value), classes):
                yield module_name, name, value
            elif issubclass(type(value), type) and _module_of(value) == module_name:
                yield from ((module_name, path, signal) for path, signal in _signals_of_class(value, name, classes))


def _signals_of_class(cls: type, path: str, classes: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(cls).items()):
        if issubclass(type(value), classes):
            yield f"{path}.{name}", value


def _module_of(cls: type) -> object:
    return type.__dict__["__dict__"].__get__(cls).get("__module__")


def _place_of_definition(places: list[tuple[str, str]]) -> tuple[str, str]:
    if len(places) == 1:
        return places[0]
    defining = [place for place in places if _assigns(*place)]
    # "__main__" is also imported under its real name by some programs; the real name is the better one.
    return min(defining or places, key=lambda place: (place[0] == "__main__", place[0].count("."), place))


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
