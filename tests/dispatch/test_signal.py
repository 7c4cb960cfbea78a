"""heliograph's own Signal: what it adds to Django's, and what it refuses."""

from __future__ import annotations

import asyncio
import inspect
import logging

import django.dispatch
import pytest

import heliograph
from heliograph.dispatch.signal import DIALECT
from heliograph.errors import ConfigurationError, HeliographError, ReceiverSignatureError, ReceiverTypeError
from tests.support.shop import signals as shop

HERE = __name__

held = heliograph.Signal()


class Holder:
    """Holds a signal."""

    held = heliograph.Signal()


def receiver(**_):
    return "heard"


@pytest.fixture
def signal():
    """A signal nobody is connected to."""
    return heliograph.Signal()


def test_the_seeds_pizza_signal_works(signal):
    """As in Django's documentation of old: a list of the arguments that receivers will get."""
    pizza_done = heliograph.Signal(providing_args=["toppings", "size"])
    seen = []

    @heliograph.receiver(pizza_done)
    def ring(sender, toppings, size, **kwargs):
        seen.append((sender, toppings, size, sorted(kwargs)))

    pizza_done.send(sender="oven", toppings=["basil"], size="large")
    assert seen == [("oven", ["basil"], "large", ["signal"])]
    pizza_done.providing_args.append("crust")
    pizza_done.send(sender="oven", toppings=[], size="small", crust="thin")
    assert seen[1] == ("oven", [], "small", ["crust", "signal"])
    assert pizza_done.providing_args == ["toppings", "size", "crust"]


def test_the_name_is_given_or_found(signal):
    """From the module or the class that holds the signal; a signal that nobody holds has none."""
    assert heliograph.Signal(name="shop.order_paid").name == "shop.order_paid"
    assert held.name == f"{HERE}.held"
    assert Holder.held.name == f"{HERE}.Holder.held"
    assert shop.own_pizza_done.name == "tests.support.shop.signals.own_pizza_done"
    assert signal.name is None


def test_a_signal_is_described_by_its_name(signal):
    """And by nothing of its receivers."""
    assert repr(held) == f"<Signal {HERE}.held>"
    assert repr(signal) == "<Signal without a name>"


@pytest.mark.parametrize("name", ["", "  ", 3, b"shop"])
def test_a_name_must_say_something(name):
    """An error names the value and what to pass."""
    with pytest.raises(ConfigurationError) as caught:
        heliograph.Signal(name=name)

    assert str(caught.value) == f'name must be a dotted name, got {name!r}. Pass one such as "shop.order_paid".'


@pytest.mark.parametrize("names", ["toppings", [1], [None], 3])
def test_providing_args_must_be_a_list_of_names(names):
    """One string is a slip of the pen: it would be a list of letters."""
    with pytest.raises((ConfigurationError, TypeError)):
        heliograph.Signal(providing_args=names)


def test_the_error_about_providing_args_says_what_to_pass():
    """With the value received."""
    with pytest.raises(ConfigurationError, match=r"got 'toppings'. Pass a list such as"):
        heliograph.Signal(providing_args="toppings")


def test_a_name_is_given_by_keyword_alone():
    """Positional arguments are Django's."""
    with pytest.raises(TypeError):
        heliograph.Signal(None, False, "shop.order_paid")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda sender: None,
        lambda sender, value=None: None,
        lambda *args: None,
        lambda sender, /, **kw: None,
    ],
    ids=["nothing", "sender", "defaults", "positional", "positional only"],
)
def test_a_receiver_without_kwargs_is_refused(signal, function):
    """Always: a signal may get new arguments at any time. The error is a ValueError, as Django's is."""
    with pytest.raises(ReceiverSignatureError) as caught:
        signal.connect(function, weak=False)

    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, HeliographError)
    assert message.startswith("Signal receivers must accept keyword arguments (**kwargs). ")
    assert "<lambda>(" in message
    assert message.endswith("Declare it as def receiver(sender, **kwargs).")
    assert signal.receivers == []


def test_a_positional_only_parameter_with_a_default_is_accepted(signal):
    """It need not be passed."""

    def with_default(value=1, /, **_):
        return value

    signal.connect(with_default)
    assert signal.send(sender=None) == [(with_default, 1)]


@pytest.mark.parametrize("thing", [None, 3, "text", object()])
def test_what_cannot_be_called_is_refused(signal, thing):
    """With a TypeError, as in Django."""
    with pytest.raises(ReceiverTypeError) as caught:
        signal.connect(thing)

    assert isinstance(caught.value, TypeError)
    assert str(caught.value) == (
        f"Signal receivers must be callable. Got {type(thing).__qualname__}; "
        "pass a function, a method or an object with __call__."
    )


def test_what_cannot_be_referenced_weakly_says_what_to_do(signal):
    """An object with slots has no room for a weak reference."""

    class Slotted:
        __slots__ = ()

        def __call__(self, **_):
            return "heard"

    slotted = Slotted()
    with pytest.raises(ReceiverTypeError, match="Pass weak=False to connect"):
        signal.connect(slotted)
    signal.connect(slotted, weak=False)
    assert signal.send(sender=None) == [(slotted, "heard")]


def test_connect_is_a_decorator(signal):
    """It returns what it was given, alone or with arguments through ``receiver``."""

    @signal.connect
    def plain(**_):
        return "plain"

    @heliograph.receiver(signal, sender=int, dispatch_uid="uid")
    def limited(**_):
        return "limited"

    assert signal.send(sender=int) == [(plain, "plain"), (limited, "limited")]
    assert signal.send(sender=str) == [(plain, "plain")]


def test_the_decorator_connects_djangos_signals_too():
    """Anything with a ``connect`` method will do."""
    theirs = django.dispatch.Signal()

    @heliograph.receiver([theirs])  # type: ignore[list-item]  # declared for ours
    def function(**_):
        return "heard"

    assert theirs.send(sender=None) == [(function, "heard")]


def test_the_api_is_djangos():
    """Every public method has Django's parameters, in Django's order with Django's defaults."""
    own, theirs = heliograph.Signal, django.dispatch.Signal
    public = [name for name, value in vars(theirs).items() if callable(value) and not name.startswith("_")]

    assert public
    for name in public:
        expected = inspect.signature(getattr(theirs, name)).parameters
        found = inspect.signature(getattr(own, name)).parameters
        assert list(found) == list(expected), name
        assert [one.default for one in found.values()] == [one.default for one in expected.values()], name
        assert [one.kind for one in found.values()] == [one.kind for one in expected.values()], name


def test_its_methods_are_its_own():
    """Names, modules and docstrings as if they were written here; the awaited ones are coroutine functions."""
    for name in ("send", "send_robust", "asend", "asend_robust"):
        method = getattr(heliograph.Signal, name)
        assert method.__qualname__ == f"Signal.{name}"
        assert method.__module__ == "heliograph.dispatch.signal"
        assert method.__doc__
        assert inspect.iscoroutinefunction(method) is name.startswith("a")


def test_a_captured_error_is_logged_with_the_receivers_whole_name(signal, caplog):
    """In Django's words, by our logger."""

    def failing(**_):
        raise ValueError("oven")

    signal.connect(failing)
    with caplog.at_level(logging.ERROR):
        signal.send_robust(sender=None)

    [record] = caplog.records
    assert record.name == "heliograph.dispatch"
    name = f"{HERE}.test_a_captured_error_is_logged_with_the_receivers_whole_name.<locals>.failing"
    assert record.getMessage() == f"Error calling {name} in Signal.send_robust() (oven)"


def test_any_sender_will_do(signal):
    """Also one that cannot be hashed or referenced weakly."""
    sender: list[int] = []

    signal.connect(receiver, sender=sender)

    assert signal.send(sender=sender) == [(receiver, "heard")]
    assert signal.send(sender=[]) == []
    assert signal.disconnect(receiver, sender=sender) is True


def test_a_signal_works_without_anybody_asking_for_telemetry(signal):
    """Awaited too."""
    signal.connect(receiver)

    assert asyncio.run(signal.asend(sender=None)) == [(receiver, "heard")]


def test_the_dialect_knows_uids(signal):
    """What a receiver was connected with, or nothing."""
    signal.connect(receiver, dispatch_uid="shop.receipt")

    def other(**_):
        return None

    signal.connect(other)
    assert DIALECT.uid_of(signal, receiver) == "shop.receipt"
    assert DIALECT.uid_of(signal, other) is None
    assert DIALECT.uid_of(signal, len) is None
