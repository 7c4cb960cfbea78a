"""Signals of blinker's: each send traced, and blinker none the wiser."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

import blinker
import pytest
from asgiref.sync import async_to_sync
from opentelemetry import trace

from tests.conformance.rows.blinker import OrderedSignal, at_once
from tests.support import blinker_signals
from tests.support.blinker_signals import (
    METHODS,
    ORIGINALS,
    Broken,
    Kitchen,
    another,
    async_receiver,
    order_paid,
    receiver,
)
from tests.support.observers import Recording, observing

PLACE = blinker_signals.__name__


def test_a_send_is_traced(instrument, spans):
    """The signal by its name, the sender by its class, the receiver under the dispatch."""
    instrument("blinker")
    with order_paid.connected_to(receiver):
        assert order_paid.send(Kitchen(), number=7) == [(receiver, "heard")]

    assert spans.tree() == [("send order-paid", [("handle receiver", [])])]
    assert dict(spans.named("send order-paid").attributes) == {
        "heliograph.system.name": "blinker",
        "heliograph.signal.name": f"{PLACE}.order-paid",
        "heliograph.operation.name": "send",
        "heliograph.error.policy": "propagate",
        "heliograph.sender.name": f"{PLACE}.Kitchen",
        "heliograph.dispatch.receiver.count": 1,
    }
    assert dict(spans.named("handle receiver").attributes) == {
        "heliograph.system.name": "blinker",
        "heliograph.signal.name": f"{PLACE}.order-paid",
        "code.function.name": f"{PLACE}.receiver",
        "heliograph.receiver.mode": "sync",
    }


def test_receivers_of_any_sender_and_of_one_are_told_apart(blinker_installed, observer):
    """What is noted is who was called."""
    signal = OrderedSignal()
    signal.connect(receiver)
    signal.connect(another, sender="kitchen")
    signal.send("kitchen")
    signal.send("bar")
    signal.send()

    assert [[call.receiver for call in note.calls] for note in observer.notes] == [
        ["receiver", "another"],
        ["receiver"],
        ["receiver"],
    ]


def test_a_muted_signal_is_sent_to_nobody(blinker_installed, keeper):
    """The dispatch is one that nobody hears."""
    signal = blinker.Signal()
    signal.connect(receiver)
    signal.connect(async_receiver)
    with signal.muted():
        assert signal.send(1) == []
        assert asyncio.run(signal.send_async(1)) == []

    assert [(one.operation, one.receivers, one.failed) for one in keeper.dispatches] == [
        ("send", [], False),
        ("send_async", [], False),
    ]


def test_connections_are_told_of(instrument, spans):
    """``receiver_connected`` and ``receiver_disconnected`` are signals like others."""
    instrument("blinker")
    signal = order_paid
    heard = []

    def on_connected(signal, **named):
        heard.append((signal, named))

    def on_disconnected(signal, **named):
        heard.append((signal, named))

    signal.receiver_connected.connect(on_connected)
    signal.receiver_disconnected.connect(on_disconnected)
    signal.connect(receiver)
    signal.disconnect(receiver)

    assert heard == [
        (signal, {"receiver": receiver, "sender": blinker.ANY, "weak": True}),
        (signal, {"receiver": receiver, "sender": blinker.ANY}),
    ]
    assert spans.tree() == [
        ("send receiver_connected", [("handle on_connected", [])]),
        ("send receiver_disconnected", [("handle on_disconnected", [])]),
    ]
    assert spans.named("send receiver_connected").attributes["heliograph.signal.name"] == (
        f"{PLACE}.order-paid.receiver_connected"
    )


def test_a_receiver_that_fails_to_hear_of_a_connection_undoes_it(blinker_installed, observer):
    """As blinker has it: what was connected is disconnected when a TypeError comes back."""
    signal = blinker.Signal()

    def on_connected(signal, **_):
        raise TypeError("not this one")

    signal.receiver_connected.connect(on_connected)
    with pytest.raises(TypeError, match="not this one"):
        signal.connect(receiver)

    assert signal.send() == []
    assert [note.outcome for note in observer.notes] == ["raised", "returned"]


def test_who_was_left_uncalled_is_noted(instrument, spans):
    """After an error: the receivers whose turn had not come, without having called them."""
    instrument("blinker")
    signal = OrderedSignal()

    def failing(sender, **_):
        raise Broken

    for one in (receiver, failing, another, async_receiver):
        signal.connect(one)
    with pytest.raises(Broken):
        signal.send()

    attributes = dict(spans.named("send _OTHER").attributes)
    assert attributes["heliograph.dispatch.receiver.count"] == 4
    assert attributes["heliograph.dispatch.receiver.skipped"] == (f"{PLACE}.another", f"{PLACE}.async_receiver")
    assert spans.counts() == {"send _OTHER": 1, "handle receiver": 1, "handle failing": 1}


def test_an_overridden_look_up_is_asked_for_no_more_than_blinker_asks(blinker_installed, keeper):
    """What somebody else's ``receivers_for`` does is theirs: nothing is taken from it once a receiver has failed."""
    asked = []

    class Own(blinker.Signal):  # type: ignore[misc]  # its types are not looked at
        def receivers_for(self, sender):
            for number in range(3):
                asked.append(number)
                yield failing if number == 1 else receiver

    def failing(sender, **_):
        raise Broken

    with pytest.raises(Broken):
        Own().send()

    assert asked == [0, 1]
    [dispatch] = keeper.dispatches
    assert dispatch.receivers == [receiver, failing]
    assert dispatch.skipped == []


def test_receivers_that_leave_or_die_before_their_turn_are_not_noted(blinker_installed, observer):
    """They are not called: blinker looks receivers up as it goes on."""
    signal = OrderedSignal()
    holder: dict[str, Any] = {}

    def first(sender, **_):
        holder.clear()
        signal.disconnect(another)

    def dying(sender, **_):
        return "never"

    holder["dying"] = dying
    for one in (first, dying, another, receiver):
        signal.connect(one)
    del dying, one

    assert signal.send() == [(first, None), (receiver, "heard")]
    assert [[call.receiver for call in note.calls] for note in observer.notes] == [["first", "receiver"]]


def test_a_send_within_a_receiver_knows_what_encloses_it(blinker_installed, keeper):
    """Under both ways to send; and the one after it is enclosed by nothing again."""
    inner = blinker.Signal()

    async def sending(sender, **_):
        inner.send()
        await inner.send_async()

    outer = blinker.Signal()
    outer.connect(sending)
    outer.send(_async_wrapper=async_to_sync)
    asyncio.run(outer.send_async())
    inner.send()

    assert [(one.operation, one.depth, one.outer and one.outer.receiver) for one in keeper.dispatches] == [
        ("send", 1, sending),
        ("send_async", 1, sending),
        ("send", 0, None),
        ("send", 1, sending),
        ("send_async", 1, sending),
        ("send_async", 0, None),
        ("send", 0, None),
    ]


def test_receivers_are_called_in_whatever_order_blinker_calls_them(blinker_adapter, observer):
    """No order is promised, and none is made."""
    signal = blinker.Signal()
    made = [functools.partial(receiver, number=number) for number in range(50)]
    for one in made:
        signal.connect(one)
    before = signal.send()
    undo = blinker_adapter.install()
    during = signal.send()
    undo()

    assert [id(one) for one, _ in during] == [id(one) for one, _ in before]
    assert len(observer.notes[0].calls) == 50


def test_the_payload_may_use_the_names_of_the_methods_own_parameters(blinker_installed, observer):
    """All but the wrapper is positional."""
    arrived = []

    def taking(*arguments, **named):
        arrived.append((arguments, named))

    signal = blinker.Signal()
    signal.connect(taking)
    signal.send("by position", self=1, sender=2, signal=3)
    asyncio.run(signal.send_async("by position", _sync_wrapper=at_once, self=1, sender=2, signal=3))

    assert arrived == [(("by position",), {"self": 1, "sender": 2, "signal": 3})] * 2
    assert [note.operation for note in observer.notes] == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_second_sender_is_refused_in_the_same_words(blinker_installed, observer, name):
    """By Python, in the name of blinker's method."""

    def words(method):
        with pytest.raises(TypeError) as caught:
            method(blinker.Signal(), 1, 2)
        return str(caught.value)

    assert words(vars(blinker.Signal)[name]) == words(ORIGINALS[name])


def test_receivers_connected_before_and_after_are_seen(blinker_installed, observer):
    """Nothing is asked of who connects."""
    signal = OrderedSignal()
    signal.connect(receiver)
    signal.send()

    @signal.connect_via(blinker.ANY)
    def later(sender, **_):
        return "later"

    signal.send()

    assert [[call.receiver for call in note.calls] for note in observer.notes] == [["receiver"], ["receiver", "later"]]


def test_the_replaced_methods_look_like_the_originals(blinker_installed):
    """Names, docstrings, signatures, and whether they are awaited."""
    for name, original in ORIGINALS.items():
        replaced = vars(blinker.Signal)[name]
        assert replaced is not original
        assert replaced.__wrapped__ is original
        assert replaced.__name__ == name
        assert replaced.__qualname__ == f"Signal.{name}"
        assert replaced.__module__ == "blinker.base"
        assert replaced.__doc__ == original.__doc__
        assert replaced.__kwdefaults__ == original.__kwdefaults__
        assert replaced.__defaults__ == original.__defaults__
        assert inspect.signature(replaced) == inspect.signature(original)
        assert inspect.iscoroutinefunction(replaced) == inspect.iscoroutinefunction(original)


def test_installing_twice_is_installing_once(blinker_adapter):
    """The originals come back with the last undo, whatever the order; undoing twice is undoing once."""
    first, second = blinker_adapter.install(), blinker_adapter.install()
    replaced = vars(blinker.Signal)["send"]
    first()
    first()
    assert vars(blinker.Signal)["send"] is replaced
    second()

    assert {name: vars(blinker.Signal)[name] for name in METHODS} == ORIGINALS


def test_undoing_in_the_middle_of_a_send_changes_nothing_for_it(blinker_adapter):
    """The dispatch that has begun is told of as it ends."""
    recording = Recording()
    signal = OrderedSignal()

    def undoing(sender, **_):
        undo()
        return "undone"

    signal.connect(undoing)
    signal.connect(receiver)
    with observing(recording):
        undo = blinker_adapter.install()
        assert signal.send() == [(undoing, "undone"), (receiver, "heard")]
        assert signal.send() == [(undoing, "undone"), (receiver, "heard")]

    assert [[call.receiver for call in note.calls] for note in recording.notes] == [["undoing", "receiver"]]


def test_spans_within_a_receiver_find_their_parent(instrument, spans):
    """The receiver's span is current while it runs, and the sender's before and after."""
    instrument("blinker")
    signal = blinker.Signal()

    def starting(sender, **_):
        with spans.tracer.start_as_current_span("inside"):
            pass

    signal.connect(starting)
    with spans.tracer.start_as_current_span("request") as request:
        signal.send()
        assert trace.get_current_span() is request

    assert spans.tree() == [("request", [("send _OTHER", [("handle starting", [("inside", [])])])])]
