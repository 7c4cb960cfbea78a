"""A real crawl of a local site, on each kind of reactor: its signals arrive at a backend, and nothing else changes."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("scrapy")
if not entry_points(group="opentelemetry_instrumentor", name="heliograph"):
    pytest.skip("heliograph is not installed, so it has no entry point", allow_module_level=True)
if not entry_points(group="opentelemetry_configurator"):
    pytest.skip("opentelemetry-distro is not installed: nothing sets a provider up", allow_module_level=True)

from tests.support.otlp import OtlpSink

pytestmark = pytest.mark.end_to_end

PYTHON = Path(sys.executable)
CRAWL = Path(__file__).parent.parent.parent / "examples" / "scrapy_menu" / "crawl.py"
LOG_LINE = re.compile(r"^\S+ \S+ (\[[\w.]+\] [A-Z]+: .*)$", re.MULTILINE)

BOUND_METHOD = "<bound method PriceList.check_response of <price_list.PriceList object at …>>"

# What the site holds, and the spider makes of it: five pages that the menu links to, one of which is not there and one
# without a price; the menu itself; and the dessert that a receiver asks for when there is nothing else to do.
OUTCOME = {
    "prices": {"calzone": "9.20", "margherita": "7.50", "marinara": "6.80", "tiramisu": "4.90"},
    "item_scraped_count": 4,
    "item_dropped_count": 1,
    "response_received_count": 7,
    "log_count/ERROR": 1,
    "finish_reason": "finished",
}
DISPATCHES = {
    "send_catch_log_async engine_started": 1,
    "send_catch_log_async spider_opened": 1,
    "send_catch_log request_scheduled": 7,
    "send_catch_log response_received": 7,
    "send_catch_log_async item_scraped": 4,
    "send_catch_log_async item_dropped": 1,
    "send_catch_log spider_idle": 2,
    "send_catch_log_async spider_closed": 1,
    "send_catch_log_async engine_stopped": 1,
}
RECEIVERS = {
    "begin": 1,
    "check_request": 7,
    "check_response": 7,
    "write_down": 4,
    "note_dropped": 1,
    "ask_for_dessert": 2,
    "publish": 1,
}


@pytest.fixture(scope="module", params=["asyncio", "select"])
def reactor(request):
    """The kind of reactor to crawl on."""
    return request.param


@pytest.fixture(scope="module")
def plain(start, reactor):
    """What the program comes to without heliograph: its output, and what it logs."""
    return finish(start(PYTHON, CRAWL, f"--{reactor}"))


@pytest.fixture(scope="module")
def traced(start, reactor):
    """The same under ``opentelemetry-instrument``, and the spans that have arrived at a backend."""
    variables = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "logging",  # it logs in a way of its own
    }
    with OtlpSink() as sink:
        launcher = PYTHON.parent / "opentelemetry-instrument"
        program = start(launcher, PYTHON, CRAWL, f"--{reactor}", OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, **variables)
        return *finish(program), sink.spans


def finish(program) -> tuple[str, list[str]]:
    """Wait for a program's end; return what it printed and its log lines, without what differs from run to run."""
    stdout, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    return stdout, sorted(re.sub(r"127\.0\.0\.1:\d+|0x[0-9a-f]+", "…", line) for line in LOG_LINE.findall(stderr))


def test_the_crawl_comes_to_the_same(plain, traced):
    """Items, counts and what is logged, with a receiver that fails and one that answers with an exception."""
    assert json.loads(plain[0]) == OUTCOME
    assert traced[0] == plain[0]
    assert traced[1] == plain[1]
    assert [line for line in plain[1] if "ERROR" in line] == [
        f"[scrapy.utils.signal] ERROR: Error caught on signal handler: {BOUND_METHOD}"
    ]


def test_each_dispatch_and_each_receiver_has_its_span(traced):
    """As many as were sent and called; those that nobody hears as well."""
    names = Counter(span["name"] for span in traced[2])
    assert {name: names[name] for name in DISPATCHES} == DISPATCHES
    assert {name: names[f"handle price_list.PriceList.{name}"] for name in RECEIVERS} == RECEIVERS
    assert names["send_catch_log bytes_received"] == 7
    assert {span["attributes"]["heliograph.system.name"] for span in traced[2]} == {"pydispatcher"}
    sent = [span for span in traced[2] if span["name"].startswith("send")]
    assert {span["attributes"]["heliograph.sender.name"] for span in sent} == {"scrapy.crawler.Crawler"}
    assert {span["attributes"]["heliograph.error.policy"] for span in sent} == {"capture"}


def test_each_receiver_is_below_the_dispatch_that_called_it(traced):
    """And what a receiver sends is below the receiver: the request that it has scheduled."""
    spans = {span["span_id"]: span for span in traced[2]}

    def parent(span: dict[str, Any]) -> str:
        return str(spans[span["parent_id"]]["name"]) if span["parent_id"] else ""

    below = {(parent(span), span["name"].rpartition(".")[2]) for span in spans.values() if "PriceList" in span["name"]}
    assert below == {
        ("send_catch_log_async spider_opened", "begin"),
        ("send_catch_log request_scheduled", "check_request"),
        ("send_catch_log response_received", "check_response"),
        ("send_catch_log_async item_scraped", "write_down"),
        ("send_catch_log_async item_dropped", "note_dropped"),
        ("send_catch_log spider_idle", "ask_for_dessert"),
        ("send_catch_log_async spider_closed", "publish"),
    }
    sent = Counter(parent(span) for span in spans.values() if span["name"] == "send_catch_log request_scheduled")
    assert sent == {"": 6, "handle price_list.PriceList.ask_for_dessert": 1}


def test_only_what_failed_is_an_error(traced):
    """The receiver that raised; not the one that answers with ``DontCloseSpider``, nor any dispatch."""
    failed = [span for span in traced[2] if span["status"] != "UNSET"]
    assert [(span["name"], span["status"], span["attributes"]["error.type"]) for span in failed] == [
        ("handle price_list.PriceList.check_response", "ERROR", "LookupError")
    ]
    [event] = failed[0]["events"]
    assert (event["name"], event["attributes"]["exception.message"]) == ("exception", "no such page: status 404")
    counted = [span["name"] for span in traced[2] if "heliograph.dispatch.receiver.failed_count" in span["attributes"]]
    assert counted == ["send_catch_log response_received"]


@pytest.mark.parametrize(("receiver", "waits"), [("write_down", 0.02), ("publish", 0.05)])
def test_a_receiver_ends_when_what_it_returned_does(traced, receiver, waits):
    """A coroutine and a Deferred: the span lasts as long as what the receiver waits for, and so does the dispatch's."""
    spans = {span["span_id"]: span for span in traced[2]}
    calls = [span for span in spans.values() if span["name"].endswith(f"PriceList.{receiver}")]

    assert len(calls) == RECEIVERS[receiver]
    for call in calls:
        dispatch = spans[call["parent_id"]]
        assert call["ended"] - call["started"] > waits * 0.9e9  # nothing about speed: a timer has to fire meanwhile
        assert dispatch["started"] <= call["started"] < call["ended"] <= dispatch["ended"]
