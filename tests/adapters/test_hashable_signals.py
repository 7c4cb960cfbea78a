"""Signals that may be any hashable object: which have a name, and that neither keys nor names grow without bound."""

from __future__ import annotations

import enum
import gc
import logging
import sys
import weakref
from types import ModuleType

import pytest

from heliograph.adapters.hashable_signals import MAX_SIGNALS, SignalKeys

bare = object()


class Event(enum.Enum):
    PAID = 1


class Text(enum.StrEnum):
    SENT = "sent"


class Shop:
    opened = object()


class Sent(str):
    """A string of a class of its own."""

    __slots__ = ()


class Signal:
    """An object that can be referred to weakly."""


@pytest.fixture
def keys():
    """The keys of all signals that were asked for."""
    return SignalKeys()


NAMED = {
    "order paid": "order paid",
    Sent("by a subclass"): "by a subclass",
    bare: f"{__name__}.bare",
    Event.PAID: f"{__name__}.Event.PAID",
    Text.SENT: f"{__name__}.Text.SENT",
    Shop.opened: f"{__name__}.Shop.opened",
    Shop: f"{__name__}.Shop",
}


@pytest.mark.parametrize("signal", NAMED, ids=NAMED.__getitem__)
def test_each_kind_of_signal_has_its_name(keys, signal):
    """A string is its own name, a member of an enumeration has one, and others have that under which a module holds them."""
    assert keys.of(signal).name == NAMED[signal]


NAMELESS = [1, 1.5, None, True, b"bytes", ("a", "tuple"), frozenset({1}), "", "x" * 201, object(), Signal(), [], {}]


@pytest.mark.parametrize("signal", NAMELESS, ids=lambda one: type(one).__name__)
def test_what_has_no_name_shares_one_key(keys, signal):
    """A value that equals others is not the one that a module holds; nothing is named by its ``repr``, or refused."""
    assert keys.of(signal) is keys.of(object())
    assert keys.of(signal).name is None


def test_equal_signals_are_one(keys):
    """However often such a string is made."""
    paid = "paid for"[:4]
    assert keys.of(paid) is keys.of("paid")
    assert keys.names() == ["paid"]


def test_who_defines_a_signal_names_it(keys, monkeypatch):
    """Whoever else has imported it, and where several have it the known place comes first."""
    importer, definer = ModuleType("aaa_importer"), ModuleType("shop.signals_of_a_test")
    signal = importer.opened = definer.opened = object()  # type: ignore[attr-defined]
    for module in (importer, definer):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    assert SignalKeys(definer.__name__).of(signal).name == "shop.signals_of_a_test.opened"


def test_a_signal_is_named_as_soon_as_a_module_holds_it(keys, monkeypatch):
    """It may be sent while its module is still being imported."""
    signal = Signal()
    assert keys.of(signal).name is None
    module = ModuleType("late_module_of_a_test")
    module.late = signal  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    assert keys.of(signal).name == "late_module_of_a_test.late"


def test_a_signal_without_a_name_is_not_kept_alive(keys):
    """It may be one of many that objects make for themselves."""
    signal = Signal()
    reference = weakref.ref(signal)
    keys.of(signal)
    del signal
    gc.collect()

    assert reference() is None


def test_there_is_an_end_to_names(keys, caplog):
    """Names made up while the program runs fill neither memory nor a backend; it is said once."""
    with caplog.at_level(logging.WARNING):
        found = [keys.of(f"order {number} paid").name for number in range(MAX_SIGNALS + 10)]

    assert found == [*(f"order {number} paid" for number in range(MAX_SIGNALS)), *[None] * 10]
    assert keys.of("order 1 paid").name == "order 1 paid"
    assert len(keys.names()) == MAX_SIGNALS
    [record] = caplog.records
    assert record.getMessage().startswith("There are more than 1000 signals; heliograph calls all further ones _OTHER.")


def test_a_signal_whose_comparison_fails_is_nameless(keys):
    """The dispatcher compares it too, and will say what it has to say."""

    class Odd:
        def __hash__(self) -> int:
            raise RuntimeError("odd")

    assert keys.of(Odd()) is keys.of(object())
