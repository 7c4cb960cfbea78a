"""What a program sends over OTLP/HTTP, written down on its way to the backend."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a span."""

    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class WireSpan:
    """A span as OTLP has it: times in nanoseconds, ids in hexadecimal, names of enumerations without their prefix."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    began: int
    ended: int
    status: str
    attributes: Attributes
    events: tuple[Event, ...]
    scope: str
    service: str


class Wire(ThreadingHTTPServer):
    """Listens for OTLP over HTTP, keeps the spans, hands each request on to the backend and its answer back.

    A span is kept once the backend has taken it. Where there is no backend, there is no answer.

    Args:
        backend: The backend's address.
    """

    daemon_threads = True

    def __init__(self, backend: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend = backend
        self.spans: list[WireSpan] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="wire")

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Wire

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, answer = self._hand_on(body)
        except OSError:  # nobody is there: so it is here
            self.close_connection = True
            return
        if self.path == "/v1/traces" and status == 200:
            self.server.spans += sent_spans(ExportTraceServiceRequest.FromString(body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _hand_on(self, body: bytes) -> tuple[int, bytes]:
        request = Request(self.server.backend + self.path, body, {"Content-Type": self.headers["Content-Type"]})
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def sent_spans(message: Any) -> Iterator[WireSpan]:
    """Yield the spans of an export."""
    for resource in message.resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield WireSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    status=span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                    attributes=_attributes(span.attributes),
                    events=tuple(Event(event.name, _attributes(event.attributes)) for event in span.events),
                    scope=scope.scope.name,
                    service=service,
                )


def _attributes(pairs: Iterable[Any]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)


_KINDS = {0: "UNSPECIFIED", 1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
_STATUSES = {0: "UNSET", 1: "OK", 2: "ERROR"}


def read_spans(document: Mapping[str, Any]) -> Iterator[WireSpan]:
    """Yield the spans of OTLP in JSON, as Jaeger's API gives them."""
    for resource in document["resourceSpans"]:
        service = _json_attributes(resource["resource"])["service.name"]
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield WireSpan(
                    trace_id=span["traceId"],
                    span_id=span["spanId"],
                    parent_id=span.get("parentSpanId", ""),
                    name=span["name"],
                    kind=_KINDS[span.get("kind", 0)],
                    began=int(span["startTimeUnixNano"]),
                    ended=int(span["endTimeUnixNano"]),
                    status=_STATUSES[span.get("status", {}).get("code", 0)],
                    attributes=_json_attributes(span),
                    events=tuple(Event(event["name"], _json_attributes(event)) for event in span.get("events", ())),
                    scope=scope["scope"]["name"],
                    service=service,
                )


def _json_attributes(holder: Mapping[str, Any]) -> Attributes:
    return {pair["key"]: _json_value(pair["value"]) for pair in holder.get("attributes", ())}


def _json_value(value: Mapping[str, Any]) -> Any:
    [(kind, content)] = value.items()
    if kind == "arrayValue":
        return [_json_value(one) for one in content["values"]]
    return int(content) if kind == "intValue" else content  # 64 bits are a string in JSON
