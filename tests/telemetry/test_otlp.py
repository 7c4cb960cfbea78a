"""The exporter that encodes common parts once says what OpenTelemetry's own says, byte for byte in meaning."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otlp is not installed")

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span

import heliograph
from heliograph.telemetry.late_spans import FactSpan
from heliograph.telemetry.otlp import encode


def by_id(request: ExportTraceServiceRequest) -> dict[bytes, tuple[Any, ...]]:
    """Return each span with its resource and scope; how spans are grouped means nothing."""
    return {
        span.span_id: (span, group.resource, scope_spans.scope, group.schema_url, scope_spans.schema_url)
        for group in request.resource_spans
        for scope_spans in group.scope_spans
        for span in scope_spans.spans
    }


def same(spans: list[ReadableSpan]) -> bool:
    """Return whether both encoders say the same of *spans*."""
    ours = ExportTraceServiceRequest.FromString(encode(spans))
    return bool(spans) and by_id(ours) == by_id(encode_spans(spans))


def failing(**_):
    raise ValueError("no")


def sending(**_):
    inner.send(sender=sending)


inner = heliograph.Signal(name="shop.inner")


def test_spans_of_all_kinds_are_encoded_alike(instrument, spans, order_paid):
    """Healthy, failing, nested, skipped, without receivers; ours and others' in one batch."""
    instrument(
        "heliograph", extra_attributes=["code.file.path", "code.line.number", "heliograph.signal.argument_names"]
    )
    for receiver in (sending, failing, lambda **_: None):
        order_paid.connect(receiver, weak=False)
    with spans.tracer.start_as_current_span("request"):
        order_paid.send_robust(sender=None, number=1)
        with pytest.raises(ValueError, match="no"):
            order_paid.send(sender=object())

    assert {type(span) for span in spans.finished} == {FactSpan, ReadableSpan}
    assert same(spans.finished)


def test_a_remote_parent_and_its_trace_state_are_kept(instrument, spans, order_paid):
    """What came with the request is in the spans."""
    instrument("heliograph")
    order_paid.connect(sending)
    state = TraceState([("vendor", "value"), ("other", "1")])
    remote = SpanContext(0x5EED, 0xF00D, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED), trace_state=state)
    with use_span(NonRecordingSpan(remote)):
        order_paid.send(sender=None)

    assert same(spans.finished)


def test_a_batch_larger_than_one_byte_can_count_is_encoded(instrument, spans, order_paid):
    """Lengths take several bytes."""
    instrument("heliograph", budget=10_000)
    order_paid.connect(sending)
    for _ in range(300):
        order_paid.send(sender=None)

    assert len(spans.finished) == 300 * 3
    assert same(spans.finished)


def test_what_receivers_write_to_their_spans_is_encoded_alike(instrument, spans, order_paid):
    """Attributes of all kinds, events, links, another name and a status; beside receivers that write nothing."""
    instrument("heliograph", level="all", extra_attributes=["heliograph.receiver.dispatch_uid"])
    link = SpanContext(0x5EED, 0xF00D, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def writing(**_):
        span = trace.get_current_span()
        span.set_attributes({"shop.flag": True, "shop.ratio": 0.5, "shop.names": ("a", "b"), "shop.none": ""})
        span.add_event("baked", {"shop.number": 1})
        span.add_link(link, {"shop.number": 2})
        span.update_name("bake")
        span.set_status(trace.StatusCode.ERROR, "burnt")

    order_paid.connect(writing, dispatch_uid="uid")
    order_paid.connect(lambda **_: None, weak=False)
    order_paid.send(sender=None)

    assert same(spans.finished)


def test_rolled_up_dispatches_are_encoded_alike(instrument, spans, order_paid):
    """Their attributes are no receiver's, and differ from span to span."""
    instrument("heliograph", budget=1, slow=1000)
    with spans.tracer.start_as_current_span("request"):
        for _ in range(4):
            order_paid.send(sender=dict)

    assert len(spans.finished) == 3
    assert same(spans.finished)


def test_nothing_is_encoded_as_nothing():
    """An empty batch is an empty request."""
    assert encode([]) == b""
