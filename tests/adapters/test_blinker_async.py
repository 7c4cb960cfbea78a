"""Async receivers of blinker's signals, under both ways to send: what runs them, and what is seen of it."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import types

import blinker
import pytest

from tests.conformance.rows.blinker import OrderedSignal, at_once
from tests.support.blinker_signals import Broken, calls, receiver


def test_async_receivers_are_timed_to_their_completion(instrument, spans):
    """One after another, each span around all that its receiver awaits, and what it starts is under it."""
    instrument("blinker")
    signal = OrderedSignal()

    async def first(sender, **_):
        await asyncio.sleep(0)
        with spans.tracer.start_as_current_span("of first"):
            await asyncio.sleep(0)
        return 1

    async def second(sender, **_):
        await asyncio.sleep(0)
        with spans.tracer.start_as_current_span("of second"):
            await asyncio.sleep(0)
        return 2

    signal.connect(first)
    signal.connect(second)

    assert asyncio.run(signal.send_async()) == [(first, 1), (second, 2)]
    assert spans.tree() == [
        ("send_async _OTHER", [("handle first", [("of first", [])]), ("handle second", [("of second", [])])])
    ]
    inner, outer, after = (spans.named(name) for name in ("of first", "handle first", "handle second"))
    assert outer.start_time <= inner.start_time <= inner.end_time <= outer.end_time <= after.start_time


def test_whoever_shares_the_context_of_a_receiver_that_waits_is_not_inside_it(instrument, spans):
    """Two tasks may run in one context: the one goes on while the other's receiver waits."""
    instrument("blinker")
    signal = blinker.Signal()

    async def main():
        waits, go_on = asyncio.Event(), asyncio.Event()

        async def waiting(sender, **_):
            waits.set()
            await go_on.wait()
            with spans.tracer.start_as_current_span("of the receiver"):
                pass

        async def beside():
            await waits.wait()
            with spans.tracer.start_as_current_span("beside"):
                pass
            go_on.set()

        signal.connect(waiting)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(signal.send_async(), context=context), loop.create_task(beside(), context=context)]
        async with asyncio.timeout(30):
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert spans.tree() == [
        ("send_async _OTHER", [("handle waiting", [("of the receiver", [])])]),
        ("beside", []),
    ]


def test_each_step_is_entered_and_left(installed_inside):
    """The call and the first step are one; the last one is left once the receiver has ended."""

    async def waiting_twice(sender, **_):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    signal = OrderedSignal()
    signal.connect(receiver)
    signal.connect(waiting_twice)
    asyncio.run(signal.send_async(_sync_wrapper=at_once))

    assert installed_inside.heard == [
        ("enter", "receiver"),
        ("end", "receiver"),
        ("enter", "waiting_twice"),
        ("leave", "waiting_twice"),
        ("enter", "waiting_twice"),
        ("leave", "waiting_twice"),
        ("enter", "waiting_twice"),
        ("end", "waiting_twice"),
        ("finished", "send_async"),
    ]


@pytest.fixture
def installed_inside(blinker_installed, inside):
    """An observer that stands inside receivers of blinker's signals."""
    return inside


@pytest.mark.parametrize("end", ["close", "throw"])
def test_what_a_receiver_does_when_it_is_ended_from_outside_is_inside_it(instrument, spans, end):
    """Cleaning up belongs to it."""
    instrument("blinker")

    async def cleaning(sender, **_):
        try:
            await asyncio.sleep(0)
        finally:
            with spans.tracer.start_as_current_span("cleaning up"):
                pass

    signal = blinker.Signal()
    signal.connect(cleaning)
    coroutine = signal.send_async()
    coroutine.send(None)
    if end == "close":
        coroutine.close()
    else:
        with pytest.raises(asyncio.CancelledError):
            coroutine.throw(asyncio.CancelledError())

    assert spans.tree() == [("send_async _OTHER", [("handle cleaning", [("cleaning up", [])])])]
    assert [span.status.status_code.name for span in spans.finished] == ["UNSET"] * 3


def test_what_a_receiver_sets_is_set_for_the_next(blinker_installed, observer):
    """They run in their sender's own context."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def first(sender, **_):
        variable.set("first")
        await asyncio.sleep(0)

    async def second(sender, **_):
        seen.append(variable.get())

    async def main():
        signal = OrderedSignal()
        signal.connect(first)
        signal.connect(second)
        await signal.send_async()
        return variable.get()

    assert asyncio.run(main()) == "first"
    assert seen == ["first"]


def frames_below_an_async_receiver():
    """The names of the functions on the stack below an async receiver: at its call, and after it has waited."""
    stacks = []

    async def looking(sender, **_):
        stacks.append(stack())
        await asyncio.sleep(0)
        stacks.append(stack())

    async def sending():
        signal = blinker.Signal()
        signal.connect(looking)
        await signal.send_async()

    asyncio.run(sending())
    return stacks


def stack():
    frame, names = sys._getframe(2), []
    while frame is not None and frame.f_code.co_name != "_run":
        names.append(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return names


def test_no_frame_lies_between_an_async_receiver_and_its_sender(blinker_adapter, observer):
    """``warnings.warn(…, stacklevel=3)`` points at the sender, before the receiver has waited and after."""
    before = frames_below_an_async_receiver()
    undo = blinker_adapter.install()
    during = frames_below_an_async_receiver()
    undo()

    assert before == during == [["send_async", "sending"]] * 2
    assert observer.outcomes == [("send_async", "returned")]


class Steps:
    """Something to await that is no coroutine: yields what it is told to, and keeps what it is sent."""

    def __init__(self, *yields):
        self.yields = list(yields)
        self.got = []

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        self.got.append(value)
        if not self.yields:
            raise StopIteration("done")
        return self.yields.pop(0)


class Throwing(Steps):
    """Which also knows what is thrown into it."""

    def throw(self, *error):
        self.got.append(error[-1] if isinstance(error[-1], BaseException) else error[0])
        return self.send("thrown")

    def close(self):
        self.got.append("closed")


def sending(steps):
    """A coroutine of ``send_async`` whose only receiver returns *steps*."""
    signal = blinker.Signal()
    signal.connect(lambda sender, **_: None, weak=False)
    return signal.send_async(_sync_wrapper=lambda one: lambda sender: steps)


@pytest.mark.parametrize("observed", [False, True])
def test_whatever_is_awaited_is_driven_as_it_would_be(blinker_adapter, observer, observed):
    """Values sent in, errors thrown in, and what it yields: all pass through."""
    undo = blinker_adapter.install() if observed else lambda: None
    steps, error = Throwing("one", "two", "three"), Broken()
    coroutine = sending(steps)
    yielded = [coroutine.send(None), coroutine.send("value"), coroutine.throw(error)]
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    undo()

    assert yielded == ["one", "two", "three"]
    assert steps.got == [None, "value", error, "thrown", None]
    assert [response for _, response in stopped.value.value] == ["done"]
    if observed:
        assert calls(observer.notes[0]) == [("<lambda>", "async", "returned")]


@pytest.mark.parametrize("observed", [False, True])
def test_what_cannot_be_thrown_into_raises_where_it_is_awaited(blinker_adapter, observer, observed):
    """An awaitable need not have ``throw``."""
    undo = blinker_adapter.install() if observed else lambda: None
    steps, error = Steps("one"), Broken()
    coroutine = sending(steps)
    coroutine.send(None)
    with pytest.raises(Broken) as caught:
        coroutine.throw(error)
    undo()

    assert caught.value is error
    assert steps.got == [None]
    if observed:
        assert calls(observer.notes[0]) == [("<lambda>", "async", "raised")]


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(("steps", "got"), [(Throwing, [None, "closed"]), (Steps, [None])])
def test_a_send_that_is_closed_closes_what_it_awaits(blinker_adapter, observer, observed, steps, got):
    """To be closed is not to fail."""
    undo = blinker_adapter.install() if observed else lambda: None
    awaited = steps("one")
    coroutine = sending(awaited)
    coroutine.send(None)
    coroutine.close()
    undo()

    assert awaited.got == got
    if observed:
        assert observer.outcomes == [("send_async", "cancelled")]
        assert calls(observer.notes[0]) == [("<lambda>", "async", "cancelled")]


@pytest.mark.parametrize("observed", [False, True])
def test_a_generator_marked_as_a_coroutine_is_awaited(blinker_adapter, observer, observed):
    """``types.coroutine`` makes one that has no ``__await__``."""

    @types.coroutine
    def generator():
        yield
        return "from a generator"

    undo = blinker_adapter.install() if observed else lambda: None
    [(_, response)] = asyncio.run(sending(generator()))
    undo()

    assert response == "from a generator"
    if observed:
        assert calls(observer.notes[0]) == [("<lambda>", "async", "returned")]


@pytest.mark.parametrize("observed", [False, True])
def test_what_cannot_be_awaited_is_refused_in_the_same_words(blinker_adapter, observer, observed):
    """By Python."""
    undo = blinker_adapter.install() if observed else lambda: None
    with pytest.raises(TypeError, match=r"^(object int can't be used in 'await' expression|.*'int'.* await.*)$"):
        asyncio.run(sending(5))
    undo()

    if observed:
        assert calls(observer.notes[0]) == [("<lambda>", "async", "raised")]


def test_what_a_send_waits_for_can_be_looked_at(blinker_installed, observer):
    """Debuggers follow ``cr_await`` down to the receiver."""

    async def receiver_that_waits(sender, **_):
        await asyncio.sleep(0)

    signal = blinker.Signal()
    signal.connect(receiver_that_waits)
    coroutine = signal.send_async()
    coroutine.send(None)

    assert coroutine.cr_await.cr_code is receiver_that_waits.__code__
    coroutine.close()
