"""Bounded memory: a send leaves nothing of what was sent behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import weakref

import pytest
import structlog
from opentelemetry import trace

import heliograph
from heliograph import instrumentor
from heliograph.telemetry import roll_up


class Thing:
    """Something that is sent, or that lives in a frame."""


class OutOfStock(Exception):
    """Raised by receivers on purpose."""


@pytest.fixture(autouse=True)
def silent_logs(monkeypatch):
    """Events are made, and go nowhere: not to pytest either, which would keep the errors."""
    monkeypatch.setattr(logging.getLogger("heliograph.dispatch"), "disabled", True)
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def alive():
    """References to all that was sent, raised or held in a frame."""
    return []


def send(signal, alive, operation):
    """Send things, and forget them."""
    sender, value = Thing(), Thing()
    alive += [weakref.ref(sender), weakref.ref(value)]
    try:
        getattr(signal, operation)(sender=sender, value=value)
    except OutOfStock as error:
        alive.append(weakref.ref(error))


def left(alive):
    gc.collect()
    return [reference() for reference in alive if reference() is not None]


@pytest.mark.parametrize("level", ["errors", "all"])
@pytest.mark.parametrize("operation", ["send", "send_robust"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("own", [True, False], ids=["own span", "no span"])
def test_a_send_leaves_nothing(instrument, spans, order_paid, alive, level, operation, fails, own):
    """No payload, no sender, no error, no frame: not in spans, metrics, logs, caches or the recorder."""
    instrument("heliograph", level=level, slow=0)

    def receiver(**_):
        local = Thing()
        alive.append(weakref.ref(local))
        if own:
            trace.get_current_span().set_attribute("shop.order", 1)
        if fails:
            error = OutOfStock()
            alive.append(weakref.ref(error))
            raise error

    order_paid.connect(receiver)
    with spans.tracer.start_as_current_span("request"):
        for _ in range(3):
            send(order_paid, alive, operation)
        assert left(alive) == []
    assert len(alive) >= 9


def test_a_rolled_up_send_leaves_nothing(instrument, spans, order_paid, alive):
    """A roll-up counts; it keeps none of what it counts."""
    instrument("heliograph", budget=1, slow=1000)
    order_paid.connect(lambda **_: None, weak=False)
    with spans.tracer.start_as_current_span("request"):
        for _ in range(10):
            send(order_paid, alive, "send")
        assert left(alive) == []


def test_awaited_sends_leave_nothing(instrument, order_paid, alive):
    """Neither those that return nor those that fail or are cancelled."""
    instrument("heliograph", slow=0)

    async def failing(**_):
        await asyncio.sleep(0)
        raise OutOfStock

    async def waiting(value, waits, **_):
        waits.set()
        await asyncio.Event().wait()

    async def asend(operation, **payload):
        sender, value = Thing(), Thing()
        alive.extend([weakref.ref(sender), weakref.ref(value)])
        try:
            await getattr(order_paid, operation)(sender=sender, value=value, **payload)
        except OutOfStock as error:
            alive.append(weakref.ref(error))

    async def main():
        order_paid.connect(failing)
        await asend("asend")
        await asend("asend_robust")
        order_paid.disconnect(failing)
        order_paid.connect(waiting)
        waits = asyncio.Event()
        task = asyncio.create_task(asend("asend", waits=waits))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert left(alive) == []


def test_a_receiver_dies_when_its_last_reference_goes(instrument, order_paid):
    """At once, not when the garbage collector comes: a send makes no cycle with what was called."""
    instrument("heliograph", level="errors", slow=0)

    class Receiver:
        def __call__(self, **_):
            raise OutOfStock

    receiver = Receiver()
    reference = weakref.ref(receiver)
    order_paid.connect(receiver)
    gc.collect()
    gc.disable()
    try:
        for operation in ("send", "send_robust"):
            with contextlib.suppress(OutOfStock):
                getattr(order_paid, operation)(sender=None)
        order_paid.disconnect(receiver)
        # What send_robust returned was an exception, whose traceback holds frames in a cycle of its own.
        gc.collect(0)
        del receiver
        gc.collect(0)
        assert reference() is None
    finally:
        gc.enable()


def test_signals_and_their_sites_die(instrument):
    """A signal made for one request is forgotten with it."""
    instrument("heliograph")
    from heliograph.fanout.observer import known_sites

    before = len(known_sites())
    for _ in range(50):
        heliograph.Signal().send(sender=None)
    gc.collect()

    assert len(known_sites()) <= before


def test_open_parents_are_bounded(instrument, spans, order_paid):
    """Spans that never end do not add up: the oldest is closed for the newest."""
    instrument("heliograph", budget=1)
    roll_ups = instrumentor._installed["heliograph"].telemetry._roll_ups
    for _ in range(roll_up._OPEN_PARENTS + 50):
        with trace.use_span(spans.tracer.start_span("never ended")):
            order_paid.send(sender=None)
            order_paid.send(sender=None)

    assert len(roll_ups.parents) <= roll_up._OPEN_PARENTS


def test_many_sends_allocate_nothing_that_stays(instrument, order_paid):
    """The thousandth send leaves as much behind as the hundredth."""
    instrument("heliograph", level="errors", slow=1000)
    order_paid.connect(lambda **_: None, weak=False)

    def blocks_after(times):
        for _ in range(times):
            order_paid.send(sender=None)
        gc.collect()
        return sys.getallocatedblocks()

    blocks_after(200)
    before = blocks_after(1)
    after = blocks_after(2000)

    assert after - before < 500  # one block a send would be 2000
