"""What an adapter is: something that makes a library's dispatcher report, and can undo it."""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Protocol

from heliograph.fanout.facts import Receiver
from heliograph.fanout.run import NOBODY, Dialect

__all__ = ["Adapter", "Patches", "Undo", "is_stock", "live", "outer_dialect", "replace", "say_unknown"]

logger = logging.getLogger("heliograph")

Undo = Callable[[], None]


class Adapter(Protocol):
    """Makes one library's dispatcher report.

    Attributes:
        library: The library's name, as users write it and as ``heliograph.system.name`` has it.
    """

    library: str

    def available(self) -> bool:
        """Return whether the library is installed, without importing it."""
        ...

    def install(self) -> Undo:
        """Make the dispatcher report. Several installations count as one, until the last is undone."""
        ...

    def connected(self) -> Iterator[tuple[str, Receiver]]:
        """Yield the dotted name of a signal and a receiver, for each receiver that is connected now."""
        ...

    def signal_names(self) -> list[str]:
        """Return the dotted names of all signals that the loaded modules hold."""
        ...


class Patches:
    """Attributes replaced for as long as anybody needs them."""

    def __init__(self, apply: Callable[[], list[Undo]]) -> None:
        self._apply = apply
        self._undos: list[Undo] = []
        self._holders: set[object] = set()
        self._lock = threading.Lock()

    def hold(self) -> Undo:
        """Apply the patches unless they are; return a function that lets go of them, once."""
        holder = object()
        with self._lock:
            if not self._holders:
                self._undos = self._apply()
            self._holders.add(holder)
        return lambda: self._release(holder)

    def _release(self, holder: object) -> None:
        with self._lock:
            if holder not in self._holders:
                return
            self._holders.remove(holder)
            if not self._holders:
                for undo in reversed(self._undos):
                    undo()
                self._undos = []


def replace(owner: Any, name: str, replacement: Any) -> Undo:
    """Put *replacement* in the place of ``owner.name``; return a function that puts the original back.

    Where somebody else has replaced the replacement since, it stays: taking it out would take theirs out.
    Without observers it does what the original does.
    """
    original = vars(owner)[name]
    setattr(owner, name, replacement)

    def undo() -> None:
        if vars(owner).get(name) is replacement:
            setattr(owner, name, original)

    return undo


def is_stock(method: Any, module: str) -> bool:
    """Tell whether *method* is the library's own, from its *module*, and not somebody's wrapper or mock of it."""
    own = isinstance(method, FunctionType) and method.__module__ == module
    return own and not hasattr(method, "__wrapped__")


def live(connected: Any) -> Any:
    """Return the receiver that *connected* is or refers to, or None when it has died."""
    return connected() if isinstance(connected, weakref.ReferenceType) else connected


def outer_dialect(system: str, name_of: Callable[[Any], str | None]) -> Dialect:
    """Return the dialect of a dispatcher of which nothing but the signals' names is looked at."""
    return Dialect(system, name_of, lambda *_: None, lambda *_: NOBODY, lambda *_: None)


@functools.cache  # said once, however often the library is instrumented
def say_unknown(library: str, version: str) -> None:
    """Say that the inside of a release is not known."""
    logger.warning(
        "heliograph does not know the signal dispatcher of %s %s; dispatches are observed, their receivers are not. "
        "A newer heliograph may know it.",
        library,
        version,
    )
