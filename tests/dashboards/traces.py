"""Traces to send: made by hand, so that it is known what a Collector has to make of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from heliograph.telemetry import semconv

NOON = 1_800_000_000_000_000_000  # nanoseconds since the epoch
MILLISECOND = 1_000_000
RECEIVER = "shop.receivers.print_receipt"


class Maker:
    """Makes spans whose ids are the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def span(
        self,
        name: str,
        *,
        under: Span | None = None,
        milliseconds: float = 1,
        failed: bool = False,
        **attributes: str | float,
    ) -> Span:
        """Return a span, in the trace of the one it is *under* or in one of its own."""
        return Span(
            trace_id=under.trace_id if under else self._random.randbytes(16),
            span_id=self._random.randbytes(8),
            parent_span_id=under.span_id if under else b"",
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=NOON,
            end_time_unix_nano=NOON + int(milliseconds * MILLISECOND),
            status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
            attributes=[_attribute(key.replace("__", "."), value) for key, value in attributes.items()],
        )

    def request(self, *, milliseconds: float = 1, failed: bool = False, operation: str = "send_robust") -> list[Span]:
        """Return the spans of a request that sends a signal with one receiver, as heliograph makes them."""
        root = self.span("GET /")
        attributes: dict[str, str | float] = {semconv.OPERATION_NAME: operation, semconv.RECEIVER_COUNT: 1}
        if failed:
            attributes[semconv.RECEIVER_FAILED_COUNT] = 1
        dispatch = self.span(
            f"{operation} order_paid",
            under=root,
            milliseconds=milliseconds,
            failed=failed and operation == "send",
            **attributes,
        )
        return [root, dispatch, self.receiver(dispatch, milliseconds=milliseconds, failed=failed)]

    def receiver(self, dispatch: Span, *, milliseconds: float = 1, failed: bool = False) -> Span:
        """Return the span of a receiver's call."""
        return self.span(
            semconv.receiver_span_name(RECEIVER),
            under=dispatch,
            milliseconds=milliseconds,
            failed=failed,
            **{semconv.SIGNAL_NAME: "shop.signals.order_paid", semconv.FUNCTION_NAME: RECEIVER},
        )


def export(spans: Iterable[Span], scope: str = semconv.SCOPE, service: str = "shop") -> bytes:
    """Return *spans* as one export over OTLP."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.append(_attribute("service.name", service))
    group = resource.scope_spans.add()
    group.scope.name = scope
    group.spans.extend(spans)
    return bytes(message.SerializeToString())


def trace_ids(spans: Iterable[Span]) -> set[str]:
    """Return the ids of the traces that *spans* belong to."""
    return {span.trace_id.hex() for span in spans}


def span_ids(spans: Iterable[Span]) -> Iterator[str]:
    """Yield the ids of *spans*."""
    return (span.span_id.hex() for span in spans)


def _attribute(key: str, value: str | float) -> KeyValue:
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))
