"""What becomes of a receiver's error."""

from __future__ import annotations

import logging
import traceback

import pytest


class Broken(Exception):
    """Raised by receivers on purpose."""


def names_of(error: BaseException) -> list[str]:
    """The functions that an error passed through, the outermost first."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_send_raises_the_very_error(signal):
    """The first error ends the dispatch and is raised, not a copy and not wrapped; later receivers never run."""
    error = Broken("oven")
    ran = []

    def before(**_):
        ran.append("before")

    def failing(**_):
        raise error

    def after(**_):
        ran.append("after")

    for receiver in (before, failing, after):
        signal.connect(receiver)

    with pytest.raises(Broken) as caught:
        signal.send(sender=None)

    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert ran == ["before"]


def test_the_traceback_ends_in_the_receiver(signal, dispatcher):
    """From the sender to the receiver there are as many frames as without an observer, and none twice."""

    def failing(**_):
        raise Broken

    signal.connect(failing)
    with pytest.raises(Broken) as caught:
        signal.send(sender=None)

    frames = traceback.extract_tb(caught.value.__traceback__)
    places = [(frame.filename, frame.lineno, frame.name) for frame in frames]
    assert frames[0].name == "test_the_traceback_ends_in_the_receiver"
    assert frames[-1].name == "failing"
    assert len(places) == 1 + dispatcher.frames["send"]
    assert len(set(places)) == len(places)


def test_the_traceback_of_a_captured_error_begins_in_the_dispatcher(signal):
    """A captured error passed through the dispatcher and the receiver alone."""

    def failing(**_):
        raise Broken

    signal.connect(failing)
    [(_, error)] = signal.send_robust(sender=None)

    assert names_of(error) == ["send" if names_of(error)[0] == "send" else "send_robust", "failing"]


def test_send_robust_returns_the_very_error_and_goes_on(signal):
    """An Exception becomes the response of its receiver."""
    error = Broken("oven")

    def failing(**_):
        raise error

    def after(**_):
        return "after"

    signal.connect(failing)
    signal.connect(after)
    result = signal.send_robust(sender=None)

    assert result == [(failing, error), (after, "after")]
    assert result[0][1] is error


def test_send_robust_logs_what_it_captures(signal, caplog):
    """Once for each error, with the receiver's name and the traceback."""

    def failing(**_):
        raise Broken("oven")

    signal.connect(failing)
    with caplog.at_level(logging.ERROR):
        [(_, error)] = signal.send_robust(sender=None)

    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("Error calling ")
    assert record.getMessage().endswith("failing in Signal.send_robust() (oven)")
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_what_is_no_exception_passes_through_send_robust(signal, kind):
    """To be told to stop is not an error of a receiver."""
    error = kind()
    ran = []

    def stopping(**_):
        raise error

    def after(**_):
        ran.append("after")

    signal.connect(stopping)
    signal.connect(after)

    with pytest.raises(kind) as caught:
        signal.send_robust(sender=None)

    assert caught.value is error
    assert ran == []


def test_an_error_raised_while_another_is_handled_keeps_its_context(signal):
    """``__context__`` and ``__cause__`` are the receiver's."""
    inner = KeyError("inner")

    def failing(**_):
        try:
            raise inner
        except KeyError as caught:
            raise Broken from caught

    signal.connect(failing)
    with pytest.raises(Broken) as caught:
        signal.send(sender=None)

    assert caught.value.__cause__ is inner
    assert caught.value.__context__ is inner
    assert inner.__context__ is None


def test_a_receiver_sees_the_error_its_sender_is_handling(signal, send):
    """``sys.exc_info`` within a receiver is the sender's, as it would be for any function it calls."""
    import sys

    seen = []

    def receiver(**_):
        seen.append(sys.exc_info()[1])

    signal.connect(receiver)
    handled = KeyError("handled")
    try:
        raise handled
    except KeyError:
        send(signal, sender=None)
    send(signal, sender=None)

    assert seen == [handled, None]


def test_one_error_object_may_be_raised_again(signal):
    """The same object raised by two sends is raised by each of them."""
    error = Broken()

    def failing(**_):
        raise error

    signal.connect(failing)
    for _ in range(2):
        error.__traceback__ = None
        with pytest.raises(Broken) as caught:
            signal.send(sender=None)
        assert caught.value is error
        assert names_of(error)[-1] == "failing"


def test_stop_iteration_is_an_error_like_any_other(signal):
    """Nothing in the way swallows it."""

    def failing(**_):
        raise StopIteration("mine")

    signal.connect(failing)
    with pytest.raises(StopIteration, match="mine"):
        signal.send(sender=None)
    [(_, error)] = signal.send_robust(sender=None)
    assert isinstance(error, StopIteration)


def test_outcomes_are_heard(signal, observation):
    """Under send an error is the dispatch's as well, under send_robust it is the receiver's alone."""

    def failing(**_):
        raise Broken

    signal.connect(failing)
    with pytest.raises(Broken):
        signal.send(sender=None)
    signal.send_robust(sender=None)

    if observation is None:
        return
    broken = f"{Broken.__module__}.Broken"
    assert [(one.operation, one.outcome, one.error) for one in observation.notes] == [
        ("send", "raised", broken),
        ("send_robust", "returned", None),
    ]
    assert [one.calls for one in observation.notes] == [(("failing", "sync", "raised", broken),)] * 2
