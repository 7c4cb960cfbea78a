"""An OTLP/HTTP exporter that encodes what heliograph's spans have in common but once. Needs the extra ``otlp``.

It is OpenTelemetry's exporter with another encoder: a receiver's name and attributes are the same bytes in each
of its spans, so a span costs its ids and its times. Spans of others are encoded as ever.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext

from heliograph.telemetry.late_spans import FactSpan

__all__ = ["SpanExporter", "encode"]

# Wire format of opentelemetry/proto/trace/v1/trace.proto: a tag is the field's number, shifted by 3, and its type.
_IDS_AND_TIMES = struct.Struct("<2s16s2s8sBQBQHI")
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
_START, _END, _FLAGS = 0x39, 0x41, 0x0185
_SPANS, _SCOPE_SPANS, _RESOURCE_SPANS, _FIRST, _THIRD = b"\x12", b"\x12", b"\x0a", b"\x0a", b"\x1a"
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200


class SpanExporter(OTLPSpanExporter):
    """OpenTelemetry's OTLP/HTTP span exporter, faster for spans of signals. Takes the same arguments."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        client: Any = getattr(self, "_client", None)
        if self._shutdown or not hasattr(client, "export"):  # a release whose inside is another
            return super().export(spans)
        data = encode(spans)
        limit = getattr(self, "_max_request_size", 0)
        if 0 < limit < len(data):
            return super().export(spans)  # which says what is wrong
        return SpanExportResult.SUCCESS if client.export(data).success else SpanExportResult.FAILURE


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return *spans* as a serialized ``ExportTraceServiceRequest``."""
    ours: dict[tuple[int, int], list[bytes]] = {}  # by identity: the hash of a resource is that of all its text
    groups: dict[tuple[int, int], tuple[Any, Any]] = {}
    others = []
    for span in spans:
        if type(span) is FactSpan:
            group = (span.resource, span.instrumentation_scope)
            key = (id(group[0]), id(group[1]))
            groups[key] = group
            ours.setdefault(key, []).append(_field(_SPANS, _encode_span(span)))
        else:
            others.append(span)
    encoded = [_encode_group(*groups[key], b"".join(members)) for key, members in ours.items()]
    if others:
        encoded.append(encode_spans(others).SerializeToString())
    return b"".join(encoded)  # a repeated field is the concatenation of its parts


def _encode_group(resource: Any, scope: Any, spans: bytes) -> bytes:
    scope_spans = _scope(scope.name, scope.version or "") + spans + _text(_THIRD, scope.schema_url)
    resource_spans = _resource(resource) + _field(_SCOPE_SPANS, scope_spans) + _text(_THIRD, resource.schema_url)
    return _field(_RESOURCE_SPANS, resource_spans)


def _encode_span(span: FactSpan) -> bytes:
    context: Any = span.context
    parent = span.parent
    head = _IDS_AND_TIMES.pack(
        _TRACE_ID,
        context.trace_id.to_bytes(16, "big"),
        _SPAN_ID,
        context.span_id.to_bytes(8, "big"),
        _START,
        span.start_time or 0,
        _END,
        span.end_time or 0,
        _FLAGS,
        _flags(parent),
    )
    tail = b"" if parent is None else _PARENT_ID + parent.span_id.to_bytes(8, "big")
    if context.trace_state:
        tail += Span(trace_state=context.trace_state.to_header()).SerializeToString()
    return head + tail + _common(span)


def _flags(parent: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if parent is not None and parent.is_remote else 0)


def _common(span: FactSpan) -> bytes:
    """Return what a span shares with others: all but ids and times."""
    plan = span.plan
    if plan is None:
        return _encode_common(span.name, span.status.status_code.value, tuple((span.attributes or {}).items()))
    if plan.encoded is None:
        plan.encoded = _encode_common(span.name, span.status.status_code.value, tuple(plan.span_attributes.items()))
    return plan.encoded


@lru_cache(maxsize=4096)
def _encode_common(name: str, status: int, attributes: tuple[tuple[str, Any], ...]) -> bytes:
    encoded: bytes = Span(
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        attributes=[KeyValue(key=key, value=_value(value)) for key, value in attributes],
        status=Status(code=status),  # type: ignore[arg-type]  # the generated types know names alone
    ).SerializeToString()
    return encoded


@lru_cache(maxsize=16)
def _scope(name: str, version: str) -> bytes:
    return _field(_FIRST, InstrumentationScope(name=name, version=version).SerializeToString())


@lru_cache(maxsize=16)
def _resource(resource: Any) -> bytes:
    attributes = [KeyValue(key=key, value=_value(value)) for key, value in resource.attributes.items()]
    return _field(_FIRST, Resource(attributes=attributes).SerializeToString())


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):  # before int, which it is too
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, Sequence):
        return AnyValue(array_value=ArrayValue(values=[_value(one) for one in value]))
    return AnyValue(string_value=str(value))


def _text(tag: bytes, text: str | None) -> bytes:
    return _field(tag, text.encode()) if text else b""


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < 0x80:
        return number.to_bytes(1, "little")
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
