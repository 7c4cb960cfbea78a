"""The facts of a dispatch: what is written down, when it is told, and what is dropped afterwards."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import heliograph
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Mode, Outcome


class Broken(Exception):
    """Raised by receivers on purpose."""


def receiver(**_):
    return "heard"


def failing(**_):
    raise Broken


async def concurrent(**_):
    await asyncio.sleep(0)


@pytest.fixture
def signal():
    """A signal nobody is connected to."""
    return heliograph.Signal(name="shop.order_paid")


def test_a_dispatch_is_written_down(signal, keeper):
    """Signal, sender, operation, policy, names of arguments, receivers and calls; no payload."""
    sender = object()
    signal.connect(receiver)
    signal.connect(concurrent)
    signal.send(sender=sender, order=1, total=2)

    [dispatch] = keeper.dispatches
    assert dispatch.site.name == "shop.order_paid"
    assert dispatch.site.system == "heliograph"
    assert dispatch.sender is sender
    assert (dispatch.operation, dispatch.policy) == ("send", PROPAGATE)
    assert dispatch.argument_names == ("order", "total")
    assert dispatch.receivers == (receiver, concurrent)
    assert [(call.receiver, call.mode, call.outcome) for call in dispatch.calls] == [
        (receiver, Mode.SYNC, Outcome.RETURNED),
        (concurrent, Mode.ASYNC, Outcome.RETURNED),
    ]
    assert all(call.dispatch is dispatch for call in dispatch.calls)
    assert (dispatch.outcome, dispatch.outer, dispatch.depth) == (Outcome.RETURNED, None, 0)
    assert (dispatch.failed, dispatch.failed_count, dispatch.skipped) == (False, 0, [])


def test_times_are_in_order_and_durations_in_seconds(signal, keeper):
    """All on one clock; moments can be told since the epoch."""
    signal.connect(receiver)
    signal.connect(concurrent)
    signal.send(sender=None)

    [dispatch] = keeper.dispatches
    first, second = dispatch.calls
    moments = [dispatch.began, first.began, first.ended, second.began, second.ended, dispatch.ended]
    assert moments == sorted(moments)
    assert dispatch.duration == (dispatch.ended - dispatch.began) / 1e9
    assert first.duration == (first.ended - first.began) / 1e9
    assert dispatch.at(dispatch.began) == dispatch.started_at
    assert dispatch.at(dispatch.began + 5) == dispatch.started_at + 5


def test_a_fact_that_runs_has_no_duration_yet(signal, inside):
    """Nor an outcome."""
    seen: list[Any] = []

    class Looking:
        def interested(self, site):
            return True

        def enter(self, call):
            seen.append((call.ended, call.outcome, call.duration, call.failed, call.dispatch.duration))

        def leave(self, call, entered):
            seen.append(call.ended is not None)

        def finished(self, dispatch):
            pass

    undo = heliograph.fanout.observer.observe(Looking())
    signal.connect(receiver)
    signal.send(sender=None)
    undo()

    assert seen == [(None, None, 0.0, False, 0.0), True]


def test_under_send_the_first_error_ends_the_dispatch(signal, keeper):
    """Both have raised; those that were due are skipped."""
    errors = []

    def finished(dispatch):
        errors.append((dispatch.error, [call.error for call in dispatch.calls]))
        keeper.dispatches.append(dispatch)

    keeper.finished = finished
    for one in (receiver, failing, concurrent):
        signal.connect(one)
    with pytest.raises(Broken) as caught:
        signal.send(sender=None)

    [dispatch] = keeper.dispatches
    assert dispatch.outcome is Outcome.RAISED
    assert [call.outcome for call in dispatch.calls] == [Outcome.RETURNED, Outcome.RAISED]
    assert (dispatch.failed, dispatch.failed_count, dispatch.skipped) == (True, 1, [concurrent])
    assert errors == [(caught.value, [None, caught.value])]


def test_under_send_robust_errors_are_the_calls_alone(signal, keeper):
    """The dispatch has returned, and nobody was skipped."""
    for one in (failing, receiver, failing):
        signal.connect(one, dispatch_uid=object())
    signal.send_robust(sender=None)

    [dispatch] = keeper.dispatches
    assert (dispatch.outcome, dispatch.policy) == (Outcome.RETURNED, CAPTURE)
    assert [call.outcome for call in dispatch.calls] == [Outcome.RAISED, Outcome.RETURNED, Outcome.RAISED]
    assert (dispatch.failed, dispatch.failed_count, dispatch.skipped) == (False, 2, [])


def test_errors_are_dropped_once_everybody_was_told(signal, keeper):
    """An exception keeps alive every frame it passed through."""
    signal.connect(failing)
    with pytest.raises(Broken):
        signal.send(sender=None)

    [dispatch] = keeper.dispatches
    assert dispatch.error is None
    assert [call.error for call in dispatch.calls] == [None]
    assert [call.outcome for call in dispatch.calls] == [Outcome.RAISED]


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_to_be_cancelled_is_not_to_fail(signal, keeper, error):
    """Neither for a receiver nor for its dispatch."""

    def cancelled(**_):
        raise error

    signal.connect(cancelled)
    signal.connect(receiver)
    with pytest.raises(error):
        signal.send(sender=None)

    [dispatch] = keeper.dispatches
    assert dispatch.outcome is Outcome.CANCELLED
    assert [call.outcome for call in dispatch.calls] == [Outcome.CANCELLED]
    assert (dispatch.failed, dispatch.failed_count, dispatch.skipped) == (False, 0, [])


def test_a_dispatch_knows_the_call_it_was_sent_from(signal, keeper):
    """And how many enclose it; what is sent after the call is sent from nowhere."""
    inner = heliograph.Signal(name="shop.inner")

    def outer(**_):
        inner.send(sender=None)

    signal.connect(outer)
    inner.connect(receiver)
    signal.send(sender=None)
    inner.send(sender=None)

    nested, enclosing, alone = keeper.dispatches
    assert nested.outer is enclosing.calls[0]
    assert nested.outer.dispatch is enclosing
    assert [one.depth for one in (nested, enclosing, alone)] == [1, 0, 0]
    assert alone.outer is None


def test_a_nested_dispatch_keeps_what_encloses_it(signal, keeper):
    """A call knows its dispatch for as long as that is kept, and no longer."""
    inner = heliograph.Signal(name="shop.inner")
    signal.connect(lambda **_: inner.send(sender=None), weak=False)
    signal.send(sender=None)
    nested = keeper.dispatches[0]
    keeper.dispatches.clear()
    gc.collect()
    assert nested.outer is not None
    assert nested.outer.dispatch.site.name == "shop.order_paid"

    call = nested.outer
    del nested
    gc.collect()
    with pytest.raises(ReferenceError, match="keep the dispatch"):
        _ = call.dispatch


def test_a_task_that_outlives_its_receiver_is_enclosed_by_nothing(signal, keeper):
    """It inherits the context, but the call it was started from has ended."""
    late = heliograph.Signal(name="shop.late")

    async def main():
        carry_on = asyncio.Event()
        tasks = []

        async def background():
            await carry_on.wait()
            late.send(sender=None)

        async def starting(**_):
            tasks.append(asyncio.create_task(background()))

        signal.connect(starting)
        await signal.asend(sender=None)
        carry_on.set()
        await tasks[0]

    asyncio.run(main())
    assert [(one.site.name, one.depth) for one in keeper.dispatches] == [("shop.order_paid", 0), ("shop.late", 0)]


def test_async_receivers_enclose_what_they_send(signal, keeper):
    """Each its own, though they run at once."""
    inner = heliograph.Signal(name="shop.inner")

    def sending(name):
        async def sender(**_):
            await asyncio.sleep(0)
            await inner.asend(sender=None)
            await asyncio.sleep(0)
            inner.send(sender=None)

        sender.__qualname__ = name
        return sender

    receivers = [sending("first"), sending("second")]
    for one in receivers:
        signal.connect(one)
    asyncio.run(signal.asend(sender=None))

    enclosing = [one for one in keeper.dispatches if one.site.name == "shop.inner"]
    assert sorted((one.outer.receiver.__qualname__, one.operation) for one in enclosing) == [
        ("first", "asend"),
        ("first", "send"),
        ("second", "asend"),
        ("second", "send"),
    ]


def test_an_async_call_is_entered_for_each_step(signal, inside):
    """Inside while it runs, outside while it waits."""

    async def stepping(**_):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    signal.connect(stepping)
    asyncio.run(signal.asend(sender=None))

    step = [("enter", "stepping"), ("leave", "stepping")]
    assert inside.heard == [*step, *step, ("enter", "stepping"), ("end", "stepping"), ("finished", "asend")]


def test_an_async_call_that_is_closed_is_ended(signal, inside):
    """A loop that is torn down closes its coroutines: they are cancelled calls."""
    from heliograph.fanout.facts import Site
    from heliograph.fanout.observer import watching
    from heliograph.fanout.record import Recorder
    from heliograph.fanout.run import _Observed

    async def waiting(**_):
        await asyncio.sleep(0)

    watched = watching(signal, heliograph.dispatch.signal.DIALECT)
    assert watched is not None
    assert isinstance(watched[0], Site)
    record = Recorder(watched, None, "asend", PROPAGATE, (waiting,), ())
    unbegun = _Observed(record, waiting, waiting())
    unbegun.close()
    begun = _Observed(record, waiting, waiting())
    begun.send(None)
    begun.close()
    begun.close()
    record.finish()

    [note] = inside.notes
    assert [call[:3] for call in note.calls] == [("waiting", "async", "cancelled")]
