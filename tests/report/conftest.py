"""Dispatches made by hand, with times that are exact, and a collector that hears of them."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from heliograph.config import Settings
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Dispatch, Mode, Outcome, ReceiverCall, Site
from heliograph.report.collector import Collector
from heliograph.report.model import DispatchLine, ReceiverLine
from heliograph.telemetry.policy import Worth

MILLISECOND = 1_000_000


def function(name: str) -> Callable[..., None]:
    """Return a function that is known by this dotted name."""

    def receiver(**_: object) -> None:
        raise AssertionError("never called: its calls are made by hand")

    receiver.__module__, _, receiver.__qualname__ = name.rpartition(".")
    return receiver


def model(label: str) -> type:
    """Return a class that is known by this name, as a model is by its label."""
    module, _, name = label.rpartition(".")
    return types.new_class(name, exec_body=lambda namespace: namespace.update(__module__=module))


@dataclass
class Call:
    """One call to make up: who, how long in milliseconds, what it raises, what it sends meanwhile."""

    receiver: str
    took: float = 1
    error: BaseException | None = None
    sends: Sequence[Sent] = ()
    mode: Mode = Mode.SYNC


@dataclass
class Sent:
    """One dispatch to make up."""

    signal: str
    calls: Sequence[Call] = ()
    sender: str | None = None
    robust: bool = False
    due: Sequence[str] | None = field(default=None)
    unknown: bool = False


class _Library:
    system = "django"

    def __init__(self, name: str) -> None:
        self._name = name

    def name_of(self, _: object) -> str:
        return self._name

    def uid_of(self, *_: object) -> None:
        return None


class Stage:
    """Plays dispatches to a collector, one after the other, on a clock of its own."""

    def __init__(self, **arguments: Any) -> None:
        settings = {name: arguments.pop(name) for name in list(arguments) if name in ("level", "slow", "levels")}
        self.settings = Settings.load(**settings)
        self.collector = Collector(Worth(self.settings), **arguments)
        self.now = 1_000
        self._functions: dict[str, Callable[..., None]] = {}
        self._models: dict[str, type] = {}

    def function(self, name: str) -> Callable[..., None]:
        """Return the one function of that name."""
        return self._functions.setdefault(name, function(name))

    def play(self, *sent: Sent) -> Stage:
        """Play root dispatches."""
        for one in sent:
            self._play(one, None)
        return self

    def start(self, sent: Sent, outer: ReceiverCall | None = None) -> Dispatch:
        """Begin a dispatch and leave it open."""
        due = [call.receiver for call in sent.calls] if sent.due is None else sent.due
        sender = None if sent.sender is None else self._models.setdefault(sent.sender, model(sent.sender))
        dispatch = Dispatch(
            Site(_Library(sent.signal), lambda: None),
            sender,
            "send_robust" if sent.robust else "send",
            CAPTURE if sent.robust else PROPAGATE,
            None if sent.unknown else [self.function(name) for name in due],
            sum(call.mode is Mode.SYNC for call in sent.calls) if sent.due is None else len(due),
            (),
            outer,
        )
        dispatch.began = self.now
        return dispatch

    def call(self, dispatch: Dispatch, call: Call) -> ReceiverCall:
        """Begin a receiver call and leave it open."""
        function = self.function(call.receiver)
        due = enumerate(dispatch.receivers or ())
        position = next(at for at, one in due if one is function and dispatch.begans[at] is None)
        dispatch.begans[position] = self.now
        return ReceiverCall(dispatch, position)

    def end(self, fact: Dispatch | ReceiverCall, error: BaseException | None = None) -> None:
        """End a call or a dispatch now."""
        if isinstance(fact, Dispatch):
            fact.ended, fact.error, fact.outcome = self.now, error, Outcome.of(error)
            return
        fact.dispatch.endeds[fact.position] = self.now
        if error is not None:
            fact.dispatch.fault(fact.position, error)

    def _play(self, sent: Sent, outer: ReceiverCall | None) -> None:
        dispatch = self.start(sent, outer)
        raised = None
        for call in sent.calls:
            begun = self.call(dispatch, call)
            for inner in call.sends:
                self._play(inner, begun)
            self.now += int(call.took * MILLISECOND)
            self.end(begun, call.error)
            if call.error is not None and not sent.robust:
                raised = call.error
                break
        self.end(dispatch, raised)
        self.collector.finished(dispatch)


@pytest.fixture
def stage() -> Stage:
    """A stage where everything gets a line, and what takes a tenth of a second is slow."""
    return Stage()


def outline(lines: Sequence[DispatchLine]) -> list[Any]:
    """Return the names and counts of a tree."""
    return [(line.signal, line.count, [_outline(one) for one in line.receivers]) for line in lines]


def _outline(line: ReceiverLine) -> Any:
    inner = outline(line.lines)
    return (line.receiver, line.count, inner) if inner else (line.receiver, line.count)
