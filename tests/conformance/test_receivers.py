"""All kinds of callables are receivers: called as they are, returned as they are, whoever observes."""

from __future__ import annotations

import functools
from types import GeneratorType
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest

from heliograph.errors import ReceiverSignatureError


def function(**named):
    return "function"


def wrapper(wrapped):
    @functools.wraps(wrapped)
    def wrapping(**named):
        return f"wrapped {wrapped(**named)}"

    return wrapping


@wrapper
def wrapped(**named):
    return "function"


class Receivers:
    def bound(self, **named):
        return "bound"

    @classmethod
    def of_class(cls, **named):
        return f"of {cls.__name__}"

    @staticmethod
    def static(**named):
        return "static"

    def __call__(self, **named):
        return "object"

    def _with_prefix(self, prefix, **named):
        return f"{prefix} method"

    partial_method = functools.partialmethod(_with_prefix, "partial")


class Instance:
    def __init__(self, **named):
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

    def __call__(self, **named):
        return "unnamed"


class Equal:
    """Equal to all of its kind, and not hashable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, **named):
        return "equal"


receivers = Receivers()
KINDS = {
    "function": (function, "function"),
    "lambda": (lambda **named: "lambda", "lambda"),
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
    "cached function": (functools.lru_cache(lambda **named: "cached"), "cached"),
    "mock": (Mock(return_value="mock"), "mock"),
    "magic mock": (MagicMock(return_value="magic mock"), "magic mock"),
    "autospec of a function": (create_autospec(function, return_value="autospec"), "autospec"),
    "without a name": (Unnamed(), "unnamed"),
    "not hashable": (Equal(), "equal"),
}


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """A receiver and what it returns."""
    return KINDS[request.param]


def test_each_kind_is_called_and_returned_as_it_is(signal, send, kind, observation):
    """The response is the receiver's own, beside the very object that was connected."""
    receiver, response = kind
    signal.connect(receiver, weak=False)

    [(returned, got)] = send(signal, sender=None, value=1)

    assert returned is receiver
    assert got == response
    if observation is not None:
        assert [(call.mode, call.outcome) for call in observation.notes[0].calls] == [("sync", "returned")]
    assert signal.disconnect(receiver) is True
    assert send(signal, sender=None) == []


def test_a_mock_is_called_once_with_what_was_sent(signal, send):
    """Nothing else of it is touched: no attribute asked for, no call added."""
    mock = Mock(return_value=None)
    sender, value = object(), object()
    signal.connect(mock)
    send(signal, sender=sender, value=value)

    assert mock.mock_calls == [((), {"signal": signal, "sender": sender, "value": value})]


def test_a_generator_function_returns_its_generator(signal, send):
    """It has not run when the send returns, and nobody runs it in between."""
    ran = []

    def receiver(**_):
        ran.append("ran")
        yield "first"

    signal.connect(receiver)
    [(returned, generator)] = send(signal, sender=None)

    assert returned is receiver
    assert isinstance(generator, GeneratorType)
    assert ran == []
    assert list(generator) == ["first"]


def test_a_builtin_is_called_where_signatures_are_not_checked(signal, dispatcher, send):
    """``dict`` takes any keyword; a dispatcher that reads signatures refuses it, because it has none to read."""
    if dispatcher.checks_signatures:
        with pytest.raises(ReceiverSignatureError, match="dict"):
            signal.connect(dict, weak=False)
        return
    signal.connect(dict, weak=False)

    assert send(signal, sender=None, value=1) == [(dict, {"signal": signal, "sender": None, "value": 1})]


def test_an_async_mock_is_awaited(signal, send, async_receivers):
    """It is a coroutine function like others."""
    mock = AsyncMock(return_value="async mock")
    signal.connect(mock)

    assert send(signal, sender=None, value=1) == [(mock, "async mock")]
    mock.assert_awaited_once_with(signal=signal, sender=None, value=1)


def failing(**named):
    raise ValueError("failing")


@pytest.mark.parametrize(
    "receiver",
    [functools.partial(failing), Mock(side_effect=ValueError("failing")), Unnamed()],
    ids=["partial", "mock", "without a name"],
)
def test_any_failing_receiver_is_captured(signal, dispatcher, receiver, monkeypatch):
    """Its name is found for the log, or it has none; where the dispatcher fails at that itself, it fails as before."""
    if isinstance(receiver, Unnamed):
        monkeypatch.setattr(Unnamed, "__call__", failing_method)
    signal.connect(receiver, weak=False)

    if dispatcher.names_any_receiver:
        [(returned, error)] = signal.send_robust(sender=None)
        assert returned is receiver
        assert isinstance(error, ValueError)
    else:
        with pytest.raises(AttributeError, match="__qualname__"):
            signal.send_robust(sender=None)


def failing_method(self, **named):
    raise ValueError("failing")
