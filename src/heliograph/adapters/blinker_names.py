"""The names of blinker's signals: their own, made dotted with where they live."""

from __future__ import annotations

import weakref
from typing import Any

from heliograph.fanout.facts import UNKNOWN_NAME
from heliograph.fanout.naming import SignalNames

__all__ = ["BlinkerNames"]


class BlinkerNames(SignalNames):
    """The names of blinker's signals.

    A named signal keeps its own name, after the place of its namespace (``flask.signals.request-started``), or else after
    the module that holds it. In the default namespace, which all of a program shares, its own name says it all.
    """

    def __init__(self, base: Any) -> None:
        super().__init__(base.Signal, base.Namespace)
        self._named_class, self._namespace_class = base.NamedSignal, base.Namespace
        self._namespaces: dict[int, tuple[weakref.ref[Any], str]] = {}
        if hasattr(base, "default_namespace"):  # not in old releases
            self._add(base.default_namespace, "")

    def name_of(self, signal: Any, /) -> str | None:
        own = self._own_name(signal)
        place = self._namespace_of(signal, own)
        if place is None:
            path = super().name_of(signal)  # may search, and find its namespace
            place = self._namespace_of(signal, own)
            if own is None:
                return path or self._name_within_another(signal)
            if place is None and path is not None:
                place = path.rpartition(".")[0]
        return f"{place}.{own}" if place else own

    def signals(self) -> list[tuple[str, Any]]:
        """Return name and signal of all that the loaded modules, classes and their namespaces hold."""
        super().all()  # search
        names = [(self.name_of(signal), signal) for signal in self._known()]
        return sorted(((name, signal) for name, signal in names if name is not None), key=lambda pair: pair[0])

    def _own_name(self, signal: Any) -> str | None:
        own = vars(signal).get("name") if isinstance(signal, self._named_class) else None
        return own if type(own) is str and own else None

    def _namespace_of(self, signal: Any, own: str | None) -> str | None:
        for reference, place in list(self._namespaces.values()):
            namespace = reference()
            if namespace is not None and own is not None and dict.get(namespace, own) is signal:
                return place
        return None

    def _known(self) -> list[Any]:
        """Return all signals found so far, each once."""
        held = [reference() for reference, _ in list(self._names.values()) + list(self._namespaces.values())]
        found: dict[int, Any] = {}
        for one in held:
            signals: list[Any] = [*dict.values(one)] if isinstance(one, dict) else [one]  # a namespace is one
            found.update({id(signal): signal for signal in signals if signal is not None})
        return list(found.values())

    def _name_within_another(self, signal: Any) -> str | None:
        if "__doc__" not in vars(signal):  # blinker gives those signals one of their own
            return None
        for outer in self._known():
            for attribute in ("receiver_connected", "receiver_disconnected"):
                if vars(outer).get(attribute) is signal:
                    return f"{self.name_of(outer) or UNKNOWN_NAME}.{attribute}"
        return None

    def _add(self, signal: Any, name: str) -> None:
        if not isinstance(signal, self._namespace_class):
            super()._add(signal, name)
            return
        namespaces, key = self._namespaces, id(signal)
        if key not in namespaces:
            place = name.rpartition(".")[0]
            namespaces[key] = weakref.ref(signal, lambda _: namespaces.pop(key, None)), place
