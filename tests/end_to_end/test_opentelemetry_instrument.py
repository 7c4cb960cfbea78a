"""No line of code: ``opentelemetry-instrument python manage.py ...`` sends the spans of an unchanged project."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

if not entry_points(group="opentelemetry_instrumentor", name="heliograph"):
    pytest.skip("heliograph is not installed, so it has no entry point", allow_module_level=True)
if not entry_points(group="opentelemetry_configurator"):
    pytest.skip("opentelemetry-distro is not installed: nothing sets a provider up", allow_module_level=True)

pytestmark = pytest.mark.end_to_end

PYTHON = Path(sys.executable)
INSTRUMENT = PYTHON.parent / "opentelemetry-instrument"
MANAGE = Path(__file__).parent / "signals_site" / "manage.py"

Tree = dict[str, Any]


class Sink(ThreadingHTTPServer):
    """A backend on the loopback interface that keeps the spans it is sent over OTLP/HTTP, in the order of their ends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SinkHandler)
        self.spans: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _SinkHandler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.spans += _spans(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _spans(message: Any) -> Iterator[dict[str, Any]]:
    """Yield the spans of an export in the form of the SDK's JSON."""
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "name": span.name,
                    "kind": span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    "context": {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex()},
                    "parent_id": span.parent_span_id.hex() or None,
                    "start_time": span.start_time_unix_nano,
                    "end_time": span.end_time_unix_nano,
                    "status": {
                        "status_code": span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_")
                    },
                    "attributes": {one.key: _value(one.value) for one in span.attributes},
                    "events": [{"name": event.name} for event in span.events],
                    "scope": scope.scope.name,
                }


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        thread = threading.Thread(target=sink.serve_forever, args=(0.01,))
        thread.start()
        yield sink
        sink.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def database(start, tmp_path_factory) -> Path:
    """A database with the project's tables."""
    path: Path = tmp_path_factory.mktemp("signals_site") / "site.sqlite3"
    program = start(PYTHON, MANAGE, "migrate", "--verbosity=0", SIGNALS_SITE_DATABASE=path)
    _, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    return path


@pytest.fixture
def manage(start, sink, database):
    """Starts a command of the project under ``opentelemetry-instrument``, with the sink as its backend."""

    def manage(*arguments: str, **variables: str | None):
        return start(
            *(INSTRUMENT, PYTHON, MANAGE, *arguments),
            **{
                "DJANGO_SETTINGS_MODULE": "signals_site.settings",
                "SIGNALS_SITE_DATABASE": database,
                "OTEL_SERVICE_NAME": "shop",
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": sink.address,
                **variables,
            },
        )

    return manage


class GrpcSink(TraceServiceServicer):
    """The same for OTLP over gRPC, which the launcher chooses where nothing is said."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self._server = grpc.server(ThreadPoolExecutor(1))
        add_TraceServiceServicer_to_server(self, self._server)
        self.address = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:
        self.spans += _spans(request)
        return ExportTraceServiceResponse()


def outline(tree: Tree) -> Any:
    """Return the names alone of a span and of all those below it."""
    below = [outline(child) for child in tree["children"]]
    return {tree["name"]: below} if below else tree["name"]


# An order is saved; a receiver of that finds a table and saves it again; a receiver of *that* tells a waiter who fails.
PIZZA_DONE = {"send_robust pizza_done": ["handle signals_site.shop.receivers.tell_waiter"]}
SAVED_AGAIN = {"send post_save": [{"handle signals_site.shop.receivers.find_table": [PIZZA_DONE]}]}
SAVED = {"send post_save": [{"handle signals_site.shop.receivers.find_table": ["send pre_save", SAVED_AGAIN]}]}


def test_nothing_has_to_be_said_but_where_the_backend_is(manage, grow):
    """What the extras bring is all that the launcher's own choices need: the exporter that it chooses is there."""
    with GrpcSink() as sink:
        program = manage(
            *("order", "margherita"),
            OTEL_TRACES_EXPORTER=None,
            OTEL_EXPORTER_OTLP_PROTOCOL=None,
            OTEL_EXPORTER_OTLP_ENDPOINT=sink.address,
        )
        stdout, stderr = program.communicate(timeout=60)

    assert (program.returncode, stdout) == (0, "margherita ordered\n"), stderr
    assert "Failed to auto initialize" not in stderr
    trees = grow(span for span in sink.spans if span["scope"] == "heliograph")
    assert [outline(tree) for tree in trees if "connection_created" not in tree["name"]] == ["send pre_save", SAVED]


def test_a_command_is_traced_without_a_changed_line(manage, sink, grow):
    """The spans of a management command's signals arrive at the backend, three dispatches deep."""
    program = manage("order", "margherita")
    stdout, stderr = program.communicate(timeout=60)

    assert (program.returncode, stdout) == (0, "margherita ordered\n"), stderr
    trees = grow(span for span in sink.spans if span["scope"] == "heliograph")
    assert [outline(tree) for tree in trees if "connection_created" not in tree["name"]] == ["send pre_save", SAVED]


def test_the_console_shows_them_too(manage):
    """With the console as exporter the same spans are printed by the program itself, after its own output."""
    program = manage("order", "margherita", OTEL_TRACES_EXPORTER="console")
    stdout, stderr = program.communicate(timeout=60)

    assert program.returncode == 0, stderr
    first, _, printed = stdout.partition("\n")
    names = [span["name"] for span in _documents(printed)]
    assert first == "margherita ordered"
    assert names.count("handle signals_site.shop.receivers.find_table") == 2
    assert names.count("handle signals_site.shop.receivers.tell_waiter") == 1


def test_what_failed_under_send_robust_is_told(manage, sink, grow):
    """The waiter's failure is on the receiver's span and counted on the dispatch's; the log line spares standard output."""
    program = manage("order", "margherita")
    stdout, stderr = program.communicate(timeout=60)

    assert (stdout, "signal_receiver_failed" in stderr) == ("margherita ordered\n", True)
    [done] = [tree for tree in every(grow(sink.spans)) if tree["name"] == "send_robust pizza_done"]
    [call] = done["children"]
    assert (done["status"], done["attributes"]["heliograph.dispatch.receiver.failed_count"]) == ("UNSET", 1)
    assert (done["attributes"]["heliograph.dispatch.depth"], done["attributes"]["heliograph.sender.name"]) == (
        2,
        "shop.Order",
    )
    assert (call["status"], call["attributes"]["error.type"], call["events"]) == ("ERROR", "LookupError", ["exception"])


def test_variables_choose_what_is_said(manage, sink):
    """``OTEL_PYTHON_HELIOGRAPH_...`` reaches heliograph; a wrong value is told, and the program still runs."""
    program = manage("order", "margherita", OTEL_PYTHON_HELIOGRAPH_EXCLUDED_SIGNALS="pre_save,post_save")
    program.communicate(timeout=60)
    names = {span["name"] for span in sink.spans if span["scope"] == "heliograph"}
    assert names - {"send connection_created"} == {
        "send_robust pizza_done",
        "handle signals_site.shop.receivers.tell_waiter",
    }

    program = manage("order", "margherita", OTEL_PYTHON_HELIOGRAPH_LEVEL="loud")
    stdout, stderr = program.communicate(timeout=60)
    assert (program.returncode, stdout) == (0, "margherita ordered\n")
    assert "OTEL_PYTHON_HELIOGRAPH_LEVEL cannot be 'loud'. Valid: off, errors, slow, all." in stderr


@pytest.mark.skipif(
    find_spec("opentelemetry.instrumentation.django") is None,
    reason="opentelemetry-instrumentation-django is not installed",
)
def test_receivers_are_below_the_request_that_made_them_run(manage, sink, grow):
    """With OpenTelemetry's own instrumentation of Django, a signal sent in a view belongs to the caller's trace."""
    program = manage("open_for", "1")
    port = int(program.stdout.readline())
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    request = Request(f"http://127.0.0.1:{port}/order/calzone/", headers={"traceparent": f"00-{trace}-{caller}-01"})
    with urlopen(request, timeout=60) as response:
        assert response.read() == b"calzone ordered\n"
    _, stderr = program.communicate(timeout=60)

    assert program.returncode == 0, stderr
    mine = [span for span in sink.spans if span["context"]["trace_id"] == trace]
    [server] = grow(mine)
    assert [span["parent_id"] for span in mine if span["name"] == server["name"]] == [caller]
    assert (server["name"], server["kind"]) == ("GET order/<str:what>/", "SERVER")
    below = [outline(child) for child in server["children"] if "connection_created" not in child["name"]]
    assert below == ["send pre_save", SAVED]


def every(trees: list[Tree]) -> Iterator[Tree]:
    for tree in trees:
        yield tree
        yield from every(tree["children"])


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:]
