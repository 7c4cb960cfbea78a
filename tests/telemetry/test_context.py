"""Laws of OpenTelemetry's context: who is whose parent, and what is current afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

import django
import django.dispatch
import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, StatusCode

import heliograph
from tests.support.telemetry import Tree

ASYNC = [
    pytest.param("heliograph", heliograph.Signal, id="heliograph"),
    pytest.param(
        "django",
        django.dispatch.Signal,
        id="django",
        marks=pytest.mark.skipif(django.VERSION < (5, 0), reason="capability asend: Django 4.2 has none"),
    ),
]


def names_of_parents(spans):
    """The short name of each span's parent, by the span's own short name."""
    return {child: name for name, children in walk(spans.tree()) for child, _ in children}


def walk(tree):
    for name, children in tree:
        yield name, children
        yield from walk(children)


@pytest.mark.parametrize("level", ["errors", "slow", "all"])
def test_a_span_started_in_a_receiver_is_the_receivers_child(instrument, spans, order_paid, level):
    """At any level but off: a receiver under which spans were started has its own, so that none is orphaned."""
    instrument("heliograph", level=level, slow=1000)

    def query(**_):
        with spans.tracer.start_as_current_span("SELECT"):
            pass

    def idle(**_):
        return None

    order_paid.connect(query)
    order_paid.connect(idle)
    order_paid.send(sender=None)

    quiet: Tree = [("handle query", [("SELECT", [])])]
    assert spans.tree() == [("send order_paid", quiet + ([("handle idle", [])] if level == "all" else []))]


def test_at_level_off_a_receivers_children_stay_the_senders(instrument, spans, order_paid, request_span):
    """Nothing is said, and nothing is in between."""
    instrument("heliograph", level="off")

    def query(**_):
        with spans.tracer.start_as_current_span("SELECT"):
            pass

    order_paid.connect(query)
    order_paid.send(sender=None)
    request_span.end()

    assert spans.tree() == [("request", [("SELECT", [])])]


def test_below_a_receiver_of_level_off_children_stay_the_senders(instrument, spans, order_paid, request_span):
    """Its siblings have spans, it has none."""
    instrument("heliograph", excluded_receivers=[f"{__name__}.*query"])

    def query(**_):
        with spans.tracer.start_as_current_span("SELECT"):
            pass

    def idle(**_):
        return None

    order_paid.connect(query)
    order_paid.connect(idle)
    order_paid.send(sender=None)
    request_span.end()

    assert spans.tree() == [("request", [("send order_paid", [("handle idle", [])]), ("SELECT", [])])]


@pytest.mark.parametrize("level", ["errors", "slow", "all"])
@pytest.mark.parametrize(("library", "Signal"), ASYNC)
def test_concurrent_async_receivers_keep_their_children_apart(instrument, spans, library, Signal, level):
    """Across awaits, whether receivers have a context each or share one."""
    instrument(library, level=level, slow=1000)
    signal = Signal()

    async def main():
        first_waits, second_waits = asyncio.Event(), asyncio.Event()

        async def first(**_):
            with spans.tracer.start_as_current_span("first before"):
                pass
            with spans.tracer.start_as_current_span("first around"):
                first_waits.set()
                await second_waits.wait()
                with spans.tracer.start_as_current_span("first within"):
                    await asyncio.sleep(0)
            with spans.tracer.start_as_current_span("first after"):
                await asyncio.sleep(0)

        async def second(**_):
            await first_waits.wait()
            with spans.tracer.start_as_current_span("second around"):
                second_waits.set()
                await asyncio.sleep(0)
                with spans.tracer.start_as_current_span("second within"):
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
            with spans.tracer.start_as_current_span("second after"):
                pass

        def plain(**_):
            with spans.tracer.start_as_current_span("plain within"):
                pass

        for receiver in (first, second, plain):
            signal.connect(receiver)
        with spans.tracer.start_as_current_span("request"):
            await signal.asend(sender=None)
            assert trace.get_current_span().name == "request"  # type: ignore[attr-defined]

    asyncio.run(main())

    assert names_of_parents(spans) == {
        "asend _OTHER": "request",
        "handle first": "asend _OTHER",
        "handle second": "asend _OTHER",
        "handle plain": "asend _OTHER",
        "first before": "handle first",
        "first around": "handle first",
        "first within": "first around",
        "first after": "handle first",
        "second around": "handle second",
        "second within": "second around",
        "second after": "handle second",
        "plain within": "handle plain",
    }


@pytest.mark.parametrize(("library", "Signal"), ASYNC)
def test_async_receivers_of_a_plain_send_keep_their_children_apart(instrument, spans, library, Signal):
    """The same through async_to_sync."""
    instrument(library)
    signal = Signal()

    def child_of(name):
        async def receiver(**_):
            for step in range(3):
                with spans.tracer.start_as_current_span(f"{name} {step}"):
                    await asyncio.sleep(0)

        receiver.__qualname__ = name
        return receiver

    receivers = [child_of("first"), child_of("second")]
    for receiver in receivers:
        signal.connect(receiver)
    with spans.tracer.start_as_current_span("request"):
        signal.send(sender=None)
        assert trace.get_current_span().name == "request"  # type: ignore[attr-defined]

    assert names_of_parents(spans) == {
        "send _OTHER": "request",
        "handle first": "send _OTHER",
        "handle second": "send _OTHER",
        **{f"{name} {step}": f"handle {name}" for name in ("first", "second") for step in range(3)},
    }


@pytest.mark.parametrize(("library", "Signal"), ASYNC)
def test_a_context_attached_across_awaits_is_not_touched(instrument, spans, library, Signal):
    """What a receiver attached and detached itself stays what it was, for whoever else holds it."""
    instrument(library)
    signal = Signal()
    found: dict[str, Any] = {}

    async def main():
        carry_on, done = asyncio.Event(), asyncio.Event()

        async def background():
            await carry_on.wait()
            found["span"] = trace.get_current_span()
            found["baggage"] = baggage.get_baggage("shop")
            done.set()

        async def receiver(**_):
            with spans.tracer.start_as_current_span("around") as span:
                token = otel_context.attach(baggage.set_baggage("shop", "pizza"))
                found["attached"] = otel_context.get_current()
                found["before"] = dict(found["attached"])
                found["task"] = asyncio.create_task(background())
                await asyncio.sleep(0)
                otel_context.detach(token)
                found["around"] = span
            await asyncio.sleep(0)

        signal.connect(receiver)
        await signal.asend(sender=None)
        carry_on.set()
        await found["task"]

    asyncio.run(main())

    assert dict(found["attached"]) == found["before"]
    assert found["span"] is found["around"]
    assert found["baggage"] == "pizza"


def test_what_a_receiver_leaves_attached_stays_attached(instrument, spans, order_paid):
    """OpenTelemetry's own Celery instrumentation begins a task's span in one receiver and ends it in another."""
    instrument("heliograph")
    kept = {}

    def begin(**_):
        span = spans.tracer.start_span("task")
        kept["span"], kept["token"] = span, otel_context.attach(trace.set_span_in_context(span))

    def end(**_):
        kept.pop("span").end()
        otel_context.detach(kept.pop("token"))

    outer = dict(otel_context.get_current())
    order_paid.connect(begin)
    order_paid.send(sender=None)
    order_paid.disconnect(begin)

    assert trace.get_current_span() is kept["span"]
    with spans.tracer.start_as_current_span("work of the task"):
        pass

    order_paid.connect(end)
    order_paid.send(sender=None)

    assert dict(otel_context.get_current()) == outer
    assert trace.get_current_span() is INVALID_SPAN
    assert names_of_parents(spans) == {
        "handle begin": "send order_paid",
        "task": "handle begin",
        "work of the task": "task",
        "handle end": "send order_paid",
        "send order_paid": "task",
    }


def test_a_context_left_attached_does_not_hold_our_ended_span(instrument, spans, order_paid, request_span):
    """A receiver that attaches baggage and leaves it has it attached, below the sender's span and not below ours."""
    instrument("heliograph")
    tokens = []

    def begin(**_):
        tokens.append(otel_context.attach(baggage.set_baggage("shop", "pizza")))

    order_paid.connect(begin)
    order_paid.send(sender=None)

    assert baggage.get_baggage("shop") == "pizza"
    assert trace.get_current_span() is request_span

    otel_context.detach(tokens.pop())
    assert baggage.get_baggage("shop") is None
    assert trace.get_current_span() is request_span


def test_a_detach_in_another_receiver_of_the_same_send_restores_the_outer_context(
    instrument, spans, order_paid, request_span
):
    """One receiver attaches, the next detaches: nothing of either is current afterwards."""
    instrument("heliograph")
    tokens = []
    seen = []

    def begin(**_):
        tokens.append(otel_context.attach(baggage.set_baggage("shop", "pizza")))

    def between(**_):
        seen.append(baggage.get_baggage("shop"))

    def end(**_):
        otel_context.detach(tokens.pop())
        seen.append(baggage.get_baggage("shop"))

    def after(**_):
        seen.append(baggage.get_baggage("shop"))

    for receiver in (begin, between, end, after):
        order_paid.connect(receiver)
    before = dict(otel_context.get_current())
    order_paid.send(sender=None)

    assert seen == ["pizza", None, None]
    assert dict(otel_context.get_current()) == before
    assert trace.get_current_span() is request_span


def test_a_context_attached_in_a_nested_send_stays_below_the_right_span(
    instrument, spans, order_paid, order_shipped, request_span
):
    """It outlives both sends, and neither's span is current in it."""
    instrument("heliograph")
    tokens = []
    seen = []

    def outer(**_):
        mine = trace.get_current_span()
        order_shipped.send(sender=None)
        seen.append(trace.get_current_span().get_span_context() == mine.get_span_context())

    def begin(**_):
        tokens.append(otel_context.attach(baggage.set_baggage("shop", "pizza")))

    order_paid.connect(outer)
    order_shipped.connect(begin)
    order_paid.send(sender=None)

    assert seen == [True]
    assert trace.get_current_span() is request_span
    assert baggage.get_baggage("shop") == "pizza"
    otel_context.detach(tokens.pop())
    assert trace.get_current_span() is request_span
    assert baggage.get_baggage("shop") is None


def test_a_failing_receiver_may_leave_a_context_attached_too(instrument, spans, order_paid, request_span):
    """As a task's prelude that fails half-way."""
    instrument("heliograph")
    tokens = []

    def begin(**_):
        tokens.append(otel_context.attach(baggage.set_baggage("shop", "pizza")))
        raise ValueError

    order_paid.connect(begin)
    order_paid.send_robust(sender=None)

    assert baggage.get_baggage("shop") == "pizza"
    assert trace.get_current_span() is request_span
    otel_context.detach(tokens.pop())
    assert trace.get_current_span() is request_span


@pytest.mark.parametrize("operation", ["send", "send_robust"])
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_senders_context_is_current_again_after_any_outcome(instrument, order_paid, request_span, operation, error):
    """The very context object that was current before."""
    instrument("heliograph")

    def receiver(**_):
        assert trace.get_current_span() is not request_span
        if error is not None:
            raise error

    order_paid.connect(receiver)
    before = otel_context.get_current()
    captured = error is None or (operation == "send_robust" and issubclass(error, Exception))
    with contextlib.nullcontext() if captured else pytest.raises(error):
        getattr(order_paid, operation)(sender=None)

    assert otel_context.get_current() is before


def test_the_ids_in_log_lines_are_the_receivers(instrument, spans, order_paid):
    """A log line written in a receiver carries the ids of a span that is exported: asking for them makes it so."""
    instrument("heliograph", level="errors")
    ids = []

    def receiver(**_):
        ids.append(trace.get_current_span().get_span_context())

    order_paid.connect(receiver)
    order_paid.send(sender=None)

    span = spans.named("handle receiver")
    assert ids == [span.get_span_context()]
    assert spans.tree() == [("send order_paid", [("handle receiver", [])])]


def test_the_dispatchers_own_log_line_finds_the_receivers_span(instrument, spans, order_paid):
    """send_robust logs a captured error while the receiver's span is still current."""
    instrument("heliograph")
    ids = []

    class Ids(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ids.append(trace.get_current_span().get_span_context().span_id)

    def failing(**_):
        raise ValueError

    handler = Ids()
    logger = logging.getLogger("heliograph.dispatch")
    logger.addHandler(handler)
    try:
        order_paid.connect(failing)
        order_paid.send_robust(sender=None)
    finally:
        logger.removeHandler(handler)

    assert ids == [spans.named("handle failing").get_span_context().span_id]


def test_a_task_that_outlives_its_receiver_stays_in_the_trace(instrument, spans, order_paid):
    """Its spans are children of the receiver that started it, which has ended by then."""
    instrument("heliograph")

    async def main():
        carry_on = asyncio.Event()
        tasks = []

        async def background():
            with spans.tracer.start_as_current_span("first of the task"):
                pass
            await carry_on.wait()
            with spans.tracer.start_as_current_span("rest of the task"):
                pass

        async def receiver(**_):
            tasks.append(asyncio.create_task(background()))
            await asyncio.sleep(0)

        order_paid.connect(receiver)
        await order_paid.asend(sender=None)
        carry_on.set()
        await tasks[0]

    asyncio.run(main())

    assert names_of_parents(spans) == {
        "handle receiver": "asend order_paid",
        "first of the task": "handle receiver",
        "rest of the task": "handle receiver",
    }


def test_what_asks_for_a_span_after_its_dispatch_gets_the_outer_one(instrument, spans, order_paid):
    """A task whose receiver got no span is a child of what the receiver was called under: no parent is missing."""
    instrument("heliograph", level="errors")

    async def main():
        carry_on = asyncio.Event()
        tasks = []

        async def background():
            await carry_on.wait()
            with spans.tracer.start_as_current_span("task"):
                pass

        async def receiver(**_):
            tasks.append(asyncio.create_task(background()))

        order_paid.connect(receiver)
        with spans.tracer.start_as_current_span("request"):
            await order_paid.asend(sender=None)
            carry_on.set()
            await tasks[0]

    asyncio.run(main())

    assert spans.tree() == [("request", [("task", [])])]


def test_a_thread_given_the_context_finds_the_receiver(instrument, spans, order_paid):
    """A context handed to a thread names the receiver as the parent."""
    instrument("heliograph")

    def receiver(**_):
        context = otel_context.get_current()

        def work():
            with spans.tracer.start_as_current_span("thread", context):
                pass

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    order_paid.connect(receiver)
    order_paid.send(sender=None)

    assert spans.tree() == [("send order_paid", [("handle receiver", [("thread", [])])])]


def test_a_remote_parent_is_a_parent(instrument, spans, order_paid):
    """A span context that came over the wire is joined."""
    instrument("heliograph")
    remote = SpanContext(0x1234, 0x5678, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    order_paid.connect(lambda **_: None, weak=False)
    with trace.use_span(NonRecordingSpan(remote)):
        order_paid.send(sender=None)

    dispatch = spans.named("send order_paid")
    assert dispatch.parent == remote
    assert {span.get_span_context().trace_id for span in spans.finished} == {0x1234}


def test_a_span_ended_by_its_receiver_is_ended_once(instrument, spans, order_paid, caplog):
    """Whoever ends the current span has ended it; it is exported once, and nobody complains."""
    instrument("heliograph")

    def receiver(**_):
        trace.get_current_span().end()

    order_paid.connect(receiver)
    order_paid.send(sender=None)

    assert spans.tree() == [("send order_paid", [("handle receiver", [])])]
    assert caplog.records == []


def test_an_async_siblings_error_ends_all_spans(instrument, spans, order_paid):
    """A receiver that outlives its failed dispatch has a span too, when it has ended."""
    instrument("heliograph")

    async def main():
        waits, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def failing(**_):
            await waits.wait()
            raise ValueError

        async def outliving(**_):
            waits.set()
            await go_on.wait()
            with spans.tracer.start_as_current_span("late"):
                pass
            done.set()

        order_paid.connect(failing)
        order_paid.connect(outliving)
        with pytest.raises(ValueError):  # noqa: PT011  # which one is beside the point
            await order_paid.asend(sender=None)
        assert spans.finished == []
        go_on.set()
        await done.wait()
        await asyncio.sleep(0)

    asyncio.run(main())

    assert names_of_parents(spans) == {
        "handle failing": "asend order_paid",
        "handle outliving": "asend order_paid",
        "late": "handle outliving",
    }
    assert spans.named("asend order_paid").status.status_code is StatusCode.ERROR
    assert spans.named("handle outliving").status.status_code is StatusCode.UNSET
