"""Async receivers of blinker's signals, under both ways to send: what runs them, and what is seen of it."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import types

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
