"""A receiver may open the trace that everything after it belongs to: where the dispatch that called it stands then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags


class Foreign(trace.TracerProvider):
    """A provider of which nothing is known but OpenTelemetry's API."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *arguments: Any, **named: Any) -> trace.Tracer:
        return self._provider.get_tracer(*arguments, **named)


@pytest.fixture(params=["the SDK's provider", "another provider"])
def instrumented(request, instrument, spans):
    """Instruments heliograph's signals, with both ways to make spans."""

    def instrumented(**settings: Any) -> None:
        provider = spans.provider if request.param == "the SDK's provider" else Foreign(spans.provider)
        instrument("heliograph", tracer_provider=provider, **settings)

    return instrumented


class Task:
    """Begins with a span that stays current, and ends with it."""

    def __init__(self) -> None:
        self.tokens: list[Any] = []
        self.spans: list[Span] = []

    def opened(self, span: Span) -> None:
        self.spans.append(span)
        self.tokens.append(otel_context.attach(trace.set_span_in_context(span)))

    def close(self) -> None:
        while self.spans:
            otel_context.detach(self.tokens.pop())
            self.spans.pop().end()


@pytest.fixture
def task() -> Iterator[Task]:
    """Something that a receiver begins; ended with the test, if not before."""
    task = Task()
    yield task
    task.close()


@pytest.fixture
def begin(spans, task):
    """A receiver that opens a trace and leaves its span attached."""

    def begin(**_):
        task.opened(spans.tracer.start_span("task", Context()))

    return begin


def quiet(**_):
    pass


def test_a_dispatch_outside_of_any_trace_belongs_to_the_one_that_a_receiver_opens(
    instrumented, spans, order_paid, begin, task
):
    """With all its receivers, those called before it included, and spans that later ones start."""
    instrumented()

    def after(**_):
        with spans.tracer.start_as_current_span("query"):
            pass

    for receiver in (quiet, begin, after):
        order_paid.connect(receiver)
    order_paid.send(sender=None)
    task.close()

    assert spans.tree() == [
        ("task", [("send order_paid", [("handle quiet", []), ("handle begin", []), ("handle after", [("query", [])])])])
    ]


def test_it_belongs_there_when_nothing_is_said_of_the_one_that_opens_it(instrumented, spans, order_paid, begin, task):
    """As it is with OpenTelemetry's own receivers."""
    instrumented(excluded_receivers=[f"{__name__}.*begin"])
    order_paid.connect(begin)
    order_paid.connect(quiet)
    order_paid.send(sender=None)
    task.close()

    assert spans.tree() == [("task", [("send order_paid", [("handle quiet", [])])])]


def test_a_dispatch_whose_span_was_asked_for_before_stays_a_trace_of_its_own(
    instrumented, spans, order_paid, begin, task
):
    """A receiver has made a child span, or written a log line: what these say of their parent has to stay true."""
    instrumented()

    def before(**_):
        with spans.tracer.start_as_current_span("query"):
            pass

    order_paid.connect(before)
    order_paid.connect(begin)
    order_paid.send(sender=None)
    task.close()

    assert sorted(spans.tree()) == [
        ("send order_paid", [("handle before", [("query", [])]), ("handle begin", [])]),
        ("task", []),
    ]


def test_a_dispatch_in_a_trace_stays_in_it(instrumented, spans, order_paid, begin, task):
    """A receiver opens another one: that is not where it was sent."""
    instrumented()
    order_paid.connect(begin)
    with spans.tracer.start_as_current_span("request"):
        order_paid.send(sender=None)
        task.close()

    assert sorted(spans.tree()) == [("request", [("send order_paid", [("handle begin", [])])]), ("task", [])]


def test_a_dispatch_below_one_of_ours_stays_below_it(instrumented, spans, order_paid, order_shipped, begin, task):
    """Whatever its receivers open."""
    instrumented()

    def ship(**_):
        order_shipped.send(sender=None)
        task.close()

    order_paid.connect(ship)
    order_shipped.connect(begin)
    order_paid.send(sender=None)

    assert sorted(spans.tree()) == [
        ("send order_paid", [("handle ship", [("send order_shipped", [("handle begin", [])])])]),
        ("task", []),
    ]


def test_a_trace_that_is_closed_again_by_the_same_receiver_is_nothing_to_belong_to(
    instrumented, spans, order_paid, begin, task
):
    """Only what stays is the dispatch's."""
    instrumented()

    def begin_and_end(**_):
        begin()
        task.close()

    order_paid.connect(begin_and_end)
    order_paid.send(sender=None)

    assert sorted(spans.tree()) == [("send order_paid", [("handle begin_and_end", [])]), ("task", [])]


@pytest.mark.parametrize("sampled", [True, False])
def test_a_trace_from_elsewhere_decides_whether_it_is_recorded(instrumented, spans, order_paid, task, sampled):
    """A receiver attaches what came with a message: a span of another process, sampled there or not."""
    instrumented()
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    remote = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, flags)

    def take_over(**_):
        task.opened(NonRecordingSpan(remote))

    order_paid.connect(take_over)
    order_paid.send(sender=None)

    dispatches = [span for span in spans.finished if span.name == "send order_paid"]
    assert [span.parent for span in dispatches] == ([remote] if sampled else [])
    assert len(spans.finished) == (2 if sampled else 0)
