"""What becomes of a receiver's error."""

from __future__ import annotations

import logging
import re
import traceback

import pytest


class Broken(Exception):
    """Raised by receivers on purpose."""


BROKEN = f"{Broken.__module__}.Broken"


def names_of(error: BaseException) -> list[str]:
    """The functions that an error passed through, the outermost first."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.needs("order")
def test_send_raises_the_very_error(signal, send_raising):
    """The first error ends the dispatch and is raised, not a copy and not wrapped; later receivers never run."""
    error = Broken("oven")
    ran = []

    def before(sender, **_):
        ran.append("before")

    def failing(sender, **_):
        raise error

    def after(sender, **_):
        ran.append("after")

    for receiver in (before, failing, after):
        signal.connect(receiver)

    with pytest.raises(Broken) as caught:
        send_raising(signal, None)

    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert ran == ["before"]


def test_the_traceback_ends_in_the_receiver(signal, raising_verb):
    """From the sender to the receiver there are as many frames as without an observer, and none twice."""

    def failing(sender, **_):
        raise Broken

    signal.connect(failing)
    send = raising_verb(signal)
    with pytest.raises(Broken) as caught:
        send(None)

    frames = traceback.extract_tb(caught.value.__traceback__)
    places = [(frame.filename, frame.lineno, frame.name) for frame in frames]
    assert frames[0].name == "test_the_traceback_ends_in_the_receiver"
    assert frames[-1].name == "failing"
    assert len(places) == 1 + raising_verb.frames
    assert len(set(places)) == len(places)


def test_the_traceback_of_a_captured_error_begins_in_the_dispatcher(signal, dispatcher, capturing_verb):
    """A captured error passed through the dispatcher and the receiver alone."""

    def failing(sender, **_):
        raise Broken

    signal.connect(failing)
    [(_, response)] = capturing_verb(signal)(None)

    names = names_of(dispatcher.response_of(response))
    assert names[0] in (capturing_verb.name, "send")  # the code of one function may serve several verbs
    assert names[-1] == "failing"
    assert len(names) == capturing_verb.frames


def test_a_captured_error_is_the_very_error_and_the_send_goes_on(signal, dispatcher, send_capturing, results):
    """An Exception becomes the response of its receiver."""
    error = Broken("oven")

    def failing(sender, **_):
        raise error

    def after(sender, **_):
        return "after"

    signal.connect(failing)
    signal.connect(after)
    responses = dict(send_capturing(signal, None))

    assert dispatcher.response_of(responses.pop(failing)) is error
    assert responses == {after: "after"}


@pytest.mark.needs("logs_captured")
def test_captured_errors_are_logged(signal, dispatcher, send_capturing, caplog):
    """Once for each error, with the receiver's name and the traceback."""

    def failing(sender, **_):
        raise Broken("oven")

    signal.connect(failing)
    with caplog.at_level(logging.ERROR):
        [(_, response)] = send_capturing(signal, None)

    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert re.search(dispatcher.logged, record.getMessage())
    assert record.exc_info is not None
    assert record.exc_info[1] is dispatcher.response_of(response)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_what_is_no_exception_is_not_captured(signal, kind, send_capturing):
    """To be told to stop is not an error of a receiver."""
    error = kind()
    ran = []

    def stopping(sender, **_):
        raise error

    def after(sender, **_):
        ran.append("after")

    signal.connect(stopping)
    signal.connect(after)

    with pytest.raises(kind) as caught:
        send_capturing(signal, None)

    assert caught.value is error
    assert ran == []


def test_an_error_raised_while_another_is_handled_keeps_its_context(signal, send_raising):
    """``__context__`` and ``__cause__`` are the receiver's."""
    inner = KeyError("inner")

    def failing(sender, **_):
        try:
            raise inner
        except KeyError as caught:
            raise Broken from caught

    signal.connect(failing)
    with pytest.raises(Broken) as caught:
        send_raising(signal, None)

    assert caught.value.__cause__ is inner
    assert caught.value.__context__ is inner
    assert inner.__context__ is None


def test_a_receiver_sees_the_error_its_sender_is_handling(signal, send):
    """``sys.exc_info`` within a receiver is the sender's, as it would be for any function it calls."""
    import sys

    seen = []

    def receiver(sender, **_):
        seen.append(sys.exc_info()[1])

    signal.connect(receiver)
    handled = KeyError("handled")
    try:
        raise handled
    except KeyError:
        send(signal, None)
    send(signal, None)

    assert seen == [handled, None]


def test_one_error_object_may_be_raised_again(signal, send_raising):
    """The same object raised by two sends is raised by each of them."""
    error = Broken()

    def failing(sender, **_):
        raise error

    signal.connect(failing)
    for _ in range(2):
        error.__traceback__ = None
        with pytest.raises(Broken) as caught:
            send_raising(signal, None)
        assert caught.value is error
        assert names_of(error)[-1] == "failing"


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_stop_iteration_is_raised_like_any_other_error(signal, send_raising, kind):
    """Nothing in the way swallows it."""

    def failing(sender, **_):
        raise kind("mine")

    signal.connect(failing)
    with pytest.raises(kind, match="mine"):
        send_raising(signal, None)


def test_stop_iteration_is_captured_like_any_other_error(signal, dispatcher, send_capturing):
    """It is an Exception."""

    def failing(sender, **_):
        raise StopIteration("mine")

    signal.connect(failing)
    [(_, response)] = send_capturing(signal, None)

    assert isinstance(dispatcher.response_of(response), StopIteration)


def test_an_error_that_propagates_is_the_dispatchs_as_well(signal, send_raising, raising_verb, dispatcher, observation):
    """The receiver has failed, and so has the send."""

    def failing(sender, **_):
        raise Broken

    signal.connect(failing)
    with pytest.raises(Broken):
        send_raising(signal, None)

    if observation is not None:
        assert observation.notes == [
            (raising_verb.name, dispatcher.name, "raised", BROKEN, (("failing", "sync", "raised", BROKEN),))
        ]


def test_a_captured_error_is_the_receivers_alone(signal, send_capturing, capturing_verb, dispatcher, observation):
    """The send has not failed."""

    def failing(sender, **_):
        raise Broken

    signal.connect(failing)
    send_capturing(signal, None)

    if observation is not None:
        assert observation.notes == [
            (capturing_verb.name, dispatcher.name, "returned", None, (("failing", "sync", "raised", BROKEN),))
        ]
