"""One suite for every dispatcher, observed and not: the same assertions, so that nobody can tell the difference.

A new library is one more row in ``DISPATCHERS``. What a dispatcher cannot do at all is a capability of its row,
and a test that needs it says so and is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import django
import django.dispatch
import pytest

import heliograph
from heliograph import instrumentor
from tests.support.observers import Recording, observing
from tests.support.telemetry import Spans

IN_A_COMPREHENSION = django.VERSION < (5, 0) and sys.version_info < (3, 12)


@dataclass(frozen=True)
class Dispatcher:
    """What a dispatcher is, and what it can do."""

    library: str
    Signal: type[Any]
    asend: bool = True
    async_receivers: bool = True
    shared_context: bool = False
    checks_signatures: bool = True
    forgets_senders: bool = True
    names_any_receiver: bool = True
    frames: dict[str, int] = field(default_factory=lambda: {"send": 2, "send_robust": 2})

    def __str__(self) -> str:
        return self.library


HELIOGRAPH = Dispatcher("heliograph", heliograph.Signal)
DJANGO = Dispatcher(
    "django",
    django.dispatch.Signal,
    asend=django.VERSION >= (5, 0),
    async_receivers=django.VERSION >= (5, 0),
    shared_context=django.VERSION >= (6, 1),
    checks_signatures=False,
    forgets_senders=django.VERSION >= (6, 1),
    names_any_receiver=False,  # its send_robust fails for a failing receiver without __qualname__
    frames={"send": 3 if IN_A_COMPREHENSION else 2, "send_robust": 2},
)
DISPATCHERS = [HELIOGRAPH, DJANGO]


@pytest.fixture(params=DISPATCHERS, ids=str)
def dispatcher(request: pytest.FixtureRequest) -> Dispatcher:
    """The dispatcher under test."""
    row: Dispatcher = request.param
    return row


@pytest.fixture(params=["unobserved", "observed", "traced"], autouse=True)
def observation(request: pytest.FixtureRequest, dispatcher: Dispatcher) -> Iterator[Recording | None]:
    """Who observes: nobody, an observer that takes notes, or that one and the whole of telemetry."""
    if request.param == "unobserved":
        yield None
        return
    recording = Recording()
    if request.param == "traced":
        request.getfixturevalue("instrument")(dispatcher.library)
    undo = instrumentor._adapters["django"].install() if dispatcher is DJANGO else lambda: None
    try:
        with observing(recording):
            yield recording
    finally:
        undo()


@pytest.fixture
def traced(request: pytest.FixtureRequest, spans: Spans) -> Spans | None:
    """The exported spans, where telemetry observes."""
    return spans if request.node.callspec.params["observation"] == "traced" else None


@pytest.fixture
def signal(dispatcher: Dispatcher) -> Any:
    """A signal nobody is connected to."""
    return dispatcher.Signal()


@pytest.fixture
def awaiting(dispatcher: Dispatcher) -> None:
    """Asks for a dispatcher whose signals can be awaited."""
    if not dispatcher.asend:
        pytest.skip(f"capability asend: {dispatcher} {django.get_version()} has none")


@pytest.fixture
def async_receivers(dispatcher: Dispatcher) -> None:
    """Asks for a dispatcher that awaits async receivers."""
    if not dispatcher.async_receivers:
        pytest.skip(f"capability async_receivers: {dispatcher} {django.get_version()} calls them as plain ones")


@pytest.fixture(params=["send", "send_robust"])
def send(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """One of the plain ways to send, as a function of the signal."""
    return lambda signal, *sender, **payload: getattr(signal, request.param)(*sender, **payload)


@pytest.fixture(params=["asend", "asend_robust"])
def asend(request: pytest.FixtureRequest, awaiting: None) -> Callable[..., Awaitable[Any]]:
    """One of the ways to send that are awaited, as a function of the signal."""
    return lambda signal, *sender, **payload: getattr(signal, request.param)(*sender, **payload)
