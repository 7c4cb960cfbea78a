"""What an adapter is: something that makes a library's dispatcher report, and can undo it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from heliograph.fanout.facts import Receiver

__all__ = ["Adapter", "Patches", "Undo"]

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
