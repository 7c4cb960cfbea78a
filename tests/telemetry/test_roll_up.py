"""Roll-up: the thousandth identical dispatch under one parent is not a thousandth span."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import heliograph
from heliograph import instrumentor
from tests.support.telemetry import Spans, Tree


def send_many(signal, times, operation="send"):
    for _ in range(times):
        getattr(signal, operation)(sender=None)


def quick(**_):
    return None


def failing(**_):
    raise ValueError


ROLLED_UP = "heliograph.dispatch.rolled_up"


def rolled_up(spans):
    return [span for span in spans.finished if f"{ROLLED_UP}.count" in (span.attributes or {})]


def test_a_thousand_dispatches_are_a_hundred_spans_and_one(instrument, spans, metrics, order_paid):
    """Those beyond the budget are one span with their count, total and worst, made when the parent ends."""
    instrument("heliograph", slow=1000)
    order_paid.connect(quick)
    with spans.tracer.start_as_current_span("request") as request:
        send_many(order_paid, 1000)
        assert spans.counts() == {"send order_paid": 100, "handle quick": 100}

    assert spans.counts() == {"request": 1, "send order_paid": 101, "handle quick": 100}
    [span] = rolled_up(spans)
    attributes = dict(span.attributes)
    assert span.parent.span_id == request.get_span_context().span_id
    assert attributes[f"{ROLLED_UP}.count"] == 900
    assert 0 < attributes[f"{ROLLED_UP}.worst_duration"] <= attributes[f"{ROLLED_UP}.duration"]
    assert attributes["heliograph.signal.name"] == "shop.signals.order_paid"
    assert attributes["heliograph.system.name"] == "heliograph"
    assert "heliograph.dispatch.receiver.failed_count" not in attributes
    last = spans.all_named("send order_paid")[99]
    assert span.start_time >= last.start_time
    assert span.end_time <= spans.named("request").end_time
    assert metrics.total("heliograph.dispatch.untraced", reason="rolled_up") == 900
    assert metrics.total("heliograph.dispatch.duration") == 1000
    assert metrics.total("heliograph.receiver.duration") == 1000


def test_each_signal_and_each_parent_has_its_own_budget(instrument, spans, order_paid, order_shipped):
    """What one uses up is nobody else's loss."""
    instrument("heliograph", budget=2)
    for name in ("first", "second"):
        with spans.tracer.start_as_current_span(name):
            for signal in (order_paid, order_shipped):
                send_many(signal, 3)

    children: Tree = [*[("send order_paid", [])] * 3, *[("send order_shipped", [])] * 3]
    assert spans.tree() == [("first", children), ("second", children)]
    assert [dict(span.attributes)[f"{ROLLED_UP}.count"] for span in rolled_up(spans)] == [1, 1, 1, 1]


def test_failures_have_a_budget_of_their_own(instrument, spans, metrics, order_paid):
    """A thousand healthy dispatches do not hide the one that fails, nor failures each other beyond measure."""
    instrument("heliograph", budget=10, slow=1000)
    with spans.tracer.start_as_current_span("request"):
        order_paid.connect(quick)
        send_many(order_paid, 50)
        order_paid.connect(failing)
        send_many(order_paid, 15, "send_robust")

    assert spans.counts() == {
        "request": 1,
        "send order_paid": 11,
        "send_robust order_paid": 10,
        "handle quick": 20,
        "handle failing": 10,
    }
    [span] = rolled_up(spans)
    assert dict(span.attributes)[f"{ROLLED_UP}.count"] == 45
    assert dict(span.attributes)["heliograph.dispatch.receiver.failed_count"] == 5
    assert metrics.total("heliograph.dispatch.untraced") == 45


def test_dispatches_below_one_of_our_receivers_are_rolled_up_too(instrument, spans, metrics, order_paid, order_shipped):
    """Their parent is the receiver's span, with which the roll-up is made."""
    instrument("heliograph", budget=3, slow=1000)

    def outer(**_):
        send_many(order_shipped, 10)

    order_paid.connect(outer)
    order_shipped.connect(quick)
    order_paid.send(sender=None)

    assert spans.tree() == [
        (
            "send order_paid",
            [
                (
                    "handle outer",
                    [
                        *[("send order_shipped", [("handle quick", [])])] * 3,
                        ("send order_shipped", []),
                    ],
                )
            ],
        )
    ]
    assert [dict(span.attributes)[f"{ROLLED_UP}.count"] for span in rolled_up(spans)] == [7]
    assert metrics.total("heliograph.dispatch.untraced", reason="rolled_up") == 7


def test_dispatches_without_a_parent_are_traces_of_their_own(instrument, spans, metrics, order_paid):
    """The sampler decides about them, not the budget."""
    instrument("heliograph", budget=1)
    send_many(order_paid, 5)

    assert spans.counts() == {"send order_paid": 5}
    assert metrics.total("heliograph.dispatch.untraced") == 0


def test_dispatches_under_which_spans_were_started_are_never_rolled_up(instrument, spans, order_paid):
    """A child's parent has to be there."""
    instrument("heliograph", budget=1)

    def query(**_):
        with spans.tracer.start_as_current_span("SELECT"):
            pass

    order_paid.connect(query)
    with spans.tracer.start_as_current_span("request"):
        send_many(order_paid, 5)

    assert spans.tree() == [("request", [("send order_paid", [("handle query", [("SELECT", [])])])] * 5)]
    assert rolled_up(spans) == []


def test_every_dispatch_is_traced_or_counted(instrument, spans, metrics, order_paid, order_shipped):
    """Spans of dispatches and the untraced counter add up to what was sent, by reason."""
    instrument("heliograph", budget=4, slow=1000, levels={"order_shipped": "errors"})
    order_paid.connect(quick)
    order_shipped.connect(quick)
    for _ in range(3):
        with spans.tracer.start_as_current_span("request"):
            send_many(order_paid, 10)
            send_many(order_shipped, 7)
    send_many(order_paid, 2)

    dispatches = [one for one in spans.finished if one.name.startswith("send") and one not in rolled_up(spans)]
    assert len(dispatches) == 3 * 4 + 2
    assert metrics.total("heliograph.dispatch.untraced", reason="rolled_up") == 3 * 6
    assert metrics.total("heliograph.dispatch.untraced", reason="filtered") == 3 * 7
    assert metrics.total("heliograph.dispatch.untraced", reason="budget") == 0
    assert metrics.total("heliograph.dispatch.duration") == 3 * 17 + 2 == len(dispatches) + 18 + 21


def test_too_many_signals_under_one_parent_are_counted_as_budget(instrument, spans, metrics):
    """Memory is bounded: what cannot even be rolled up is counted."""
    instrument("heliograph")
    signals = [heliograph.Signal(name=f"shop.signal_{number}") for number in range(300)]
    with spans.tracer.start_as_current_span("request"):
        for signal in signals:
            signal.send(sender=None)

    traced = spans.counts().total() - 1
    assert traced == 256
    assert metrics.total("heliograph.dispatch.untraced", reason="budget") == 300 - traced


def test_a_parent_that_outlives_a_look_at_the_backlog_has_one_budget(order_paid):
    """What waited when its parent ended is counted with what was said before, however spans are exported."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with heliograph.instrument("heliograph", budget=100, tracer_provider=provider):
        telemetry = instrumentor._installed["heliograph"].telemetry
        with provider.get_tracer("tests").start_as_current_span("request"):
            send_many(order_paid, 100)
            telemetry._backlog.say_all()
            send_many(order_paid, 100)
        provider.force_flush()
    provider.shutdown()

    sends = [dict(span.attributes or {}) for span in exporter.get_finished_spans() if span.name == "send order_paid"]
    assert len(sends) == 101
    assert [one[f"{ROLLED_UP}.count"] for one in sends if f"{ROLLED_UP}.count" in one] == [100]


def test_undoing_makes_the_roll_ups_that_are_open(instrument, spans, order_paid):
    """Nothing that was left out is lost."""
    undo = instrument("heliograph", budget=1)
    with spans.tracer.start_as_current_span("request"):
        send_many(order_paid, 3)
        assert rolled_up(spans) == []
        undo()
        assert [dict(span.attributes)[f"{ROLLED_UP}.count"] for span in rolled_up(spans)] == [2]


def test_shutting_the_provider_down_makes_the_roll_ups_that_are_open(instrument, spans, order_paid):
    """A parent that never ends does not swallow them."""
    instrument("heliograph", budget=1)
    parent = spans.tracer.start_span("never ended")
    with trace.use_span(parent):
        send_many(order_paid, 3)
    for processor in spans.provider._active_span_processor._span_processors[:-1]:  # all but the exporter's own
        processor.shutdown()

    assert [dict(span.attributes)[f"{ROLLED_UP}.count"] for span in rolled_up(spans)] == [2]


def test_a_remote_parent_has_a_budget(instrument, spans, metrics, order_paid):
    """It never ends in this process; its roll-up is made at the end, and counted at once."""
    undo = instrument("heliograph", budget=2)
    remote = trace.SpanContext(0x1234, 0x5678, is_remote=True, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(remote)):
        send_many(order_paid, 5)
    assert metrics.total("heliograph.dispatch.untraced", reason="rolled_up") == 3
    assert spans.counts() == {"send order_paid": 2}
    undo()

    assert spans.counts() == {"send order_paid": 3}


def test_concurrent_sends_share_their_parents_budget(instrument, spans, metrics, order_paid):
    """However many tasks send at once."""
    instrument("heliograph", budget=5, slow=1000)

    async def receiver(**_):
        await asyncio.sleep(0)

    order_paid.connect(receiver)

    async def main():
        with spans.tracer.start_as_current_span("request"):
            await asyncio.gather(*(order_paid.asend(sender=None) for _ in range(40)))

    asyncio.run(main())

    assert spans.counts() == {"request": 1, "asend order_paid": 6, "handle receiver": 5}
    assert metrics.total("heliograph.dispatch.untraced") == 35


@pytest.mark.parametrize("level", ["errors", "slow"])
def test_quiet_levels_roll_nothing_up(instrument, spans, metrics, order_paid, level):
    """What would have no span anyway is filtered, not rolled up."""
    instrument("heliograph", budget=1, level=level, slow=1000)
    order_paid.connect(quick)
    with spans.tracer.start_as_current_span("request"):
        send_many(order_paid, 5)

    assert spans.counts() == {"request": 1}
    assert metrics.total("heliograph.dispatch.untraced", reason="filtered") == 5


def test_a_sampled_out_parent_costs_no_spans(metrics, instrument, order_paid):
    """Nothing is exported, everything is measured."""
    unsampled = Spans(sampler=ALWAYS_OFF)
    instrument("heliograph", tracer_provider=unsampled.provider)
    order_paid.connect(quick)
    with unsampled.tracer.start_as_current_span("request"):
        send_many(order_paid, 5)

    assert unsampled.finished == []
    assert metrics.total("heliograph.dispatch.duration") == 5
