"""Receivers that die, come and go: between sends, during a send, and on many threads at once."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


@pytest.fixture
def no_collector():
    """Shows that nothing waits for the garbage collector."""
    gc.disable()
    yield
    gc.enable()


def responses(result):
    return [response for _, response in result]


def test_a_function_that_died_is_not_called(signal, dispatcher, send, no_collector):
    """A receiver is held weakly: when its last reference goes, so does the connection."""

    def receiver(sender, **_):
        return "heard"

    signal.connect(receiver)
    assert responses(send(signal, None)) == ["heard"]
    del receiver

    assert send(signal, None) == []
    if dispatcher.can("has_listeners"):
        assert signal.has_listeners() is False


def test_a_receiver_dies_right_after_a_send_in_which_it_failed(signal, send_raising, no_collector):
    """An error holds the frames it passed through, and nobody else does."""

    def failing(sender, **_):
        raise ValueError

    signal.connect(failing)
    reference = weakref.ref(failing)
    with contextlib.suppress(ValueError):
        send_raising(signal, None)
    del failing

    assert reference() is None
    assert send_raising(signal, None) == []


def test_senders_and_payload_die_after_the_send(signal, send, no_collector):
    """A send keeps nothing of what was sent."""

    class Thing:
        pass

    sender, value = Thing(), Thing()
    references = [weakref.ref(sender), weakref.ref(value)]

    def receiver(sender, value, **_):
        return None

    signal.connect(receiver)
    send(signal, sender, value=value)
    del sender, value

    assert [reference() for reference in references] == [None, None]


@pytest.mark.needs("tells_bound_methods_apart")
def test_a_bound_method_lives_as_long_as_its_object(signal, send, no_collector):
    """Each access makes a new method object, and none of them is what is held."""

    class Shop:
        def __init__(self, name):
            self.name = name

        def receiver(self, sender, **_):
            return self.name

    shop, other = Shop("shop"), Shop("other")
    signal.connect(shop.receiver)
    signal.connect(other.receiver)
    signal.connect(shop.receiver)

    assert dict(send(signal, None)) == {shop.receiver: "shop", other.receiver: "other"}
    signal.disconnect(other.receiver)
    del shop
    assert send(signal, None) == []


def test_a_callable_object_is_held_weakly_too(signal, send, no_collector):
    """As functions are."""

    class Receiver:
        def __call__(self, sender, **_):
            return "heard"

    receiver = Receiver()
    signal.connect(receiver)
    assert send(signal, None) == [(receiver, "heard")]
    del receiver
    assert send(signal, None) == []


def test_weak_false_keeps_a_receiver(signal, send):
    """A lambda that nothing else refers to lives as long as its connection."""
    signal.connect(lambda sender, **_: "heard", weak=False)
    gc.collect()

    [(receiver, response)] = send(signal, None)
    assert response == "heard"

    reference = weakref.ref(receiver)
    signal.disconnect(receiver)
    del receiver
    gc.collect()
    assert reference() is None


@pytest.mark.needs("order")
def test_a_receiver_deleted_by_an_earlier_one(signal, dispatcher, send, no_collector):
    """Where it is settled who is called when the send begins, it is still called, once; elsewhere it is not."""
    holder: dict[str, Any] = {}

    def deleting(sender, **_):
        holder.clear()
        return "deleting"

    def later(sender, **_):
        return "later"

    holder["later"] = later
    signal.connect(deleting)
    signal.connect(later)
    del later

    still_called = ["later"] if dispatcher.can("settled_receivers") else []
    assert responses(send(signal, None)) == ["deleting", *still_called]
    assert responses(send(signal, None)) == ["deleting"]


@pytest.mark.needs("late_connections")
def test_connections_made_during_a_send_count_from_the_next(signal, send, results):
    """A receiver that connects another does not have it called in the same send."""

    def late(sender, **_):
        return "late"

    def connecting(sender, **_):
        signal.connect(late)
        return "connecting"

    signal.connect(connecting)
    assert send(signal, None) == [(connecting, "connecting")]
    assert send(signal, None) == results((connecting, "connecting"), (late, "late"))


@pytest.mark.needs("order")
def test_a_receiver_disconnected_during_a_send(signal, dispatcher, send):
    """Where it is settled who is called when the send begins, nobody is skipped, whoever leaves."""

    def leaving(sender, **_):
        signal.disconnect(leaving)
        signal.disconnect(later)
        return "leaving"

    def later(sender, **_):
        return "later"

    signal.connect(leaving)
    signal.connect(later)

    still_called = ["later"] if dispatcher.can("settled_receivers") else []
    assert responses(send(signal, None)) == ["leaving", *still_called]
    assert send(signal, None) == []


def test_a_signal_may_be_sent_by_its_own_receiver(signal, send, observation):
    """Recursion works, and each send is heard of with what it encloses."""

    def receiver(sender, depth, **_):
        return [depth, *(responses(send(signal, None, depth=depth + 1)) if depth < 3 else [])]

    signal.connect(receiver)

    assert send(signal, None, depth=0) == [(receiver, [0, [1, [2, [3]]]])]
    if observation is not None:
        assert [one.outcome for one in observation.notes] == ["returned"] * 4


def test_a_signal_dies_with_its_last_reference(dispatcher, send):
    """Nobody keeps a signal that was sent, and its successor is a signal of its own."""
    signal = dispatcher.Signal()
    reference = weakref.ref(signal)
    send(signal, None)
    del signal
    gc.collect()

    assert reference() is None


@pytest.mark.needs("forgets_senders")
def test_a_sender_reusing_an_id_is_another_sender(dispatcher, send):
    """A receiver connected to a sender that died does not hear whoever gets its place in memory."""

    class Sender:
        pass

    signal = dispatcher.Signal()

    def receiver(sender, **_):
        return "heard"

    def id_of_one_that_died():
        sender = Sender()
        signal.connect(receiver, sender=sender)
        assert responses(send(signal, sender)) == ["heard"]
        return id(sender)

    for _ in range(100):
        before = id_of_one_that_died()
        sender = Sender()
        assert send(signal, sender) == []
        if id(sender) == before:
            break
    else:
        pytest.fail("no id was used twice")


@pytest.mark.needs("thread_safe")
def test_threads_may_connect_disconnect_and_send_at_once(signal, send):
    """No send is lost, doubled or broken, whatever the others do."""
    threads, rounds = 16, 30
    start = threading.Barrier(threads)

    def steady(sender, **_):
        return "steady"

    signal.connect(steady)

    def work(number):
        def own(sender, **_):
            return number

        results = []
        start.wait(timeout=30)
        for _ in range(rounds):
            signal.connect(own)
            results.append(responses(send(signal, None)))
            signal.disconnect(own)
            results.append(responses(send(signal, None)))
        return number, results

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, number) for number in range(threads)]
        for future in futures:
            number, results = future.result(timeout=60)
            for index, result in enumerate(results):
                assert result.count("steady") == 1
                assert result.count(number) == (index + 1) % 2
                assert len(result) == len(set(result)) <= threads + 1

    assert send(signal, None) == [(steady, "steady")]
