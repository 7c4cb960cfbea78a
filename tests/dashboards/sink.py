"""A backend that keeps what it is sent over OTLP/HTTP, and can be away for a while."""

from __future__ import annotations

import gzip
import threading
from collections import defaultdict
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.end_to_end.backends.wire import WireSpan, sent_spans

__all__ = ["Sink", "by_trace", "post"]


class Sink(ThreadingHTTPServer):
    """Keeps the bodies of all requests, each with its path. A context manager: outside of it nobody listens.

    Args:
        port: Where to listen; any free port unless given.
    """

    daemon_threads = True
    allow_reuse_address = True  # it comes back where it was

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.bodies: list[tuple[str, bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="sink")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def exports(self) -> list[bytes]:
        """The exports of spans that have arrived."""
        return [body for path, body in list(self.bodies) if path == "/v1/traces"]

    @property
    def spans(self) -> list[WireSpan]:
        """All spans that have arrived, in the order in which they did."""
        return [span for body in self.exports for span in sent_spans(ExportTraceServiceRequest.FromString(body))]

    @property
    def span_ids(self) -> list[str]:
        """The ids of all spans that have arrived, in order of the ids: one that came twice is there twice."""
        return sorted(span.span_id for span in self.spans)

    @property
    def trace_ids(self) -> set[str]:
        """The ids of the traces of which a span has arrived."""
        return {span.trace_id for span in self.spans}


class _Handler(BaseHTTPRequestHandler):
    server: Sink
    protocol_version = "HTTP/1.1"  # one connection for many requests, as backends have it

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        self.server.bodies.append((self.path, gzip.decompress(body) if zipped else body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def by_trace(spans: Iterable[WireSpan]) -> dict[str, list[WireSpan]]:
    """Return *spans* by the id of their trace."""
    traces: defaultdict[str, list[WireSpan]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return dict(traces)


def post(url: str, export: bytes) -> int:
    """Send an *export* of spans to an OTLP receiver and return the status of its answer."""
    request = Request(f"{url}/v1/traces", export, {"Content-Type": "application/x-protobuf"})
    try:
        with urlopen(request, timeout=30) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
