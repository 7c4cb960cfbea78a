"""Signals that may be any hashable object: strings, bare objects, members of an enumeration, numbers.

heliograph tells signals apart by identity and refers to them weakly. Equal strings are different objects, and neither
they nor an ``object()`` can be referred to weakly, so each signal that has a name gets a key that stands for it. There
are not more than a thousand: signals made up while a program runs must fill neither its memory nor a backend. The
others share one key, and the name ``_OTHER``.
"""

from __future__ import annotations

import enum
import logging
import sys
import threading
from collections.abc import Iterator
from time import perf_counter
from types import ModuleType
from typing import Any, Final

from heliograph.fanout import naming
from heliograph.fanout.naming import SignalNames

__all__ = ["MAX_SIGNALS", "SignalKey", "SignalKeys"]

logger = logging.getLogger("heliograph")

MAX_SIGNALS: Final = 1_000
_SINGLETONS = (None, ..., NotImplemented)  # everybody holds them
_MAX_LENGTH: Final = 200  # a longer string is a text, and no name


class SignalKey:
    """Stands for a signal.

    Attributes:
        name: The signal's name; None when it cannot be known.
    """

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str | None) -> None:
        self.name: str | None = name


class SignalKeys:
    """The keys of all signals that have a name.

    Args:
        *defining: Names of modules that are known to define signals: these are looked into first.
    """

    def __init__(self, *defining: str) -> None:
        self._keys: dict[Any, SignalKey] = {}
        self._nameless = SignalKey(None)
        self._held = _HeldByModules(defining)
        self._lock = threading.Lock()
        self._is_full = False

    def of(self, signal: Any) -> SignalKey:
        """Return the key that stands for *signal*; one and the same for all that have no name."""
        try:
            return self._keys.get(signal) or self._learn(signal)
        except Exception:  # it may be unhashable, or compare as it likes: the dispatcher will say so, not we
            return self._nameless

    def names(self) -> list[str]:
        """Return the names of all signals that were asked for."""
        return [key.name for key in list(self._keys.values()) if key.name is not None]

    def _learn(self, signal: Any) -> SignalKey:
        if len(self._keys) >= MAX_SIGNALS:
            self._say_full()
            return self._nameless
        name = _own_name(signal) or (self._held.name_of(signal) if _has_identity(signal) else None)
        if name is None:  # not kept: it may live shorter than we do, and may be named later
            return self._nameless
        with self._lock:
            return self._keys.setdefault(signal, SignalKey(name))

    def _say_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            logger.warning(
                "There are more than %s signals; heliograph calls all further ones _OTHER. "
                "Are names of signals made up while the program runs?",
                MAX_SIGNALS,
            )


def _own_name(signal: Any) -> str | None:
    if issubclass(type(signal), enum.Enum):
        return f"{type(signal).__module__}.{type(signal).__qualname__}.{signal._name_}"
    if issubclass(type(signal), str) and 0 < len(signal) <= _MAX_LENGTH:
        return str.__str__(signal)
    return None


def _has_identity(signal: Any) -> bool:
    """Tell whether *signal* is equal to nothing but itself: a module that holds a 1 says nothing of another 1."""
    compares: Any = type(signal).__eq__
    return compares in {object.__eq__, type.__eq__} and signal not in _SINGLETONS


class _HeldByModules(SignalNames):
    """The names under which modules and classes hold an object; it looks no longer than its parent would."""

    def __init__(self, defining: tuple[str, ...]) -> None:
        super().__init__()
        self._defining = defining

    def name_of(self, signal: Any, /) -> str | None:
        places = [place for name in self._defining for place in _places_in(name, signal)]
        if not places and self._may_search():
            with self._lock:
                places = self._places(signal)
        return ".".join(naming._place_of_definition(places)) if places else None

    def _places(self, signal: Any) -> list[tuple[str, str]]:
        began, self._modules_seen = perf_counter(), len(sys.modules)
        places = [place for name in list(sys.modules) for place in _places_in(name, signal)]
        self._searches += 1
        self._next_search = perf_counter() + (perf_counter() - began) * naming._REST
        return places


def _places_in(module_name: str, signal: Any) -> Iterator[tuple[str, str]]:
    module = sys.modules.get(module_name)
    if not issubclass(type(module), ModuleType):  # type(): a lazy object answers for its class by loading itself
        return
    for name, value in list(naming._MODULE_DICT.__get__(module).items()):
        if value is signal:
            yield module_name, name
        elif issubclass(type(value), type) and naming._module_of(value) == module_name:
            held = list(naming._CLASS_DICT.__get__(value).items())
            yield from ((module_name, f"{name}.{attribute}") for attribute, one in held if one is signal)
