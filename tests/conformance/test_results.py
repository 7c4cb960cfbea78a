"""What a send returns, and to whom it speaks."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from heliograph import instrumentor
from tests.support.observers import Recording, observing


def test_a_send_returns_pairs_of_receiver_and_response(signal, send, results):
    """The result is a list of pairs, in the order of connecting where one is promised; receivers are the very objects."""

    def first(sender, **_):
        return "one"

    def second(sender, **_):
        return 2

    def third(sender, **_):
        return None

    for receiver in (first, second, third):
        assert signal.connect(receiver) in (None, receiver)  # Django's connect returns nothing, others' the receiver

    result = send(signal, None)

    assert type(result) is list
    assert all(type(pair) is tuple for pair in result)
    assert result == results((first, "one"), (second, 2), (third, None))
    assert {id(receiver) for receiver, _ in result} == {id(first), id(second), id(third)}


def test_a_signal_without_receivers_returns_an_empty_list(signal, send):
    """A dispatch nobody hears is no error."""
    assert send(signal, None) == []


def test_each_send_returns_a_list_of_its_own(signal, send):
    """The caller may change what it got."""
    send(signal, None).append("mine")

    assert send(signal, None) == []


def test_receivers_get_what_is_sent(signal, dispatcher, send):
    """The very objects, the way the dispatcher passes them, and nothing else."""
    sender, value = object(), object()
    arrived = []

    def receiver(*arguments, **named):
        arrived.append((arguments, named))

    signal.connect(receiver)
    send(signal, sender, value=value)

    assert arrived == [dispatcher.calls(signal, sender, {"value": value})]
    assert arrived[0][1]["value"] is value


AWKWARD = [
    *("receiver", "call", "record", "operation", "policy", "dialect", "named", "site", "watched", "error"),
    *("receivers", "original", "observer", "dispatch", "name", "args", "kwargs", "cls", "entered", "response"),
]


@pytest.mark.needs("any_payload")
def test_a_payload_may_use_any_name(signal, send):
    """Names that the dispatcher or heliograph use themselves arrive like any other."""
    payload = {name: f"value of {name}" for name in AWKWARD}
    arrived = {}

    def receiver(sender, **named):
        arrived.update(named)

    signal.connect(receiver)
    send(signal, None, **payload)
    arrived.pop("signal", None)

    assert arrived == payload


@pytest.mark.needs("refuses_senders")
def test_the_sender_may_be_given_by_position_or_by_name(signal, send):
    """``send(sender)`` and ``send(sender=sender)`` are the same."""
    seen = []

    def receiver(sender, **_):
        seen.append(sender)

    signal.connect(receiver)
    send(signal, "by position")
    send(signal, sender="by keyword")

    assert seen == ["by position", "by keyword"]


@pytest.mark.needs("refuses_senders")
def test_a_send_without_a_sender_is_refused(signal, send):
    """The sender has no default."""
    with pytest.raises(TypeError, match="sender"):
        send(signal)


@pytest.mark.needs("refuses_senders")
def test_a_second_sender_is_refused(signal, send):
    """All but the sender is passed by keyword."""
    with pytest.raises(TypeError, match="positional argument"):
        send(signal, "one", "two")


@pytest.mark.needs("refuses_senders")
def test_self_in_the_payload_is_refused(signal, send):
    """``self`` is the one name that the method itself takes."""
    with pytest.raises(TypeError, match="multiple values for argument 'self'"):
        send(signal, None, self="mine")


@pytest.mark.needs("signal_argument")
def test_signal_in_the_payload_fails_where_it_is_passed_on(signal, send_raising):
    """Each receiver gets the signal as ``signal``, so a payload that has one too cannot be passed."""

    def receiver(sender, **_):
        return "never called"

    assert send_raising(signal, None, signal="mine") == []  # nobody to pass it to

    signal.connect(receiver)
    with pytest.raises(TypeError, match="multiple values for keyword argument 'signal'"):
        send_raising(signal, None, signal="mine")


@pytest.mark.needs("signal_argument")
def test_signal_in_the_payload_is_captured_where_errors_are(signal, dispatcher, send_capturing):
    """To pass the payload on is part of calling the receiver."""

    def receiver(sender, **_):
        return "never called"

    signal.connect(receiver)
    [(returned, response)] = send_capturing(signal, None, signal="mine")

    assert returned is receiver
    assert isinstance(dispatcher.response_of(response), TypeError)


def test_receivers_hear_the_sender_they_are_connected_to(signal, send):
    """A receiver connected with a sender hears that one alone, compared by identity; without one it hears all."""

    class Shop:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    here, there = Shop(), Shop()

    def local(sender, **_):
        return "local"

    def everywhere(sender, **_):
        return "everywhere"

    signal.connect(local, sender=here)
    signal.connect(everywhere)

    assert sorted(response for _, response in send(signal, here)) == ["everywhere", "local"]
    assert send(signal, there) == [(everywhere, "everywhere")]
    assert send(signal, None) == [(everywhere, "everywhere")]


def test_a_receiver_may_be_connected_once_for_each_sender(signal, send):
    """Receiver and sender together identify a connection."""

    def receiver(sender, **_):
        return sender

    signal.connect(receiver, sender=int)
    signal.connect(receiver, sender=str)
    signal.connect(receiver, sender=str)

    assert send(signal, int) == [(receiver, int)]
    assert send(signal, str) == [(receiver, str)]
    signal.disconnect(receiver, sender=int)
    assert send(signal, int) == []
    assert send(signal, str) == [(receiver, str)]


def test_connecting_twice_is_connecting_once(signal, send):
    """The same receiver is called once, and disconnected at once."""

    def receiver(sender, **_):
        return "heard"

    signal.connect(receiver)
    signal.connect(receiver)

    assert send(signal, None) == [(receiver, "heard")]
    signal.disconnect(receiver)
    assert send(signal, None) == []


@pytest.mark.needs("tells_disconnection")
def test_disconnect_tells_whether_there_was_a_connection(signal):
    """Once it is gone, it is gone."""

    def receiver(sender, **_):
        return "heard"

    signal.connect(receiver)
    assert signal.disconnect(receiver) is True
    assert signal.disconnect(receiver) is False


@pytest.mark.needs("dispatch_uid")
def test_a_dispatch_uid_identifies_a_receiver(signal, send):
    """The first receiver connected with a uid stays; it is disconnected by the uid alone."""

    def first(sender, **_):
        return "first"

    def second(sender, **_):
        return "second"

    signal.connect(first, dispatch_uid="shop.receipt")
    signal.connect(second, dispatch_uid="shop.receipt")

    assert send(signal, None) == [(first, "first")]
    assert signal.disconnect(dispatch_uid="shop.receipt") is True
    assert signal.disconnect(dispatch_uid="shop.receipt") is False
    assert send(signal, None) == []


@pytest.mark.needs("has_listeners")
def test_has_listeners_tells_whether_a_send_would_reach_anybody(signal):
    """It knows of senders, and is no send."""

    def receiver(sender, **_):
        raise AssertionError("called")

    assert signal.has_listeners() is False
    signal.connect(receiver, sender=int)
    assert signal.has_listeners() is False
    assert signal.has_listeners(str) is False
    assert signal.has_listeners(int) is True
    signal.disconnect(receiver, sender=int)
    assert signal.has_listeners(int) is False


@pytest.mark.needs("receiver_decorator")
def test_a_decorator_connects_to_several_signals(dispatcher, send):
    """``receiver`` takes one signal or a list, and returns the function."""
    module = __import__(dispatcher.Signal.__module__.rpartition(".")[0], fromlist=["receiver"])
    done, paid = dispatcher.Signal(), dispatcher.Signal()

    def function(sender, **_):
        return sender

    decorated = module.receiver([done, paid], sender=int)(function)

    assert decorated is function
    assert send(done, int) == [(function, int)]
    assert send(paid, int) == [(function, int)]
    assert send(paid, str) == []


@pytest.mark.needs("assignable_receivers")
def test_receivers_can_be_saved_cleared_and_restored(signal, send):
    """Test tools mute signals by assigning ``receivers``, and bring them back the same way."""

    def receiver(sender, **_):
        return "heard"

    signal.connect(receiver)
    saved = signal.receivers
    signal.receivers = []
    muted = send(signal, None)
    signal.receivers = saved

    assert muted == []
    assert send(signal, None) == [(receiver, "heard")]


@pytest.mark.needs("assignable_receivers")
def test_a_signal_restored_while_muted_connections_were_made_keeps_both(signal, send):
    """What is connected while a signal is muted can be added to what was saved."""

    def before(sender, **_):
        return "before"

    def meanwhile(sender, **_):
        return "meanwhile"

    signal.connect(before)
    saved = signal.receivers
    signal.receivers = []
    signal.connect(meanwhile)
    signal.receivers = saved + signal.receivers

    assert send(signal, None) == [(before, "before"), (meanwhile, "meanwhile")]


@pytest.mark.needs("subclasses")
def test_a_subclass_may_override_send_and_call_super(dispatcher, observation):
    """Plugin systems do; the override runs, and the dispatch counts once."""

    class Counting(dispatcher.Signal):  # type: ignore[misc, name-defined]
        sent = 0

        def send(self, *sender, **named):
            type(self).sent += 1
            return super().send(*sender, **named)

    signal = Counting()

    def receiver(sender, value, **_):
        return value * 2

    signal.connect(receiver)

    assert signal.send(None, value=4) == [(receiver, 8)]
    assert Counting.sent == 1
    if observation is not None:
        assert observation.outcomes == [("send", "returned")]


@pytest.mark.needs("live_receivers")
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

    def wanted(sender, **_):
        return "wanted"

    def unwanted(sender, **_):
        return "unwanted"

    signal.connect(unwanted)
    signal.connect(wanted)

    assert send(signal, None) == [(wanted, "wanted")]
    if observation is not None:
        assert [call.receiver for call in observation.notes[0].calls] == ["wanted"]


@pytest.mark.needs("use_caching")
def test_signals_with_caching_give_the_same_results(dispatcher, send):
    """``use_caching`` changes the price alone."""
    signal = dispatcher.Signal(use_caching=True)

    def receiver(sender, **_):
        return "heard"

    class Sender:
        pass

    assert send(signal, Sender) == []
    signal.connect(receiver, sender=Sender)
    assert send(signal, Sender) == [(receiver, "heard")]
    assert send(signal, Sender) == [(receiver, "heard")]
    signal.disconnect(receiver, sender=Sender)
    assert send(signal, Sender) == []
    assert send(signal, Sender) == []


def test_observing_begins_and_ends_without_a_trace(dispatcher, signal, send):
    """Receivers connected before, during and after are the same objects in the registry and in responses."""

    def receiver(sender, **_):
        return "heard"

    signal.connect(receiver)
    before = send(signal, None)
    undo = instrumentor._adapters[dispatcher.library].install()
    with observing(Recording()):
        during = send(signal, None)
    undo()
    after = send(signal, None)

    assert before == during == after == [(receiver, "heard")]
    assert before[0][0] is during[0][0] is after[0][0] is receiver


@pytest.mark.needs("subclasses")
def test_the_registry_is_left_alone(dispatcher, signal, send):
    """Whatever a signal keeps of its receivers is the same before, during and after."""

    def receiver(sender, **_):
        return "heard"

    def registered():
        return list(signal.receivers), dict(vars(signal)).keys()

    signal.connect(receiver)
    send(signal, None)
    before = registered()
    undo = instrumentor._adapters[dispatcher.library].install()
    with observing(Recording()):
        send(signal, None)
        during = registered()
    undo()

    assert before == during == registered()


def test_watched_rows_are_watched(signal, dispatcher, observation, traced, verb):
    """The suite tests what it says it tests: where somebody observes, each send is heard of."""

    def receiver(sender, **_):
        return None

    signal.connect(receiver)
    verb(signal)(None)

    if observation is None:
        return
    assert [(one.operation, one.signal, len(one.calls)) for one in observation.notes] == [
        (verb.name, dispatcher.name, 1)
    ]
    if traced is not None:
        assert traced.counts() == {f"{verb.name} {dispatcher.name.rpartition('.')[2]}": 1, "handle receiver": 1}


def test_results_do_not_depend_on_the_garbage_collector(signal, send):
    """A send leaves nothing behind that only the collector could remove."""

    def receiver(sender: Any, **_: Any) -> str:
        return "heard"

    signal.connect(receiver)
    gc.disable()
    try:
        assert send(signal, None) == [(receiver, "heard")]
        del receiver
        assert send(signal, None) == []
    finally:
        gc.enable()
