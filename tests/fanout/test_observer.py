"""Who hears: interest asked once, gates asked each time, undo, and observers that fail."""

from __future__ import annotations

import gc
import logging
import sys
import types
from typing import Any

import pytest

import heliograph
from heliograph.fanout import observer as observers
from heliograph.fanout.observer import GatedObserver, InsideObserver, known_sites, observe
from tests.support.observers import Inside, Recording, observing


def receiver(**_):
    return "heard"


class Asked(Recording):
    """Counts how often it is asked for its interest."""

    def __init__(self, interest=True):
        super().__init__()
        self.asked = []
        self.interest = interest

    def interested(self, site):
        self.asked.append(site.name)
        return self.interest


class Gated(Recording):
    """Sleeps and wakes."""

    def __init__(self):
        super().__init__()
        self.is_awake = True
        self.asked = 0

    def awake(self):
        self.asked += 1
        return self.is_awake


@pytest.fixture
def signal():
    """A signal with one receiver."""
    made = heliograph.Signal(name="shop.order_paid")
    made.connect(receiver)
    return made


def test_observers_hear_from_their_first_moment_to_their_last(signal):
    """What is sent before or after is not heard."""
    recording = Recording()
    signal.send(sender=None)
    undo = observe(recording)
    signal.send_robust(sender=None)
    undo()
    signal.send(sender=None)

    assert recording.outcomes == [("send_robust", "returned")]


def test_undoing_twice_is_undoing_once(signal):
    """The second time takes nobody else out, not even the same observer that came back."""
    recording = Recording()
    first = observe(recording)
    first()
    first()
    second = observe(recording)
    signal.send(sender=None)
    second()

    assert len(recording.notes) == 1


def test_interest_is_asked_once_per_signal(signal):
    """And again when its name is found, or when the observers change; not at each send."""
    asked = Asked()
    with observing(asked):
        for _ in range(5):
            signal.send(sender=None)

    assert asked.asked.count("shop.order_paid") == 1
    assert len(asked.notes) == 5


def test_who_is_not_interested_hears_nothing(signal):
    """The others do."""
    deaf, listening = Asked(interest=False), Asked()
    with observing(deaf, listening):
        signal.send(sender=None)

    assert deaf.notes == []
    assert len(listening.notes) == 1


def test_a_gated_observer_is_asked_before_each_send(signal):
    """While it sleeps it hears nothing, and receivers are called as if it were not there."""
    gated, listening = Gated(), Recording()
    with observing(gated, listening):
        signal.send(sender=None)
        gated.is_awake = False
        assert signal.send(sender=None) == [(receiver, "heard")]
        gated.is_awake = True
        signal.send(sender=None)

    assert gated.asked == 3
    assert len(gated.notes) == 2
    assert len(listening.notes) == 3


def test_while_all_sleep_nothing_is_recorded(signal):
    """A gated observer alone costs nothing but the question."""
    gated = Gated()
    gated.is_awake = False
    with observing(gated):
        assert observers.watching(signal, types.SimpleNamespace(system="x", name_of=None, uid_of=None)) is None


def test_those_inside_enter_and_leave_in_pairs(signal):
    """The last to enter is the first to leave, and all is over before anybody hears that it is finished."""
    first, second = Inside(), Inside()
    second.heard = first.heard
    with observing(first, second):
        signal.send(sender=None)

    assert first.heard == [
        ("enter", "receiver"),
        ("enter", "receiver"),
        ("end", "receiver"),
        ("end", "receiver"),
        ("finished", "send"),
        ("finished", "send"),
    ]


def test_observers_that_come_during_a_send_hear_from_the_next(signal):
    """Those that go hear of the one they saw begin."""
    late, early = Inside(), Inside()

    def switching(**_):
        undos.append(observe(late))
        undo_early()

    undos: list[Any] = []
    signal.connect(switching)
    undo_early = observe(early)
    signal.send(sender=None)
    signal.disconnect(switching)
    signal.send(sender=None)
    for undo in undos:
        undo()

    assert [len(one.notes) for one in (early, late)] == [1, 1]
    assert early.heard == [
        *[("enter", "receiver"), ("end", "receiver")],
        *[("enter", "switching"), ("end", "switching")],
        ("finished", "send"),
    ]


@pytest.mark.parametrize("method", ["interested", "awake", "enter", "leave", "finished"])
def test_an_observer_that_fails_is_logged_once(signal, caplog, method):
    """The send goes on, and so do the others."""

    class Failing(Gated, Inside):
        def __init__(self):
            Inside.__init__(self)
            self.is_awake, self.asked = True, 0

    def fail(*_):
        raise RuntimeError("observer")

    failing, listening = Failing(), Inside()
    setattr(failing, method, fail)
    fail.__qualname__ = f"Failing.{method}"
    with observing(failing, listening), caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert signal.send(sender=None) == [(receiver, "heard")]

    assert len(listening.notes) == 3
    assert listening.heard == [("enter", "receiver"), ("end", "receiver"), ("finished", "send")] * 3
    [record] = caplog.records
    assert record.name == "heliograph"
    assert record.getMessage() == (
        f"Observing a signal failed in Failing.{method}; the send went on. Further errors of this kind are not logged."
    )


def test_protocols_tell_observers_apart():
    """By what they can do."""
    assert not isinstance(Recording(), InsideObserver)
    assert isinstance(Inside(), InsideObserver)
    assert isinstance(Gated(), GatedObserver)
    assert not isinstance(Inside(), GatedObserver)


def test_sites_of_signals_that_were_sent_are_known(signal, observer):
    """While somebody observes."""
    unsent = heliograph.Signal(name="shop.never_sent")
    signal.send(sender=None)
    names = [site.name for site in known_sites()]

    assert "shop.order_paid" in names
    assert "shop.never_sent" not in names
    assert unsent.name == "shop.never_sent"


def test_the_site_of_a_dead_signal_is_forgotten(observer):
    """So that its id may be another's."""
    names = [f"shop.signal_{number}" for number in range(20)]
    for name in names:
        heliograph.Signal(name=name).send(sender=None)
    gc.collect()

    assert not {site.name for site in known_sites()} & set(names)
    assert [note.signal for note in observer.notes] == names


def test_an_unknown_name_is_looked_for_until_it_is_found(monkeypatch):
    """A signal sent while its module is not loaded yet is _OTHER; interest is asked again with the name."""
    asked = Asked()
    signal = heliograph.Signal()
    module: Any = types.ModuleType("made_for_a_test")
    with observing(asked):
        signal.send(sender=None)
        module.order_paid = signal
        monkeypatch.setitem(sys.modules, module.__name__, module)
        signal.send(sender=None)
        signal.send(sender=None)

    found = "made_for_a_test.order_paid"
    assert [note.signal for note in asked.notes] == ["_OTHER", found, found]
    assert "_OTHER" in asked.asked[: asked.asked.index(found)]
    assert asked.asked.count(found) == 1


def test_a_signal_whose_name_cannot_be_looked_for_is_other(observer):
    """A name is never worth an error."""

    class Nameless(heliograph.Signal):
        @property
        def name(self):
            raise RuntimeError("no name")

    signal = Nameless()
    signal.connect(receiver)

    assert signal.send(sender=None) == [(receiver, "heard")]
    assert [note.signal for note in observer.notes] == ["_OTHER"]


def test_a_signal_that_cannot_be_hashed_is_observed(observer):
    """Signals are told apart by identity."""

    class Unhashable(heliograph.Signal):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    first, second = Unhashable(name="first"), Unhashable(name="second")
    for signal in (first, second):
        signal.connect(receiver)
        assert signal.send(sender=None) == [(receiver, "heard")]

    assert [note.signal for note in observer.notes] == ["first", "second"]


class Restless:
    """Changes who observes each time it is asked whether it is awake."""

    def __init__(self) -> None:
        self.undos: list[Any] = []
        self.heard = 0

    def interested(self, site: Any) -> bool:
        return True

    def awake(self) -> bool:
        self.undos.append(observe(Recording()))
        return True

    def finished(self, dispatch: Any) -> None:
        self.heard += 1


def test_an_observer_that_changes_the_observers_each_time_it_is_asked_hears_of_the_send():
    """Who observes is asked again once, not without an end."""
    signal, restless = heliograph.Signal(name="shop.signals.order_paid"), Restless()
    undo = observe(restless)
    try:
        assert signal.send(sender=None) == []
    finally:
        for one in (undo, *restless.undos):
            one()

    assert restless.heard == 1
