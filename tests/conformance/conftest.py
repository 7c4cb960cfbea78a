"""One suite for every dispatcher, observed and not: the same assertions, so that nobody can tell the difference.

A new library is one more module in ``rows/``. What a dispatcher cannot do at all is a capability its row does without,
with the reason; a test that needs it says so (``@needs("order")``) and is skipped. A test that asks for a way to send
(``send``, ``send_capturing``, ``asend`` …) runs once for each verb of that kind, and is skipped where there is none.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from heliograph import instrumentor
from tests.conformance.rows import Dispatcher, Verb, all_rows
from tests.support.observers import Recording, observing
from tests.support.telemetry import Spans

Send = Callable[..., Any]
Results = Callable[..., list[tuple[Any, Any]]]


class Kind(NamedTuple):
    """A kind of verbs that a fixture stands for; ``None`` is either."""

    awaited: bool
    captures: bool | None

    def verbs(self, dispatcher: Dispatcher) -> list[Verb]:
        """Return the verbs of *dispatcher* that are of this kind."""
        return [
            verb for verb in dispatcher.verbs if verb.awaited is self.awaited and self.captures in (None, verb.captures)
        ]

    def __str__(self) -> str:
        """Return the kind in words."""
        errors = {None: "", True: " that captures errors", False: " that lets errors through"}[self.captures]
        return f"{'awaited' if self.awaited else 'plain'} send{errors}"


KINDS = {
    "verb": Kind(awaited=False, captures=None),
    "raising_verb": Kind(awaited=False, captures=False),
    "capturing_verb": Kind(awaited=False, captures=True),
    "awaited_verb": Kind(awaited=True, captures=None),
    "raising_awaited_verb": Kind(awaited=True, captures=False),
    "capturing_awaited_verb": Kind(awaited=True, captures=True),
}


def pytest_configure(config: pytest.Config) -> None:
    """Say what the mark is for."""
    config.addinivalue_line("markers", "needs(*capabilities): what a dispatcher must be able to do")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for each dispatcher, and for each of its verbs of the kinds that the test asks for."""
    if "dispatcher" not in metafunc.fixturenames:
        return
    kinds = [name for name in KINDS if name in metafunc.fixturenames]
    needed = [name for mark in metafunc.definition.iter_markers("needs") for name in mark.args]
    rows = [one for row in all_rows() for one in _parameters(row, kinds, needed)]
    metafunc.parametrize(["dispatcher", *kinds], rows)


def _parameters(row: Dispatcher, kinds: list[str], needed: list[str]) -> Iterator[Any]:
    lacking = [f"capability {name}: {row}: {row.without[name]}" for name in needed if not row.can(name)]
    lacking += [f"capability: {row} has no {KINDS[name]}" for name in kinds if not KINDS[name].verbs(row)]
    if lacking:
        yield pytest.param(row, *(None for _ in kinds), marks=pytest.mark.skip(reason=lacking[0]), id=str(row))
        return
    for verbs in itertools.product(*(KINDS[name].verbs(row) for name in kinds)):
        yield pytest.param(row, *verbs, id="-".join([str(row), *(verb.name for verb in verbs)]))


@pytest.fixture(params=["unobserved", "observed", "traced"], autouse=True)
def observation(request: pytest.FixtureRequest, dispatcher: Dispatcher) -> Iterator[Recording | None]:
    """Who observes: nobody, an observer that takes notes, or that one and the whole of telemetry."""
    if request.param == "unobserved":
        yield None
        return
    recording = Recording()
    if request.param == "traced":
        request.getfixturevalue("instrument")(dispatcher.library)
    undo = instrumentor._adapters[dispatcher.library].install()
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
def results(dispatcher: Dispatcher) -> Results:
    """Makes the result of a send from pairs of receiver and response, given in the order of connecting."""
    return lambda *pairs: dispatcher.arranged(pairs, _is_async)


def _is_async(receiver: Any) -> bool:
    return inspect.iscoroutinefunction(receiver)


def _function(verb: Verb) -> Send:
    def send(signal: Any, /, *sender: Any, **payload: Any) -> Any:
        return verb(signal)(*sender, **payload)

    return send


@pytest.fixture
def send(verb: Verb) -> Send:
    """One of the plain ways to send, as a function of signal, sender and payload."""
    return _function(verb)


@pytest.fixture
def send_raising(raising_verb: Verb) -> Send:
    """One of the plain ways to send that let errors through."""
    return _function(raising_verb)


@pytest.fixture
def send_capturing(capturing_verb: Verb) -> Send:
    """One of the plain ways to send that make errors responses."""
    return _function(capturing_verb)


@pytest.fixture
def asend(awaited_verb: Verb) -> Callable[..., Awaitable[Any]]:
    """One of the ways to send that are awaited."""
    return _function(awaited_verb)


@pytest.fixture
def asend_raising(raising_awaited_verb: Verb) -> Callable[..., Awaitable[Any]]:
    """One of the ways to send that are awaited and let errors through."""
    return _function(raising_awaited_verb)


@pytest.fixture
def asend_capturing(capturing_awaited_verb: Verb) -> Callable[..., Awaitable[Any]]:
    """One of the ways to send that are awaited and make errors responses."""
    return _function(capturing_awaited_verb)
