"""``--otlp URL``: what is observed arrives at a backend, and a backend that is not there harms nobody."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = pytest.mark.end_to_end


class Backend:
    """A real receiver of OTLP over HTTP, on this machine."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.status = 200
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                backend.requests.append((self.path, body))
                self.send_response(backend.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def spans(self):
        """All spans that have arrived, each with its resource."""
        return [
            (span, resource_spans.resource)
            for path, body in self.requests
            if path == "/v1/traces"
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def metrics(self) -> set[str]:
        """The names of all metrics that have arrived."""
        return {
            metric.name
            for path, body in self.requests
            if path == "/v1/metrics"
            for resource_metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope_metrics in resource_metrics.scope_metrics
            for metric in scope_metrics.metrics
        }


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that is there."""
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, and nobody will as long as the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def service(resource):
    [name] = [attribute.value.string_value for attribute in resource.attributes if attribute.key == "service.name"]
    return name


def test_spans_and_metrics_arrive(shop, heliograph, backend):
    """Each dispatch and each receiver call has its span, named as documented; output and report stay as they are."""
    ran = heliograph("run", "--otlp", backend.url, "shop.py")

    assert (ran.code, ran.out, ran.err) == (0, "sold\n", "")
    assert sorted(span.name for span, _ in backend.spans) == sorted(
        ["send_robust paid", "handle __main__.receipt", "handle __main__.credit"] * 3
    )
    by_id = {span.span_id: span for span, _ in backend.spans}
    assert {by_id[span.parent_span_id].name for span in by_id.values() if span.parent_span_id} == {"send_robust paid"}
    assert {service(resource) for _, resource in backend.spans} == {"shop.py"}
    assert {"heliograph.dispatch.duration", "heliograph.receiver.duration"} <= backend.metrics
    assert "FAILED ConnectionError" in ran.report


def test_the_service_can_be_named(shop, heliograph, backend):
    """OpenTelemetry's own variable names the service."""
    heliograph("run", "--otlp", backend.url + "/", "shop.py", env={"OTEL_SERVICE_NAME": "the-shop"})

    assert {service(resource) for _, resource in backend.spans} == {"the-shop"}


def test_options_hold_for_what_is_exported(shop, heliograph, backend):
    """The level decides about spans as it does about lines."""
    heliograph("run", "--level", "errors", "--otlp", backend.url, "shop.py")

    assert {span.name for span, _ in backend.spans} == {"send_robust paid", "handle __main__.credit"}


def test_the_programs_own_provider_stays(write, heliograph, backend):
    """A program may set its own providers, without a warning, while heliograph exports through others."""
    write(
        "script.py",
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        import heliograph

        provider = TracerProvider()
        trace.set_tracer_provider(provider)
        paid = heliograph.Signal(name="shop.paid")

        @heliograph.receiver(paid)
        def receipt(**_):
            print(trace.get_tracer_provider() is provider)

        with trace.get_tracer("script").start_as_current_span("order") as span:
            paid.send(None)
            print(format(span.get_span_context().trace_id, "032x"))
        """,
    )

    ran = heliograph("run", "--otlp", backend.url, "script.py")

    mine, trace_id = ran.out.split()
    assert (ran.code, ran.err, mine) == (0, "", "True")
    assert {span.trace_id.hex() for span, _ in backend.spans} == {trace_id}


def test_a_backend_that_is_not_there(shop, heliograph, nobody):
    """One line says so; output, exit code and report are the same."""
    shop.write_text(f"{shop.read_text()}\nsys.exit(3)")

    ran = heliograph("run", "--otlp", nobody, "shop.py")

    assert (ran.code, ran.out, ran.err) == (3, "sold\n", "")
    assert ran.report.splitlines()[-1] == (
        f"heliograph: could not export to {nobody}: 9 of 9 spans did not arrive; the program was not affected"
    )


def test_a_backend_that_refuses(shop, heliograph, backend):
    """An answer that is an error counts as not arrived, and is not shown as a traceback."""
    backend.status = 400

    ran = heliograph("run", "--otlp", backend.url, "shop.py")

    assert (ran.code, ran.out, ran.err) == (0, "sold\n", "")
    assert "9 of 9 spans did not arrive" in ran.report.splitlines()[-1]


def test_a_backend_that_is_not_there_and_a_saved_report(shop, heliograph, nobody, folder):
    """Exporting and saving do not hinder each other."""
    ran = heliograph("run", "--otlp", nobody, "--save", "saved.json", "shop.py")

    lines = ran.err.splitlines()
    assert ran.code == 0
    assert lines[0].startswith("heliograph: the report is in ")
    assert lines[1].startswith(f"heliograph: could not export to {nobody}: ")
    assert len(lines) == 2
