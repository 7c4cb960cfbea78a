"""All kinds of callables are receivers: called as they are, returned as they are, whoever observes."""

from __future__ import annotations

import functools
from types import GeneratorType
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest

from heliograph.errors import ReceiverSignatureError


def function(sender, **named):
    return "function"


def wrapper(wrapped):
    @functools.wraps(wrapped)
    def wrapping(sender, **named):
        return f"wrapped {wrapped(sender, **named)}"

    return wrapping


@wrapper
def wrapped(sender, **named):
    return "function"


class Receivers:
    def bound(self, sender, **named):
        return "bound"

    @classmethod
    def of_class(cls, sender, **named):
        return f"of {cls.__name__}"

    @staticmethod
    def static(sender, **named):
        return "static"

    def __call__(self, sender, **named):
        return "object"

    def _with_prefix(self, prefix, sender, **named):
        return f"{prefix} method"

    partial_method = functools.partialmethod(_with_prefix, "partial")


class Instance:
    def __init__(self, sender, **named):
        self.named = named

    def __eq__(self, other: object) -> bool:
        return other == "instance"

    __hash__ = None  # type: ignore[assignment]


class Unnamed:
    """Has nothing that names a callable."""

    def __getattribute__(self, name):
        if name in ("__name__", "__qualname__", "__module__"):
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __call__(self, sender, **named):
        return "unnamed"


class Equal:
    """Equal to all of its kind, and not hashable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, sender, **named):
        return "equal"


receivers = Receivers()
KINDS = {
    "function": (function, "function"),
    "lambda": (lambda sender, **named: "lambda", "lambda"),
    "partial": (functools.partial(function, more=1), "function"),
    "partial of a partial": (functools.partial(functools.partial(function, more=1), less=0), "function"),
    "partialmethod": (receivers.partial_method, "partial method"),
    "bound method": (receivers.bound, "bound"),
    "class method": (Receivers.of_class, "of Receivers"),
    "static method": (Receivers.static, "static"),
    "static method of an instance": (receivers.static, "static"),
    "callable object": (receivers, "object"),
    "class": (Instance, "instance"),
    "wrapped function": (wrapped, "wrapped function"),
    "cached function": (functools.lru_cache(lambda sender, **named: "cached"), "cached"),
    "mock": (Mock(return_value="mock"), "mock"),
    "magic mock": (MagicMock(return_value="magic mock"), "magic mock"),
    "autospec of a function": (create_autospec(function, return_value="autospec"), "autospec"),
    "without a name": (Unnamed(), "unnamed"),
    "not hashable": (Equal(), "equal"),
}


@pytest.fixture(params=KINDS, ids=str)
def kind(request, dispatcher):
    """A receiver and what it returns."""
    refuse(dispatcher, request.param)
    return KINDS[request.param]


def refuse(dispatcher, kind):
    """Skip the test where the dispatcher cannot call that kind of receiver."""
    if kind in dispatcher.refused:
        pytest.skip(f"capability: {dispatcher} cannot call every receiver: {kind}")


def test_each_kind_is_called_and_returned_as_it_is(signal, send, kind, observation):
    """The response is the receiver's own, beside the very object that was connected."""
    receiver, response = kind
    signal.connect(receiver, weak=False)

    [(returned, got)] = send(signal, None, value=1)

    assert returned is receiver
    assert got == response
    if observation is not None:
        assert [(call.mode, call.outcome) for call in observation.notes[0].calls] == [("sync", "returned")]
    signal.disconnect(receiver)
    assert send(signal, None) == []


def test_a_mock_is_called_once_with_what_was_sent(signal, dispatcher, send):
    """Nothing else of it is touched: no attribute asked for, no call added."""
    refuse(dispatcher, "mock")
    mock = Mock(return_value=None)
    sender, value = object(), object()
    signal.connect(mock)
    send(signal, sender, value=value)

    assert mock.mock_calls == [dispatcher.calls(signal, sender, {"value": value})]


def test_a_generator_function_returns_its_generator(signal, send):
    """It has not run when the send returns, and nobody runs it in between."""
    ran = []

    def receiver(sender, **_):
        ran.append("ran")
        yield "first"

    signal.connect(receiver)
    [(returned, generator)] = send(signal, None)

    assert returned is receiver
    assert isinstance(generator, GeneratorType)
    assert ran == []
    assert list(generator) == ["first"]


def test_a_builtin_is_called_where_signatures_are_not_checked(signal, dispatcher, send):
    """``dict`` takes any keyword; a dispatcher that reads signatures refuses it, because it has none to read."""
    refuse(dispatcher, "built-in")
    if not dispatcher.can("no_checked_signatures"):
        with pytest.raises(ReceiverSignatureError, match="dict"):
            signal.connect(dict, weak=False)
        return
    signal.connect(dict, weak=False)
    arguments, named = dispatcher.calls(signal, (), {"value": 1})

    assert send(signal, (), value=1) == [(dict, dict(*arguments, **named))]


@pytest.mark.needs("async_receivers")
def test_an_async_mock_is_awaited(signal, dispatcher, send):
    """It is a coroutine function like others."""
    refuse(dispatcher, "mock")
    mock = AsyncMock(return_value="async mock")
    signal.connect(mock)
    arguments, named = dispatcher.calls(signal, None, {"value": 1})

    assert send(signal, None, value=1) == [(mock, "async mock")]
    mock.assert_awaited_once_with(*arguments, **named)


def failing(sender, **named):
    raise ValueError("failing")


FAILING = {
    "partial": functools.partial(failing),
    "mock": Mock(side_effect=ValueError("failing")),
    "without a name": Unnamed(),
}


@pytest.mark.parametrize("failing_kind", FAILING)
def test_any_failing_receiver_is_captured(signal, dispatcher, send_capturing, failing_kind, monkeypatch):
    """Its name is found for the log, or it has none; where the dispatcher fails at that itself, it fails as before."""
    refuse(dispatcher, failing_kind)
    monkeypatch.setattr(Unnamed, "__call__", failing_method)
    receiver = FAILING[failing_kind]
    signal.connect(receiver, weak=False)

    if dispatcher.can("names_any_receiver"):
        [(returned, response)] = send_capturing(signal, None)
        assert returned is receiver
        assert isinstance(dispatcher.response_of(response), ValueError)
    else:
        with pytest.raises(AttributeError, match="__qualname__"):
            send_capturing(signal, None)


def failing_method(self, sender, **named):
    raise ValueError("failing")
