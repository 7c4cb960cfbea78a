"""What only its library knows: wrappers that keep what they wrap in a variable of their own, texts that are senders."""

from __future__ import annotations

import functools

import pytest

from heliograph.fanout import describe
from heliograph.fanout.describe import (
    held_by,
    know_senders,
    look_through,
    receiver_location,
    receiver_name,
    sender_name,
    unwrapped,
)


def retrying(fun):
    """Wrap as a library does that forgets ``functools.wraps``."""

    def run(**named):
        return fun(**named)

    return run


def bake(**_):
    return "baked"


@pytest.fixture
def known(monkeypatch):
    """The wrapper is known by its name."""
    monkeypatch.setattr(describe, "_holders", {})
    look_through(__name__, "retrying.<locals>.run", "fun")


def test_such_a_wrapper_is_described_by_what_it_holds(known):
    """Name and place are those of the function that runs in the end."""
    wrapper = retrying(bake)

    assert held_by(wrapper) is bake
    assert receiver_name(wrapper) == f"{__name__}.bake"
    assert receiver_location(wrapper) == (__file__, bake.__code__.co_firstlineno)


def test_what_it_holds_may_be_wrapped_too(known):
    """Partials and further wrappers in whatever order."""
    assert unwrapped(retrying(functools.partial(retrying(bake), degrees=200))) is bake


def test_other_functions_are_described_as_they_are(known):
    """With variables of their own or without."""

    def run(**_):
        return known

    assert [held_by(one) for one in (run, bake, 1)] == [run, bake, 1]
    assert receiver_name(run).endswith("test_other_functions_are_described_as_they_are.<locals>.run")


def test_a_wrapper_that_holds_nothing_yet_is_described_as_it_is(known):
    """A variable without a value."""

    def run(**named):
        return fun(**named)

    run.__qualname__ = "retrying.<locals>.run"
    assert held_by(run) is run
    fun = bake
    assert held_by(run) is fun


def test_unknown_wrappers_are_not_looked_through(monkeypatch):
    """Only those that were told of."""
    monkeypatch.setattr(describe, "_holders", {})

    assert held_by(retrying(bake)).__qualname__ == "retrying.<locals>.run"


class Oven:
    pass


@pytest.mark.parametrize(
    ("find", "name"),
    [
        (lambda text: Oven if text == "kitchen.oven" else None, f"{__name__}.Oven"),
        (lambda text: Oven(), f"{__name__}.Oven"),
        (lambda text: None, "str"),
        (lambda text: text, "str"),
        ({}.__getitem__, "str"),
    ],
    ids=["class", "instance", "nothing", "the text itself", "error"],
)
def test_a_text_is_described_by_what_its_library_finds(monkeypatch, find, name):
    """Never by itself: it may hold anything."""
    monkeypatch.setattr(describe, "_senders", {})
    assert sender_name("kitchen.oven") == "str"
    know_senders("kitchen", find)

    assert sender_name("kitchen.oven") == name
