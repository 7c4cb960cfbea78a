"""Telemetry never breaks a send: what fails is logged once, and the rest goes on."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from tests.support.telemetry import Spans, short


class Unwell(Exception):
    """What telemetry raises in these tests."""


def receiver(**_):
    return "heard"


def failing(**_):
    raise ValueError("failing")


def sent(signal, times=3):
    """Send, and check that nobody notices."""
    for _ in range(times):
        assert signal.send(sender=None) == [(receiver, "heard")]
    return [response for _, response in signal.send_robust(sender=None)]


def complaints(caplog):
    return [record for record in caplog.records if record.name == "heliograph"]


class FailingExporter(SpanExporter):
    def export(self, spans):
        raise Unwell

    def shutdown(self):
        pass


class FailingProcessor(SpanProcessor):
    def __init__(self, *methods):
        for method in methods:
            setattr(self, method, self._fail)

    def _fail(self, *_, **__):
        raise Unwell


class FailingSampler(Sampler):
    def should_sample(self, *_, **__):
        raise Unwell

    def get_description(self):
        return "failing"


def test_a_failing_exporter_is_the_sdks_to_report(instrument, order_paid, caplog):
    """Its processor says so; the sends go on."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FailingExporter()))
    instrument("heliograph", tracer_provider=provider)
    order_paid.connect(receiver)

    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        assert sent(order_paid) == ["heard"]
    assert complaints(caplog) == []


@pytest.mark.parametrize("method", ["on_start", "on_end"])
def test_a_failing_processor_is_logged_once(instrument, metrics, order_paid, caplog, method):
    """Once for each thing that could not be done, however often it failed."""
    provider = TracerProvider()
    provider.add_span_processor(FailingProcessor(method))
    instrument("heliograph", tracer_provider=provider)
    order_paid.connect(receiver)

    assert sent(order_paid, times=10) == ["heard"]
    said = complaints(caplog)
    assert 1 <= len(said) <= 2  # the dispatch's span, and the receiver's
    assert len({record.getMessage() for record in said}) == len(said)
    assert all("the send went on" in record.getMessage() for record in said)
    assert metrics.total("heliograph.dispatch.duration") == 11


def test_every_span_that_was_started_is_ended_where_a_processor_fails(instrument, order_paid):
    """One span's end that fails does not keep the others open."""
    started, ended = [], []

    class Counting(SpanProcessor):
        def on_start(self, span, parent_context=None):
            started.append(span.name.rpartition(".")[2])

        def on_end(self, span):
            ended.append(span.name.rpartition(".")[2])
            raise Unwell

    provider = TracerProvider()
    provider.add_span_processor(Counting())
    instrument("heliograph", tracer_provider=provider)
    order_paid.connect(receiver)
    order_paid.connect(failing)
    order_paid.send_robust(sender=None)

    assert started == ["send_robust order_paid", "receiver", "failing"]
    assert sorted(ended) == sorted(started)


def test_a_failing_sampler_is_logged_once(instrument, metrics, order_paid, caplog):
    """There are no spans then, and everything else."""
    spans = Spans(sampler=FailingSampler())
    instrument("heliograph", tracer_provider=spans.provider)
    order_paid.connect(receiver)

    assert sent(order_paid, times=10) == ["heard"]
    assert 1 <= len(complaints(caplog)) <= 2
    assert spans.finished == []
    assert metrics.total("heliograph.receiver.duration") == 11


def test_where_no_span_can_be_started_receivers_see_the_outer_one(instrument, spans, order_paid):
    """Whatever asks for the current span within a receiver gets the sender's ids."""
    broken = Spans(sampler=FailingSampler())
    instrument("heliograph", tracer_provider=broken.provider)
    seen = []
    order_paid.connect(lambda **_: seen.append(trace.get_current_span().get_span_context()), weak=False)
    with spans.tracer.start_as_current_span("request") as request:
        order_paid.send(sender=None)

    assert seen == [request.get_span_context()]


def test_a_failing_roll_up_does_not_reach_whoever_ends_the_parent(instrument, order_paid, caplog):
    """The application's span ends as it would."""

    class FailsInTheEnd(FailingSampler):
        broken = False

        def should_sample(self, *arguments, **named):
            return super().should_sample() if self.broken else ALWAYS_ON.should_sample(*arguments, **named)

    sampler = FailsInTheEnd()
    spans = Spans(sampler=sampler)
    instrument("heliograph", tracer_provider=spans.provider, budget=1, slow=1000)
    with spans.tracer.start_as_current_span("request"):
        for _ in range(3):
            order_paid.send(sender=None)
        sampler.broken = True

    assert spans.counts() == {"request": 1, "send order_paid": 1}
    assert len(complaints(caplog)) == 1


def test_a_failing_structlog_processor_is_logged_once(instrument, spans, order_paid, caplog):
    """The spans are there all the same."""

    def unwell(*_):
        raise Unwell

    structlog.configure(processors=[unwell])
    try:
        instrument("heliograph")
        order_paid.connect(failing)
        for _ in range(5):
            [(_, error)] = order_paid.send_robust(sender=None)
            assert isinstance(error, ValueError)
    finally:
        structlog.reset_defaults()

    assert len([one for one in complaints(caplog) if one.exc_info and isinstance(one.exc_info[1], Unwell)]) == 1
    assert spans.counts() == {"send_robust order_paid": 5, "handle failing": 5}


def test_an_exception_that_cannot_be_described_is_recorded_by_its_type(instrument, spans, otel_logs, order_paid):
    """Its ``__str__`` and ``__repr__`` fail; the span is an error with a type, and it ends."""

    class Unspeakable(Exception):
        def __str__(self):
            raise Unwell

        __repr__ = __str__

    def unspeakable(**_):
        raise Unspeakable

    instrument("heliograph")
    order_paid.connect(unspeakable)
    with pytest.raises(Unspeakable), structlog.testing.capture_logs() as logs:
        order_paid.send(sender=None)

    assert spans.tree() == [("send order_paid", [("handle unspeakable", [])])]
    span = spans.named("handle unspeakable")
    name = f"{__name__}.{Unspeakable.__qualname__}"
    assert span.attributes["error.type"] == name
    assert [dict(event.attributes)["exception.type"] for event in span.events] == [name]
    assert [event["error_type"] for event in logs] == [name]
    assert "in unspeakable" in logs[0]["exception"]


def test_an_exception_that_cannot_be_described_is_a_log_event_too(monkeypatch, instrument, otel_logs, order_paid):
    """With what can be said of it."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs")

    class Unspeakable(Exception):
        def __str__(self):
            raise Unwell

    def unspeakable(**_):
        raise Unspeakable

    instrument("heliograph")
    order_paid.connect(unspeakable)
    with pytest.raises(Unspeakable):
        order_paid.send(sender=None)

    [record] = otel_logs.records
    assert record.attributes["exception.message"] == ""
    assert record.attributes["exception.type"].endswith("Unspeakable")


def test_nothing_is_described_but_by_its_class(instrument, spans, metrics, order_paid):
    """Neither sender nor payload nor receiver is asked for its repr, its str, its name or its truth."""

    class Silent:
        def _fail(self, *_):
            raise Unwell

        __repr__ = __str__ = __bool__ = __len__ = __eq__ = __hash__ = __iter__ = _fail

        def __getattribute__(self, name):
            if name in ("__func__", "__self__"):  # asked by the dispatcher itself, to tell methods
                raise AttributeError(name)
            raise Unwell

    instrument("heliograph", slow=0)
    order_paid.connect(receiver)
    with structlog.testing.capture_logs() as logs:
        assert order_paid.send(sender=Silent(), value=Silent()) == [(receiver, "heard")]

    name = f"{__name__}.{Silent.__qualname__}"
    assert spans.named("send order_paid").attributes["heliograph.sender.name"] == name
    assert [event["sender"] for event in logs] == [name]


def test_suppressed_instrumentation_is_silent(instrument, spans, metrics, order_paid, observer):
    """As OpenTelemetry's instrumentations are; who observes without OpenTelemetry still hears."""
    instrument("heliograph", slow=0)
    order_paid.connect(receiver)
    with suppress_instrumentation(), structlog.testing.capture_logs() as logs:
        assert order_paid.send(sender=None) == [(receiver, "heard")]

    assert (spans.finished, metrics.all(), logs) == ([], {}, [])
    assert observer.outcomes == [("send", "returned")]
    order_paid.send(sender=None)
    assert spans.counts() == {"send order_paid": 1, "handle receiver": 1}


def test_what_an_exporter_sends_is_not_traced(instrument, order_paid):
    """An exporter that sends a signal of its own while it exports is not traced in turn, for ever."""

    class SendingExporter(SpanExporter):
        exported = 0

        def export(self, spans):
            type(self).exported += len(spans)
            order_paid.send(sender=None)

        def shutdown(self):
            pass

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SendingExporter()))
    instrument("heliograph", tracer_provider=provider)
    order_paid.send(sender=None)

    assert SendingExporter.exported == 1


def test_the_key_itself_suppresses(instrument, spans, order_paid):
    """However it came into the context."""
    instrument("heliograph")
    token = otel_context.attach(otel_context.set_value("suppress_instrumentation", True))
    order_paid.send(sender=None)
    otel_context.detach(token)

    assert spans.finished == []


def test_a_sampled_out_parent_keeps_its_children_out(instrument, metrics, order_paid):
    """The decision is the parent's; metrics are made all the same."""
    spans = Spans(sampler=ParentBased(ALWAYS_OFF))
    instrument("heliograph", tracer_provider=spans.provider)
    seen = []
    order_paid.connect(lambda **_: seen.append(trace.get_current_span().get_span_context().trace_id), weak=False)
    with spans.tracer.start_as_current_span("request") as request:
        order_paid.send(sender=None)

    assert seen == [request.get_span_context().trace_id]
    assert spans.finished == []
    assert metrics.total("heliograph.receiver.duration") == 1


def test_threads_that_ask_for_a_receivers_span_at_once_get_one_span(instrument, order_paid):
    """It is started once, whoever is first."""

    class Meeting(Sampler):
        """Lets two threads meet while a receiver's span is started, if the second gets that far."""

        barrier = threading.Barrier(2)

        def should_sample(self, parent_context, trace_id, name, *arguments, **named):
            if name.startswith("handle"):
                with contextlib.suppress(threading.BrokenBarrierError):
                    self.barrier.wait(timeout=0.2)
            return ALWAYS_ON.should_sample(parent_context, trace_id, name, *arguments, **named)

        def get_description(self):
            return "meeting"

    spans = Spans(sampler=Meeting())
    instrument("heliograph", tracer_provider=spans.provider)
    seen = set()

    def asking(**_):
        context = otel_context.get_current()

        def ask(_):
            seen.add(trace.get_current_span(context).get_span_context().span_id)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(4)))

    order_paid.connect(asking)
    order_paid.send(sender=None)

    assert seen == {spans.named("handle asking").context.span_id}
    assert spans.counts() == {"send order_paid": 1, "handle asking": 1}


def test_a_processor_may_ask_for_the_current_span_while_one_is_started(instrument, spans, order_paid):
    """As a log line in it would, with the ids of its trace: it gets the outer span, and nothing is started twice."""
    started, seen = [], []

    class Asking(SpanProcessor):
        def on_start(self, span, parent_context=None):
            started.append(short(span.name))
            seen.append(trace.get_current_span().get_span_context().span_id)

    def receiver(**_):
        trace.get_current_span().set_attribute("shop.order", 1)

    spans.provider.add_span_processor(Asking())
    instrument("heliograph")
    order_paid.connect(receiver)
    with spans.tracer.start_as_current_span("request") as request:
        order_paid.send(sender=None)

    assert started == ["request", "send order_paid", "handle receiver"]
    assert seen[1:] == [request.get_span_context().span_id] * 2
    assert spans.tree() == [("request", [("send order_paid", [("handle receiver", [])])])]
