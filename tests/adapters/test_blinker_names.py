"""The names of blinker's signals, and the lists of all there are."""

from __future__ import annotations

import gc
import sys
import types
import weakref

import blinker
import pytest

from tests.support import blinker_signals
from tests.support.blinker_signals import Kitchen, anonymous, another, kept_here, order_paid, receiver

PLACE = blinker_signals.__name__


def test_a_named_signal_has_its_own_name_after_the_place_of_its_namespace(blinker_adapter):
    """However many modules hold the signal itself, and under whatever names."""
    name_of = blinker_adapter._names.name_of
    assert name_of(order_paid) == f"{PLACE}.order-paid"
    assert name_of(Kitchen.pizza_done) == f"{PLACE}.Kitchen.pizza-done"


def test_a_signal_of_the_default_namespace_has_its_own_name_alone(blinker_adapter):
    """The whole of a program shares that namespace."""
    assert blinker_adapter._names.name_of(blinker.signal("heliograph-test.saved")) == "heliograph-test.saved"


def test_a_named_signal_outside_of_namespaces_has_its_own_name_after_its_module(blinker_adapter):
    """Or by itself, where no module holds it."""
    assert blinker_adapter._names.name_of(kept_here) == f"{PLACE}.kept-here"
    assert blinker_adapter._names.name_of(blinker.NamedSignal("kept-nowhere")) == "kept-nowhere"
    assert blinker_adapter._names.name_of(blinker.Namespace().signal("in-a-namespace-kept-nowhere")) == (
        "in-a-namespace-kept-nowhere"
    )


def test_an_anonymous_signal_is_named_by_where_it_is_held(blinker_adapter):
    """A module or a class; one that nobody holds has no name."""
    assert blinker_adapter._names.name_of(anonymous) == f"{PLACE}.anonymous"
    assert blinker_adapter._names.name_of(Kitchen.oven_hot) == f"{PLACE}.Kitchen.oven_hot"
    assert blinker_adapter._names.name_of(blinker.Signal()) is None


def test_signals_of_connections_are_named_after_the_signal_they_tell_of(blinker_adapter):
    """They are anonymous, and held by that signal alone."""
    assert blinker_adapter._names.name_of(order_paid.receiver_connected) == f"{PLACE}.order-paid.receiver_connected"
    assert blinker_adapter._names.name_of(anonymous.receiver_disconnected) == f"{PLACE}.anonymous.receiver_disconnected"
    assert blinker_adapter._names.name_of(blinker.Signal().receiver_connected) is None


@pytest.mark.parametrize("name", [42, "", None, ("a", "b")])
def test_a_name_that_is_no_text_is_no_name(blinker_adapter, name):
    """Whatever is hashable will do for blinker."""
    assert blinker_adapter._names.name_of(blinker.Namespace().signal(name)) is None


def test_a_namespace_that_dies_is_forgotten(monkeypatch, blinker_adapter):
    """With its signals; nothing is kept alive for its name."""
    holder = types.ModuleType("heliograph_test_holder")
    holder.namespace = blinker.Namespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "heliograph_test_holder", holder)
    signal = holder.namespace.signal("short-lived")
    assert blinker_adapter._names.name_of(signal) == "heliograph_test_holder.short-lived"
    references = [weakref.ref(signal), weakref.ref(holder.namespace)]
    known = len(blinker_adapter._names._namespaces)
    del signal, holder.namespace
    gc.collect()

    assert [reference() for reference in references] == [None, None]
    assert len(blinker_adapter._names._namespaces) == known - 1


def test_signals_and_what_is_connected_to_them_are_listed(blinker_adapter):
    """Named and anonymous ones, each once, with receivers for any sender and for one."""
    unheld = blinker.signal("heliograph-test.listed")
    for signal in (order_paid, anonymous, unheld):
        signal.connect(receiver)
    order_paid.connect(another, sender=Kitchen)
    unheld.connect(lambda sender: None, weak=False)
    short_lived = lambda sender: None  # noqa: E731
    unheld.connect(short_lived)
    del short_lived
    try:
        names = blinker_adapter.signal_names()
        connected = [(name, one.__name__) for name, one in blinker_adapter.connected()]
    finally:
        for signal in (order_paid, anonymous, unheld):
            signal._clear_state()

    mine = [name for name in names if name.startswith((PLACE, "heliograph-test.listed"))]
    assert mine == sorted(
        [
            "heliograph-test.listed",
            f"{PLACE}.Kitchen.oven_hot",
            f"{PLACE}.Kitchen.pizza-done",
            f"{PLACE}.anonymous",
            f"{PLACE}.kept-here",
            f"{PLACE}.order-paid",
        ]
    )
    assert [pair for pair in connected if pair[0] in mine] == sorted(
        [
            ("heliograph-test.listed", "receiver"),
            ("heliograph-test.listed", "<lambda>"),
            (f"{PLACE}.anonymous", "receiver"),
            (f"{PLACE}.order-paid", "receiver"),
            (f"{PLACE}.order-paid", "another"),
        ],
        key=lambda pair: pair[0],
    )
