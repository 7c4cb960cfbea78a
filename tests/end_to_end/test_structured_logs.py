"""Structured logs as applications have them: real programs, JSON on standard output, records over OTLP/HTTP."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.support.otlp import OtlpSink

for needed in ("opentelemetry.distro", "opentelemetry.instrumentation.logging", "django_structlog"):
    if find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "structured_logs"
PAGE = ROOT / "docs" / "logs.md"
PYTHON = Path(sys.executable)
INSTRUMENT = PYTHON.parent / "opentelemetry-instrument"

with_structlog = pytest.mark.skipif(
    find_spec("opentelemetry.instrumentation.structlog") is None,
    reason="opentelemetry-instrumentation-structlog is not installed",
)

TELEMETRY = {
    "OTEL_SERVICE_NAME": "shop",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}
BY_LOGGING = "structlog"
BY_STRUCTLOG = "logging"
"""The instrumentation that is switched off so that the other one alone exports."""

# Serves as many requests as it is told to, at an address that it prints first.
SERVE = """
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
from django.core.wsgi import get_wsgi_application

class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
    print(server.server_port, flush=True)
    for _ in range(int(sys.argv[1])):
        server.handle_request()
"""

# One receiver of one of Django's signals fails; structlog goes through logging, and all that logs is exported.
FAILING = """
import structlog
from django.dispatch import Signal

structlog.configure(
    processors=[structlog.stdlib.render_to_log_kwargs],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)
paid = Signal()

def print_receipt(**_):
    raise ConnectionError("no paper")

paid.connect(print_receipt)
paid.send_robust(sender=None)
"""


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as sink:
        yield sink


@pytest.fixture
def run(start, sink):
    """Runs a program under ``opentelemetry-instrument`` with the sink as its backend; returns what it printed.

    Where nobody handles what is logged, Python itself prints the failure to standard error: *errors* times.
    """

    def run(*words: str | Path, without: str = BY_LOGGING, errors: int = 0, **variables: str) -> str:
        settings = {**TELEMETRY, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
        settings["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = without
        program = start(INSTRUMENT, PYTHON, *words, **settings, **variables)
        stdout, stderr = program.communicate(timeout=60)
        assert program.returncode == 0, stderr
        assert stderr.count("Traceback") == errors
        return str(stdout)

    return run


def lines(printed: str) -> list[dict[str, Any]]:
    """Return what each line is in JSON."""
    return [json.loads(line) for line in printed.splitlines()]


def timeless(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without what differs between runs, once that is found to be well-formed."""
    line = dict(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    if "duration_s" in line:
        assert 0 < line.pop("duration_s") < 30
    if "exception" in line:
        traceback = line.pop("exception").splitlines()
        assert (traceback[0], traceback[-1]) == (
            "Traceback (most recent call last):",
            "ConnectionError: the printer is out of paper",
        )
    return line


def ids_of(sink: OtlpSink, name: str) -> dict[str, str]:
    """Return the ids of the only span of that name, as logs have them."""
    [span] = [span for span in sink.spans if span["name"] == name]
    return {"trace_id": span["trace_id"], "span_id": span["span_id"]}


FAILED = {
    "system": "heliograph",
    "signal": "__main__.order_paid",
    "sender": "str",
    "receiver": "__main__.print_receipt",
    "operation": "send_robust",
    "error_type": "ConnectionError",
    "table": 7,
    "event": "signal_receiver_failed",
    "level": "error",
}
SLOW = {
    "system": "heliograph",
    "signal": "__main__.order_paid",
    "sender": "str",
    "receiver": "__main__.bake",
    "operation": "send_robust",
    "table": 7,
    "event": "signal_receiver_slow",
    "level": "warning",
}


def test_json_lines(start):
    """Without any backend: one object a line on standard output, exactly these fields, those that were bound among them."""
    program = start(PYTHON, EXAMPLES / "json_lines.py")
    stdout, stderr = program.communicate(timeout=60)

    assert (program.returncode, stderr) == (0, "")
    assert [timeless(line) for line in lines(stdout)] == [SLOW, FAILED]


def test_json_lines_name_the_span_they_are_about(run, sink):
    """Under the launcher each line has the ids of the receiver's span, as the backend has it."""
    printed = run(EXAMPLES / "json_lines.py", without="logging,structlog")

    assert [timeless(line) for line in lines(printed)] == [
        {**SLOW, **ids_of(sink, "handle __main__.bake")},
        {**FAILED, **ids_of(sink, "handle __main__.print_receipt")},
    ]


@pytest.fixture
def paid_in_django(start, sink):
    """What the Django shop printed while one order was paid, over HTTP, under the launcher."""

    def pay(**variables: str) -> list[dict[str, Any]]:
        settings = {**TELEMETRY, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "DJANGO_SETTINGS_MODULE": "shop.settings"}
        path = {"PYTHONPATH": f"{EXAMPLES}:{ROOT / 'src'}", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": BY_LOGGING}
        program = start(INSTRUMENT, PYTHON, "-c", SERVE, "1", **settings, **path, **variables)
        port = int(program.stdout.readline())
        with urlopen(f"http://127.0.0.1:{port}/pay/1/", timeout=60) as response:
            assert response.read() == b"paid"
        stdout, stderr = program.communicate(timeout=60)
        assert (program.returncode, stderr) == (0, "")
        return lines(stdout)

    return pay


def test_django_structlog_marks_each_line_with_the_request(paid_in_django, sink):
    """What it binds for the request is on heliograph's events too, and Django's own record of the failure is not there."""
    printed = paid_in_django()

    [request_id] = {line["request_id"] for line in printed}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request_id)
    assert [(line["logger"], line["level"], line["event"]) for line in printed] == [
        ("django_structlog.middlewares.request", "info", "request_started"),
        ("heliograph", "warning", "signal_receiver_slow"),
        ("heliograph", "error", "signal_receiver_failed"),
        ("django_structlog.middlewares.request", "info", "request_finished"),
    ]
    common = {"system": "django", "signal": "shop.urls.order_paid", "sender": None, "operation": "send_robust"}
    assert [timeless(line) for line in printed[1:3]] == [
        {
            **common,
            "receiver": "shop.urls.bake",
            "event": "signal_receiver_slow",
            "level": "warning",
            "logger": "heliograph",
            "request_id": request_id,
            "ip": "127.0.0.1",
            **ids_of(sink, "handle shop.urls.bake"),
        },
        {
            **common,
            "receiver": "shop.urls.print_receipt",
            "error_type": "ConnectionError",
            "event": "signal_receiver_failed",
            "level": "error",
            "logger": "heliograph",
            "request_id": request_id,
            "ip": "127.0.0.1",
            **ids_of(sink, "handle shop.urls.print_receipt"),
        },
    ]


def kinds(sink: OtlpSink) -> Counter[str]:
    """Return how often a failure has arrived, by the words of docs/logs.md for how it did."""
    events = Counter(f"span event `{event['name']}`" for span in sink.spans for event in span["events"])
    records = Counter(
        f"log event `{record['event_name']}`" if record["event_name"] else f"record `{record['scope']}`"
        for record in sink.logs
        if "exception" in str(record["attributes"])
    )
    return events + records


def documented() -> dict[str, Counter[str]]:
    """Return the table of docs/logs.md: by the variable's value, how often a failure arrives, and how."""
    page = PAGE.read_text(encoding="utf-8")
    head, _, *rows = re.findall(r"^\|.*\|$", page.partition("## What is exported twice")[2], re.MULTILINE)[:5]
    names = [cell.strip() for cell in head.strip("|").split("|")][1:]
    table = {}
    for row in rows:
        value, *counts = [cell.strip() for cell in row.strip("|").split("|")]
        table[value.strip("`")] = +Counter({name: int(count) for name, count in zip(names, counts, strict=True)})
    return table


@pytest.mark.parametrize("value", ["not set", "logs", "logs/dup"])
@pytest.mark.parametrize("without", [BY_LOGGING, pytest.param(BY_STRUCTLOG, marks=with_structlog)])
def test_what_is_exported_twice(tmp_path, run, sink, value, without):
    """With all on, a failure arrives in as many ways as the page says for each value of OpenTelemetry's variable."""
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    variables = {} if value == "not set" else {"OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN": value}
    run(tmp_path / "failing.py", without=without, errors=without == BY_STRUCTLOG, **variables)
    expected = documented()[value]
    if without == BY_STRUCTLOG:  # does not hear of what is logged without structlog
        del expected["record `django.dispatch`"]

    assert kinds(sink) == expected


@with_structlog
def test_two_instrumentations_export_each_line_twice(tmp_path, run, sink):
    """Where structlog goes through logging, one for each is one too many: the page says to switch one off."""
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    run(tmp_path / "failing.py", without="none")

    assert kinds(sink)["record `heliograph`"] == 2


def exported_once(sink: OtlpSink, receiver: str, system: str) -> None:
    """Assert that a failure has arrived once: as OpenTelemetry's event of the receiver's span, with these fields."""
    assert kinds(sink) == {"log event `heliograph.receiver.exception`": 1}
    [event] = [record for record in sink.logs if record["event_name"]]
    stacktrace = event["attributes"].pop("exception.stacktrace")
    assert stacktrace.startswith("Traceback (most recent call last):\n")
    assert event == {
        "scope": "heliograph",
        "event_name": "heliograph.receiver.exception",
        "severity": "ERROR",
        "body": None,
        **ids_of(sink, f"handle {receiver}"),
        "attributes": {
            "heliograph.system.name": system,
            "heliograph.signal.name": f"{receiver.rpartition('.')[0]}.order_paid",
            "heliograph.operation.name": "send_robust",
            "heliograph.error.policy": "capture",
            "code.function.name": receiver,
            "error.type": "ConnectionError",
            "exception.type": "ConnectionError",
            "exception.message": "the printer is out of paper",
        },
    }


def test_logging_exports_a_failure_once(paid_in_django, sink):
    """With the Django shop's settings: one log event over OTLP, the line on standard output, no event of the span."""
    printed = paid_in_django(OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN="logs")

    exported_once(sink, "shop.urls.print_receipt", "django")
    assert [line["event"] for line in printed if "exception" in line] == ["signal_receiver_failed"]
    assert [record["body"] for record in sink.logs if not record["event_name"]] == [
        "request_started",
        "request_finished",
    ]


@with_structlog
def test_structlog_exports_a_failure_once(run, sink):
    """With the processor of the example: one log event over OTLP, and no event of structlog's or of the span."""
    printed = run(EXAMPLES / "over_otlp.py", without="logging", OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN="logs")

    exported_once(sink, "__main__.print_receipt", "heliograph")
    assert [line["event"] for line in lines(printed)] == ["till_opened"]
    assert [record["body"] for record in sink.logs if not record["event_name"]] == ["till_opened"]


@pytest.mark.parametrize("without", [BY_LOGGING, pytest.param(BY_STRUCTLOG, marks=with_structlog)])
def test_an_exported_record_belongs_to_the_receivers_span(tmp_path, run, sink, without):
    """Though it is written when the receiver has ended: the record's own ids are those of its span, not the sender's."""
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    run(tmp_path / "failing.py", without=without, errors=without == BY_STRUCTLOG)

    [record] = [one for one in sink.logs if one["scope"] == "heliograph"]
    ids = ids_of(sink, "handle __main__.print_receipt")
    assert {name: record[name] for name in ids} == ids
    assert {name: record["attributes"][name] for name in ids} == ids
    assert record["body"] == "signal_receiver_failed"
