"""When spans are made late, when through the API alone, and what is told first of a flush."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider

import heliograph
from heliograph import instrumentor
from heliograph.telemetry import sdk
from heliograph.telemetry.api_spans import ApiSpans
from heliograph.telemetry.late_spans import LateSpans
from heliograph.telemetry.sdk import FirstProcessor, put_first, sdk_tracer
from tests.support.telemetry import Spans, short


class Unknown(SpanProcessor):
    """Might do anything as a span starts."""


class Batch(BatchSpanProcessor):
    """A processor that somebody has changed."""


class Always(Sampler):
    """Decides as it likes."""

    def should_sample(self, *arguments: Any, **named: Any) -> Any:
        return ALWAYS_ON.should_sample(*arguments, **named)

    def get_description(self) -> str:
        return "always"


class Provider(TracerProvider):
    """A provider that somebody has changed."""


def provider(*processors: SpanProcessor, cls: type[TracerProvider] = TracerProvider, **arguments: Any) -> Any:
    """Return a provider with these processors, or with a simple one."""
    made = cls(shutdown_on_exit=False, **arguments)
    for one in processors or (SimpleSpanProcessor(InMemorySpanExporter()),):
        made.add_span_processor(one)
    return made


def is_late(provider: Any) -> bool:
    """Return whether spans would be made late."""
    return sdk_tracer(provider, "heliograph", "") is not None


def paths(*libraries: str) -> list[type[Any]]:
    """Return by what the spans of each library are made."""
    return [type(instrumentor._installed[library].telemetry._spans) for library in libraries or ("heliograph",)]


KNOWN: dict[str, Callable[[], Any]] = {
    "simple": provider,
    "batch": lambda: provider(BatchSpanProcessor(InMemorySpanExporter())),
    "several": lambda: provider(
        SimpleSpanProcessor(InMemorySpanExporter()), BatchSpanProcessor(InMemorySpanExporter())
    ),
    "always on": lambda: provider(sampler=ALWAYS_ON),
    "always off": lambda: provider(sampler=ALWAYS_OFF),
    "ratio": lambda: provider(sampler=TraceIdRatioBased(0.1)),
    "as the parent": lambda: provider(sampler=ParentBased(TraceIdRatioBased(0.1))),
    "as the parent, else a custom sampler": lambda: provider(sampler=ParentBased(Always())),
    "limits as they are": lambda: provider(span_limits=SpanLimits()),
    "more than the limits": lambda: provider(span_limits=SpanLimits(max_span_attributes=1000)),
    "fewer links": lambda: provider(span_limits=SpanLimits(max_links=1)),
}

UNKNOWN: dict[str, Callable[[], Any]] = {
    "custom processor": lambda: provider(Unknown()),
    "custom processor beside a known one": lambda: provider(SimpleSpanProcessor(InMemorySpanExporter()), Unknown()),
    "subclass of a processor": lambda: provider(Batch(InMemorySpanExporter())),
    "concurrent processors": lambda: provider(active_span_processor=ConcurrentMultiSpanProcessor()),
    "custom sampler": lambda: provider(sampler=Always()),
    "a sampler for remote parents": lambda: provider(sampler=ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF)),
    "a sampler for local parents": lambda: provider(sampler=ParentBased(ALWAYS_ON, local_parent_not_sampled=ALWAYS_ON)),
    "few attributes": lambda: provider(span_limits=SpanLimits(max_span_attributes=4)),
    "few events": lambda: provider(span_limits=SpanLimits(max_events=1)),
    "few attributes of events": lambda: provider(span_limits=SpanLimits(max_event_attributes=1)),
    "short attributes": lambda: provider(span_limits=SpanLimits(max_attribute_length=8)),
    "short attributes of spans": lambda: provider(span_limits=SpanLimits(max_span_attribute_length=8)),
    "subclass of the provider": lambda: provider(cls=Provider),
    "no provider of the SDK's": NoOpTracerProvider,
    "something else": object,
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_of_the_sdk_has_its_spans_made_late(name):
    """Where nobody could tell."""
    made = KNOWN[name]()
    assert is_late(made)
    made.shutdown()


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_it_could_be_noticed_spans_are_made_through_the_api(name):
    """Each reason alone is one."""
    made = UNKNOWN[name]()
    assert not is_late(made)
    getattr(made, "shutdown", lambda: None)()


def test_the_sdks_own_metrics_about_spans_need_its_own_spans(monkeypatch):
    """It counts them as it starts and ends them."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", " True ")
    assert not is_late(provider())
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "false")
    assert is_late(provider())


def test_a_disabled_sdk_makes_no_spans(monkeypatch, instrument, order_paid):
    """As the standard has it; who asks within a receiver gets no span either."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    spans = Spans()
    instrument("heliograph", tracer_provider=spans.provider)
    seen: list[trace.Span] = []
    order_paid.connect(lambda **_: seen.append(trace.get_current_span()), weak=False)
    order_paid.send(sender=None)

    assert paths() == [type(None)]
    assert seen == [trace.INVALID_SPAN]
    assert spans.finished == []


def test_a_tracer_disabled_by_its_provider_is_left_to_the_sdk(monkeypatch):
    """A configurator may enable it again, and then it is the SDK that knows."""
    tracer = type(provider().get_tracer("heliograph"))
    if not hasattr(tracer, "_is_enabled"):
        pytest.skip("capability configurators: this SDK cannot disable a tracer")
    monkeypatch.setattr(tracer, "_is_enabled", lambda _: False)
    assert not is_late(provider())


def test_an_sdk_whose_inside_is_another_is_left_alone(monkeypatch):
    """What is missing is no error."""
    monkeypatch.delattr(sdk_trace.SynchronousMultiSpanProcessor, "__init__")
    assert not is_late(TracerProvider(shutdown_on_exit=False))


def test_a_context_kept_elsewhere_leaves_the_api(monkeypatch, instrument, spans, order_paid):
    """A runtime context that is not a context variable is asked through OpenTelemetry's own functions."""
    monkeypatch.setattr("opentelemetry.context._RUNTIME_CONTEXT._current_context", None)
    assert sdk.context_variable() is None


@pytest.mark.parametrize(
    ("added", "path"),
    [
        pytest.param(Unknown, ApiSpans, id="unknown"),
        pytest.param(lambda: SimpleSpanProcessor(InMemorySpanExporter()), LateSpans, id="known"),
    ],
)
def test_a_processor_added_later_is_heard(instrument, spans, order_paid, added, path):
    """With the next send but one at the latest: nothing is exported twice or lost on the way."""
    instrument("heliograph", slow=1000)
    order_paid.connect(lambda **_: None, weak=False)
    order_paid.send(sender=None)
    assert paths() == [LateSpans]
    spans.provider.add_span_processor(added())
    for _ in range(2):
        order_paid.send(sender=None)

    assert paths() == [path]
    assert spans.counts() == {"send order_paid": 3, "handle <lambda>": 3}


def test_a_processor_that_exports_later_lets_spans_wait_and_one_that_does_at_once_does_not(instrument, order_paid):
    """Whoever reads what a simple processor has exported finds what was sent."""
    exporter = InMemorySpanExporter()
    made = provider(BatchSpanProcessor(InMemorySpanExporter()))
    instrument("heliograph", tracer_provider=made, slow=1000)
    order_paid.send(sender=None)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    order_paid.send(sender=None)  # finds it
    order_paid.send(sender=None)

    assert len(exporter.get_finished_spans()) >= 1
    made.force_flush()
    assert [short(span.name) for span in exporter.get_finished_spans()] == ["send order_paid"] * 3
    made.shutdown()


class Order(SpanProcessor):
    """Notes when it is told of a flush."""

    def __init__(self, name: str, heard: list[str]) -> None:
        self.name, self.heard = name, heard

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.heard.append(self.name)
        return True


def test_what_is_put_first_is_told_first_and_can_be_taken_out():
    """On the SDK's provider, also before processors that are added later."""
    heard: list[str] = []
    made = provider(Order("second", heard))
    take_out = put_first(made, FirstProcessor(lambda: heard.append("first")))
    made.add_span_processor(Order("third", heard))
    made.force_flush()
    assert heard == ["first", "second", "third"]

    heard.clear()
    take_out()
    take_out()
    made.force_flush()
    assert heard == ["second", "third"]


def test_on_a_provider_whose_inside_is_another_it_is_told_all_the_same():
    """Last, and for good."""

    class Other:
        def __init__(self) -> None:
            self.processors: list[Any] = []

        def add_span_processor(self, processor: Any) -> None:
            self.processors.append(processor)

    made, processor = Other(), FirstProcessor(lambda: None)
    take_out = put_first(made, processor)
    take_out()

    assert made.processors == [processor]


def test_a_provider_that_has_no_processors_is_told_nothing():
    """And nothing fails."""
    put_first(NoOpTracerProvider(), FirstProcessor(lambda: None))()


def test_undoing_leaves_the_providers_processors_as_they_were(instrument, spans):
    """Also after several times."""
    before = spans.provider._active_span_processor._span_processors
    for _ in range(3):
        instrument("heliograph")()

    assert spans.provider._active_span_processor._span_processors == before


def test_two_libraries_share_a_provider(instrument, spans, order_paid):
    """One does not keep the other from making spans late, and undoing one leaves the other."""
    import django.dispatch

    instrument("heliograph", slow=1000)
    undo = instrument("django", slow=1000)
    signal = django.dispatch.Signal()
    for _ in range(2):
        order_paid.send(sender=None)
        signal.send(sender=None)
    assert paths("heliograph", "django") == [LateSpans, LateSpans]
    undo()
    for _ in range(2):
        order_paid.send(sender=None)
        signal.send(sender=None)

    assert paths() == [LateSpans]
    assert spans.counts() == {"send order_paid": 4, "send _OTHER": 2}


def test_two_providers_hear_each_of_their_own_library(instrument, spans, order_paid):
    """Whatever is the way for one is not the other's."""
    import django.dispatch

    others = Spans(sampler=Always())
    instrument("heliograph", slow=1000)
    instrument("django", tracer_provider=others.provider, slow=1000)
    order_paid.send(sender=None)
    django.dispatch.Signal().send(sender=None)

    assert paths("heliograph", "django") == [LateSpans, ApiSpans]
    assert (spans.counts(), others.counts()) == ({"send order_paid": 1}, {"send _OTHER": 1})


def test_a_nested_send_of_a_library_with_another_provider_stays_in_the_trace(instrument, spans, order_paid):
    """Its parent is a span made late; both are asked for, and both are there."""
    import django.dispatch

    others = Spans()
    others.provider.add_span_processor(Unknown())
    instrument("heliograph", level="errors")
    instrument("django", tracer_provider=others.provider)
    signal: Any = django.dispatch.Signal()
    order_paid.connect(lambda **_: signal.send(sender=None), weak=False)
    order_paid.send(sender=None)

    [inner] = others.finished
    assert inner.parent == spans.named("handle <lambda>").get_span_context()
    assert heliograph.Signal is type(order_paid)


def test_sends_on_other_threads_lose_nothing_while_a_provider_changes(order_paid):
    """A processor that is added makes us choose anew how to speak; meanwhile sends are spoken of as before."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    order_paid.connect(lambda **_: None, weak=False)
    with heliograph.instrument("heliograph", tracer_provider=provider):
        for _ in range(20):
            exporter.clear()
            start = threading.Barrier(8)

            def send(start: threading.Barrier = start) -> None:
                start.wait(timeout=30)
                order_paid.send(sender=None)

            threads = [threading.Thread(target=send) for _ in range(8)]
            provider.add_span_processor(SpanProcessor())
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=30)
            provider.force_flush()

            assert len([span for span in exporter.get_finished_spans() if span.name == "send order_paid"]) == 8
    provider.shutdown()
