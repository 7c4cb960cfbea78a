"""What a receiver sees around it: context variables, the stack, the thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
import warnings
from types import FrameType

import pytest

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
def reset():
    """Each test finds the variable unset."""
    token = variable.set("unset")
    yield
    variable.reset(token)


@pytest.mark.needs("order")
def test_what_a_receiver_sets_is_set_after_the_send(signal, send):
    """A context variable set by a receiver is seen by later receivers, and by the sender after the send."""
    seen = []

    def first(sender, **_):
        seen.append(variable.get())
        variable.set("first")

    def second(sender, **_):
        seen.append(variable.get())
        variable.set("second")

    signal.connect(first)
    signal.connect(second)
    variable.set("sender")
    send(signal, None)

    assert seen == ["sender", "first"]
    assert variable.get() == "second"


def test_a_token_taken_in_one_receiver_resets_in_another(signal, send):
    """Receivers run in the sender's own context, so a token of one serves the other."""
    tokens = []

    def begin(sender, **_):
        tokens.append(variable.set("within"))

    def end(sender, **_):
        variable.reset(tokens.pop())

    signal.connect(begin)
    send(signal, None)
    assert variable.get() == "within"

    signal.disconnect(begin)
    signal.connect(end)
    send(signal, None)
    assert variable.get() == "unset"


def test_what_a_failing_receiver_set_stays_set(signal, send):
    """An error undoes nothing."""

    def failing(sender, **_):
        variable.set("before the error")
        raise ValueError

    signal.connect(failing)
    with contextlib.suppress(ValueError):
        send(signal, None)
    assert variable.get() == "before the error"


@pytest.mark.needs("async_receivers", "concurrent_receivers")
def test_what_async_receivers_set_is_seen_as_the_dispatcher_has_it(signal, dispatcher, send):
    """Where async receivers share one context, siblings and the sender see it; where each has its own, nobody does."""
    seen = {}
    first_has_set = None

    async def first(sender, **_):
        nonlocal first_has_set
        variable.set("first")
        first_has_set = asyncio.Event() if first_has_set is None else first_has_set
        first_has_set.set()

    async def second(sender, **_):
        nonlocal first_has_set
        first_has_set = asyncio.Event() if first_has_set is None else first_has_set
        await first_has_set.wait()
        seen["second"] = variable.get()

    signal.connect(first)
    signal.connect(second)
    variable.set("sender")
    send(signal, None)

    if dispatcher.shared_context:
        assert (seen, variable.get()) == ({"second": "first"}, "first")
    else:
        assert (seen, variable.get()) == ({"second": "sender"}, "sender")


@pytest.mark.needs("plain_in_a_thread")
def test_what_receivers_set_under_asend_is_seen_as_the_dispatcher_has_it(signal, dispatcher, asend):
    """A plain receiver's setting reaches the sender only where the dispatcher itself awaits it."""

    def plain(sender, **_):
        variable.set("plain")

    async def concurrent(sender, **_):
        variable.set("async")

    async def main():
        variable.set("sender")
        signal.connect(plain)
        await asend(signal, None)
        after_plain = variable.get()
        signal.disconnect(plain)
        signal.connect(concurrent)
        await asend(signal, None)
        return after_plain, variable.get()

    expected = ("plain", "async") if dispatcher.shared_context else ("sender", "sender")
    assert asyncio.run(main()) == expected


def test_as_many_frames_lie_between_sender_and_receiver(signal, verb):
    """Code that looks up the stack finds the sender where it would find it without an observer."""
    here = sys._getframe()
    depths = []

    def receiver(sender, **_):
        frame: FrameType | None = sys._getframe()
        depth = 0
        while frame is not None and frame is not here:
            frame, depth = frame.f_back, depth + 1
        depths.append(depth)

    signal.connect(receiver)
    send = verb(signal)
    send(None)

    assert depths == [verb.frames]


def test_a_warning_in_a_receiver_points_at_the_sender(signal, verb):
    """``stacklevel`` counts frames, so there may be none more and none less."""

    def receiver(sender, **_):
        warnings.warn("deprecated", DeprecationWarning, stacklevel=verb.frames + 1)

    signal.connect(receiver)
    send = verb(signal)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = sys._getframe().f_lineno + 1
        send(None)

    [warning] = caught
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_receivers_run_in_the_senders_thread(signal, send):
    """A plain send moves nothing elsewhere."""
    threads = []

    def receiver(sender, **_):
        threads.append(threading.current_thread())

    signal.connect(receiver)
    send(signal, None)

    assert threads == [threading.current_thread()]


def test_no_name_of_ours_is_set_in_the_context_a_receiver_copies(signal, send):
    """After a send the sender's context has the variables it had before."""

    def receiver(sender, **_):
        return None

    signal.connect(receiver)
    send(signal, None)  # whatever is set for good is set by now
    before = dict(contextvars.copy_context())
    send(signal, None)

    assert dict(contextvars.copy_context()) == before
