"""Observers for tests. They keep notes in words, and nothing alive that would have died without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from heliograph.fanout.describe import error_type, receiver_name
from heliograph.fanout.facts import Dispatch, ReceiverCall, Site
from heliograph.fanout.observer import observe

__all__ = ["CallNote", "Inside", "Note", "Recording", "observing"]


class CallNote(NamedTuple):
    """One receiver call, in words."""

    receiver: str
    mode: str
    outcome: str | None
    error: str | None


class Note(NamedTuple):
    """One dispatch, in words."""

    operation: str
    signal: str
    outcome: str | None
    error: str | None
    calls: tuple[CallNote, ...]


@dataclass
class Recording:
    """Notes each finished dispatch. With *keep*, also keeps the dispatches themselves, and all they hold."""

    keep: bool = False
    notes: list[Note] = field(default_factory=list)
    dispatches: list[Dispatch] = field(default_factory=list)

    def interested(self, site: Site) -> bool:
        return True

    def finished(self, dispatch: Dispatch) -> None:
        self.notes.append(note(dispatch))
        if self.keep:
            self.dispatches.append(dispatch)

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        """Operation and outcome of each dispatch, in the order in which they finished."""
        return [(one.operation, one.outcome) for one in self.notes]


@dataclass
class Inside(Recording):
    """Also stands inside each receiver's context, and keeps the order of all it hears."""

    heard: list[tuple[str, str]] = field(default_factory=list)

    def enter(self, dispatch: Dispatch, position: int) -> object:
        call = ReceiverCall(dispatch, position)
        self.heard.append(("enter", short_name(call)))
        return short_name(call)

    def leave(self, dispatch: Dispatch, position: int, entered: Any) -> None:
        call = ReceiverCall(dispatch, position)
        assert entered == short_name(call)
        self.heard.append(("leave" if call.ended is None else "end", short_name(call)))

    def finished(self, dispatch: Dispatch) -> None:
        super().finished(dispatch)
        self.heard.append(("finished", dispatch.operation))


def note(dispatch: Dispatch) -> Note:
    """Return *dispatch* in words."""
    calls = tuple(CallNote(short_name(call), call.mode.value, _outcome(call), _error(call)) for call in dispatch.calls)
    return Note(dispatch.operation, dispatch.site.name, _outcome(dispatch), _error(dispatch), calls)


def short_name(call: ReceiverCall) -> str:
    """Return the last segment of the receiver's name."""
    return receiver_name(call.receiver).rpartition(".")[2]


def _outcome(fact: Dispatch | ReceiverCall) -> str | None:
    return None if fact.outcome is None else fact.outcome.value


def _error(fact: Dispatch | ReceiverCall) -> str | None:
    return None if fact.error is None else error_type(fact.error)


@contextmanager
def observing(*observers: Any) -> Iterator[None]:
    """Let *observers* hear of all dispatches within the block."""
    undos: list[Callable[[], None]] = [observe(one) for one in observers]
    try:
        yield
    finally:
        for undo in undos:
            undo()
