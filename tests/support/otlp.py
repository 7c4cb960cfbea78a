"""A backend on the loopback interface that keeps what it is sent over OTLP/HTTP, as plain dictionaries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

__all__ = ["OtlpSink"]


class OtlpSink:
    """Takes spans and log records from the moment it is entered until it is left.

    Attributes:
        spans: Those that have arrived: scope, name, trace_id, span_id, parent_id, started and
            ended (in nanoseconds), status, attributes, events.
        logs: The log records that have arrived: scope, event_name, severity, body, trace_id, span_id, attributes.
    """

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """What ``OTEL_EXPORTER_OTLP_ENDPOINT`` is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        """Keep what a request brings."""
        if path == "/v1/traces":
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/logs":
            self.logs += _logs(ExportLogsServiceRequest.FromString(body))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(sink: OtlpSink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sink.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _spans(message: Any) -> Iterator[dict[str, Any]]:
    for scope, span in _each(message.resource_spans, "scope_spans", "spans"):
        yield {
            "scope": scope,
            "name": span.name,
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "parent_id": span.parent_span_id.hex(),
            "started": span.start_time_unix_nano,
            "ended": span.end_time_unix_nano,
            "status": span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
            "attributes": _attributes(span.attributes),
            "events": [{"name": event.name, "attributes": _attributes(event.attributes)} for event in span.events],
        }


def _logs(message: Any) -> Iterator[dict[str, Any]]:
    for scope, record in _each(message.resource_logs, "scope_logs", "log_records"):
        yield {
            "scope": scope,
            "event_name": record.event_name,
            "severity": SeverityNumber.Name(record.severity_number).rpartition("_")[2],
            "body": _value(record.body),
            "trace_id": record.trace_id.hex(),
            "span_id": record.span_id.hex(),
            "attributes": _attributes(record.attributes),
        }


def _each(resources: Any, scopes: str, members: str) -> Iterator[tuple[str, Any]]:
    for resource in resources:
        for scope in getattr(resource, scopes):
            for member in getattr(scope, members):
                yield scope.scope.name, member


def _attributes(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return None if kind is None else getattr(value, kind)
