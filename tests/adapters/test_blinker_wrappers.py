"""The wrappers with which blinker runs async receivers under ``send`` and plain ones under ``send_async``."""

from __future__ import annotations

import asyncio

import blinker
import pytest
from asgiref.sync import async_to_sync

from tests.conformance.rows.blinker import OrderedSignal, at_once
from tests.support.blinker_signals import Broken, another, async_receiver, calls, receiver


def test_an_async_receiver_is_run_by_the_wrapper(blinker_installed, observer, spans):
    """The wrapper gets the receiver itself; what it makes of it is called once, from the send."""
    wrapped = []

    def wrapper(one):
        wrapped.append(one)
        return async_to_sync(one)

    signal = OrderedSignal()
    signal.connect(receiver)
    signal.connect(async_receiver)

    assert signal.send(_async_wrapper=wrapper) == [(receiver, "heard"), (async_receiver, "heard later")]
    assert wrapped == [async_receiver]
    assert calls(observer.notes[0]) == [("receiver", "sync", "returned"), ("async_receiver", "sync", "returned")]


def test_a_plain_receiver_is_run_by_the_other_wrapper(blinker_installed, observer):
    """And awaited."""
    wrapped = []

    def wrapper(one):
        wrapped.append(one)
        return at_once(one)

    signal = OrderedSignal()
    signal.connect(receiver)
    signal.connect(async_receiver)

    assert asyncio.run(signal.send_async(_sync_wrapper=wrapper)) == [
        (receiver, "heard"),
        (async_receiver, "heard later"),
    ]
    assert wrapped == [receiver]
    assert calls(observer.notes[0]) == [("receiver", "async", "returned"), ("async_receiver", "async", "returned")]


@pytest.mark.parametrize("observed", [False, True])
def test_a_receiver_that_cannot_be_run_without_a_wrapper_is_refused_in_the_same_words(
    blinker_adapter, keeper, observed
):
    """The receivers before it have run, it has not, and neither have those after it."""
    signal, other = OrderedSignal(), OrderedSignal()
    for one in (receiver, async_receiver, another):
        signal.connect(one)
    for one in (async_receiver, receiver):
        other.connect(one)
    undo = blinker_adapter.install() if observed else lambda: None
    with pytest.raises(RuntimeError, match=r"^Cannot send to a coroutine function\.$"):
        signal.send()
    with pytest.raises(RuntimeError, match=r"^Cannot send to a non-coroutine function\.$"):
        asyncio.run(other.send_async())
    undo()

    if observed:
        first, second = keeper.dispatches
        assert ([call.receiver for call in first.calls], first.skipped) == ([receiver], [async_receiver, another])
        assert ([call.receiver for call in second.calls], second.skipped) == ([async_receiver], [receiver])
        assert keeper.outcomes == [("send", "raised"), ("send_async", "raised")]


def test_a_wrapper_that_fails_is_an_error_of_the_receiver(blinker_installed, observer):
    """It was called to run that one."""

    def wrapper(one):
        raise Broken

    signal = blinker.Signal()
    with signal.connected_to(async_receiver), pytest.raises(Broken):
        signal.send(_async_wrapper=wrapper)
    with signal.connected_to(receiver), pytest.raises(Broken):
        asyncio.run(signal.send_async(_sync_wrapper=wrapper))

    assert [calls(note) for note in observer.notes] == [
        [("async_receiver", "sync", "raised")],
        [("receiver", "async", "raised")],
    ]
