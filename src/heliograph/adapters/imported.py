"""Waits until the program imports a module, so that nothing is imported that the program may never use.

A finder stands first among Python's while anybody waits. It finds nothing itself: it asks the others, and has the
loader that they name call back once it has run the module. Neither the loader nor the module keeps a trace of it.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from heliograph.adapters.adapter import Undo

__all__ = ["when_imported"]

logger = logging.getLogger("heliograph")


def when_imported(name: str, do: Callable[[ModuleType], Undo]) -> Undo:
    """Call *do* with a module: now if the program has imported it, else right after it does.

    Returns:
        A function that undoes what *do* did, or ends the waiting.
    """
    wait = _Wait(name, do)
    _finder.add(wait)
    if name in sys.modules:
        wait.arrived(importlib.import_module(name))  # another thread may be running it still: its import is waited for
    return wait.end


class _Wait:
    """Somebody who waits for a module."""

    def __init__(self, name: str, do: Callable[[ModuleType], Undo]) -> None:
        self.name = name
        self._do: Callable[[ModuleType], Undo] | None = do
        self._undo: Undo = lambda: None
        self._lock = threading.RLock()

    def arrived(self, module: ModuleType) -> None:
        """Do what is to be done, once."""
        _finder.remove(self)
        with self._lock:
            do, self._do = self._do, None
            if do is not None:
                self._undo = do(module)

    def end(self) -> None:
        """Undo it, or do not wait any more."""
        _finder.remove(self)
        with self._lock:
            self._do = None
            undo, self._undo = self._undo, lambda: None
        undo()


class _Finder:
    """Stands among Python's finders while anybody waits, and listens."""

    def __init__(self) -> None:
        self._waiting: list[_Wait] = []
        self._lock = threading.Lock()

    def add(self, wait: _Wait) -> None:
        with self._lock:
            self._waiting.append(wait)
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)

    def remove(self, wait: _Wait) -> None:
        with self._lock:
            if wait in self._waiting:
                self._waiting.remove(wait)
            if not self._waiting and self in sys.meta_path:
                sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the finders after this one find, with a loader that tells of the module's arrival."""
        if not any(wait.name == name for wait in self._waiting):
            return None
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :] if self in finders else ():
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _call_back(spec.loader, name, self._arrived)
                return spec
        return None

    def _arrived(self, module: ModuleType, name: str) -> None:
        for wait in [one for one in self._waiting if one.name == name]:
            try:
                wait.arrived(module)
            except Exception:  # the program's import goes on without us
                logger.exception("heliograph could not prepare %s; it works as it would without heliograph.", name)


_finder = _Finder()


def _call_back(loader: Any, name: str, arrived: Callable[[ModuleType, str], None]) -> None:
    """Have *loader* call *arrived* after it has run the module of that name, and be as it was from then on."""
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        if module.__name__ != name:  # a loader may serve a whole archive
            run(module)
            return
        vars(loader).pop("exec_module", None)
        run(module)
        arrived(module, name)

    loader.exec_module = exec_module
