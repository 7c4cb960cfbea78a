"""What a send returns, and to whom it speaks."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from heliograph import instrumentor
from tests.support.observers import Recording, observing


def test_a_send_returns_pairs_of_receiver_and_response_in_the_order_of_connecting(signal, send):
    """The result is a list of pairs; each receiver in it is the connected object itself."""

    def first(**_):
        return "one"

    def second(**_):
        return 2

    def third(**_):
        return None

    for receiver in (first, second, third):
        assert signal.connect(receiver) in (None, receiver)  # Django's connect returns nothing, ours the receiver

    result = send(signal, sender=None)

    assert type(result) is list
    assert all(type(pair) is tuple for pair in result)
    assert [receiver for receiver, _ in result] == [first, second, third]
    assert all(returned is one for (returned, _), one in zip(result, (first, second, third), strict=True))
    assert [response for _, response in result] == ["one", 2, None]


def test_a_signal_without_receivers_returns_an_empty_list(signal, send):
    """A dispatch nobody hears is no error."""
    assert send(signal, sender=None) == []


def test_each_send_returns_a_list_of_its_own(signal, send):
    """The caller may change what it got."""
    send(signal, sender=None).append("mine")

    assert send(signal, sender=None) == []


def test_receivers_get_signal_sender_and_payload_by_keyword(signal, send):
    """What is sent is what arrives: the very objects, and nothing else."""
    sender, value = object(), object()
    arrived = {}

    def receiver(**named):
        arrived.update(named)

    signal.connect(receiver)
    send(signal, sender=sender, value=value)

    assert arrived == {"signal": signal, "sender": sender, "value": value}
    assert arrived["value"] is value


AWKWARD = [
    *("receiver", "call", "record", "operation", "policy", "dialect", "named", "site", "watched", "error"),
    *("receivers", "original", "observer", "dispatch", "name", "args", "kwargs", "cls", "entered", "response"),
]


def test_a_payload_may_use_any_name(signal, send):
    """Names that the dispatcher or heliograph use themselves arrive like any other."""
    payload = {name: f"value of {name}" for name in AWKWARD}
    arrived = {}

    def receiver(signal, sender, **named):
        arrived.update(named)

    signal.connect(receiver)
    send(signal, sender=None, **payload)

    assert arrived == payload


def test_the_sender_may_be_given_by_position(signal, send):
    """``send(sender)`` and ``send(sender=sender)`` are the same."""
    seen = []

    def receiver(sender, **_):
        seen.append(sender)

    signal.connect(receiver)
    send(signal, "by position")
    send(signal, sender="by keyword")

    assert seen == ["by position", "by keyword"]


def test_a_send_without_a_sender_is_refused(signal, send):
    """The sender has no default."""
    with pytest.raises(TypeError, match="sender"):
        send(signal)


def test_a_second_sender_is_refused(signal, send):
    """All but the sender is passed by keyword."""
    with pytest.raises(TypeError, match="positional argument"):
        send(signal, "one", "two")


def test_self_in_the_payload_is_refused(signal, send):
    """``self`` is the one name that the method itself takes."""
    with pytest.raises(TypeError, match="multiple values for argument 'self'"):
        send(signal, sender=None, self="mine")


def test_signal_in_the_payload_fails_where_it_is_passed_on(signal):
    """Each receiver gets the signal as ``signal``, so a payload that has one too cannot be passed."""

    def receiver(**_):
        return "never called"

    assert signal.send(sender=None, signal="mine") == []  # nobody to pass it to

    signal.connect(receiver)
    with pytest.raises(TypeError, match="multiple values for keyword argument 'signal'"):
        signal.send(sender=None, signal="mine")


def test_signal_in_the_payload_is_captured_by_send_robust(signal):
    """To pass the payload on is part of calling the receiver."""

    def receiver(**_):
        return "never called"

    signal.connect(receiver)
    [(returned, response)] = signal.send_robust(sender=None, signal="mine")

    assert returned is receiver
    assert isinstance(response, TypeError)


def test_receivers_hear_the_sender_they_are_connected_to(signal, send):
    """A receiver connected with a sender hears that one alone, compared by identity; without one it hears all."""

    class Shop:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    here, there = Shop(), Shop()

    def local(**_):
        return "local"

    def everywhere(**_):
        return "everywhere"

    signal.connect(local, sender=here)
    signal.connect(everywhere)

    assert [response for _, response in send(signal, sender=here)] == ["local", "everywhere"]
    assert [response for _, response in send(signal, sender=there)] == ["everywhere"]
    assert [response for _, response in send(signal, sender=None)] == ["everywhere"]


def test_a_receiver_may_be_connected_once_for_each_sender(signal, send):
    """Receiver and sender together identify a connection."""

    def receiver(sender, **_):
        return sender

    signal.connect(receiver, sender=int)
    signal.connect(receiver, sender=str)
    signal.connect(receiver, sender=str)

    assert send(signal, sender=int) == [(receiver, int)]
    assert send(signal, sender=str) == [(receiver, str)]
    assert signal.disconnect(receiver, sender=int) is True
    assert send(signal, sender=int) == []
    assert send(signal, sender=str) == [(receiver, str)]


def test_connecting_twice_is_connecting_once(signal, send):
    """The same receiver is called once, and disconnected at once."""

    def receiver(**_):
        return "heard"

    signal.connect(receiver)
    signal.connect(receiver)

    assert send(signal, sender=None) == [(receiver, "heard")]
    assert signal.disconnect(receiver) is True
    assert signal.disconnect(receiver) is False
    assert send(signal, sender=None) == []


def test_a_dispatch_uid_identifies_a_receiver(signal, send):
    """The first receiver connected with a uid stays; it is disconnected by the uid alone."""

    def first(**_):
        return "first"

    def second(**_):
        return "second"

    signal.connect(first, dispatch_uid="shop.receipt")
    signal.connect(second, dispatch_uid="shop.receipt")

    assert send(signal, sender=None) == [(first, "first")]
    assert signal.disconnect(dispatch_uid="shop.receipt") is True
    assert signal.disconnect(dispatch_uid="shop.receipt") is False
    assert send(signal, sender=None) == []


def test_has_listeners_tells_whether_a_send_would_reach_anybody(signal):
    """It knows of senders, and is no send."""

    def receiver(**_):
        raise AssertionError("called")

    assert signal.has_listeners() is False
    signal.connect(receiver, sender=int)
    assert signal.has_listeners() is False
    assert signal.has_listeners(str) is False
    assert signal.has_listeners(int) is True
    signal.disconnect(receiver, sender=int)
    assert signal.has_listeners(int) is False


def test_a_decorator_connects_to_several_signals(dispatcher, send):
    """``receiver`` takes one signal or a list, and returns the function."""
    module = __import__(dispatcher.Signal.__module__.rpartition(".")[0], fromlist=["receiver"])
    done, paid = dispatcher.Signal(), dispatcher.Signal()

    def function(sender, **_):
        return sender

    decorated = module.receiver([done, paid], sender=int)(function)

    assert decorated is function
    assert send(done, sender=int) == [(function, int)]
    assert send(paid, sender=int) == [(function, int)]
    assert send(paid, sender=str) == []


def test_receivers_can_be_saved_cleared_and_restored(signal, send):
    """Test tools mute signals by assigning ``receivers``, and bring them back the same way."""

    def receiver(**_):
        return "heard"

    signal.connect(receiver)
    saved = signal.receivers
    signal.receivers = []
    muted = send(signal, sender=None)
    signal.receivers = saved

    assert muted == []
    assert send(signal, sender=None) == [(receiver, "heard")]


def test_a_signal_restored_while_muted_connections_were_made_keeps_both(signal, send):
    """What is connected while a signal is muted can be added to what was saved."""

    def before(**_):
        return "before"

    def meanwhile(**_):
        return "meanwhile"

    signal.connect(before)
    saved = signal.receivers
    signal.receivers = []
    signal.connect(meanwhile)
    signal.receivers = saved + signal.receivers

    assert send(signal, sender=None) == [(before, "before"), (meanwhile, "meanwhile")]


def test_a_subclass_may_override_send_and_call_super(dispatcher, observation):
    """Plugin systems do; the override runs, and the dispatch counts once."""

    class Counting(dispatcher.Signal):  # type: ignore[misc, name-defined]
        sent = 0

        def send(self, sender, **named):
            type(self).sent += 1
            return super().send(sender, **named)

    signal = Counting()

    def receiver(value, **_):
        return value * 2

    signal.connect(receiver)

    assert signal.send(sender=None, value=4) == [(receiver, 8)]
    assert Counting.sent == 1
    if observation is not None:
        assert observation.outcomes == [("send", "returned")]


def test_a_subclass_may_override_who_is_called(dispatcher, send, observation):
    """Plugin systems choose receivers by overriding ``_live_receivers``: their choice is called."""

    class Choosy(dispatcher.Signal):  # type: ignore[misc, name-defined]
        def _live_receivers(self, sender):
            found = super()._live_receivers(sender)
            if isinstance(found, tuple):
                plain, concurrent = found
                return [one for one in plain if one is not unwanted], concurrent
            return [one for one in found if one is not unwanted]

    signal = Choosy()

    def wanted(**_):
        return "wanted"

    def unwanted(**_):
        return "unwanted"

    signal.connect(unwanted)
    signal.connect(wanted)

    assert send(signal, sender=None) == [(wanted, "wanted")]
    if observation is not None:
        assert [call.receiver for call in observation.notes[0].calls] == ["wanted"]


def test_signals_with_caching_give_the_same_results(dispatcher, send):
    """``use_caching`` changes the price alone."""
    signal = dispatcher.Signal(use_caching=True)

    def receiver(**_):
        return "heard"

    class Sender:
        pass

    assert send(signal, sender=Sender) == []
    signal.connect(receiver, sender=Sender)
    assert send(signal, sender=Sender) == [(receiver, "heard")]
    assert send(signal, sender=Sender) == [(receiver, "heard")]
    signal.disconnect(receiver, sender=Sender)
    assert send(signal, sender=Sender) == []
    assert send(signal, sender=Sender) == []


def test_observing_begins_and_ends_without_a_trace(dispatcher, signal, send):
    """Receivers connected before, during and after are the same objects in the registry and in responses."""

    def receiver(**_):
        return "heard"

    signal.connect(receiver)
    before = list(signal.receivers)
    undo = instrumentor._adapters["django"].install()
    with observing(Recording()):
        during = send(signal, sender=None)
        registered = list(signal.receivers)
    undo()
    after = send(signal, sender=None)

    assert during == after == [(receiver, "heard")]
    assert during[0][0] is after[0][0] is receiver
    assert before == registered == list(signal.receivers)


def test_watched_rows_are_watched(signal, observation, traced):
    """The suite tests what it says it tests: where somebody observes, each send is heard of."""

    def receiver(**_):
        return None

    signal.connect(receiver)
    signal.send(sender=None)
    signal.send_robust(sender=None)

    if observation is None:
        return
    assert [(one.operation, len(one.calls)) for one in observation.notes] == [("send", 1), ("send_robust", 1)]
    if traced is not None:
        assert traced.counts() == {"send _OTHER": 1, "send_robust _OTHER": 1, "handle receiver": 2}


def test_results_do_not_depend_on_the_garbage_collector(signal, send):
    """A send leaves nothing behind that only the collector could remove."""

    def receiver(**_: Any) -> str:
        return "heard"

    signal.connect(receiver)
    gc.disable()
    try:
        assert send(signal, sender=None) == [(receiver, "heard")]
        del receiver
        assert send(signal, sender=None) == []
    finally:
        gc.enable()
