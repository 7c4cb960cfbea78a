"""A bakery's web shop, a plain Flask application: a morning of it under ``heliograph run``, and served by Flask's own server."""

from __future__ import annotations

import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.otlp import OtlpSink

flask = pytest.importorskip("flask", reason="Flask is not installed")
pytestmark = pytest.mark.end_to_end

PYTHON = Path(sys.executable)
EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_bakery"
MORNING = """\
200 GET /
200 POST /bake/harbour/rye
200 POST /order/harbour/rye
200 POST /order/market/bagel
200 POST /order/market/bagel
200 POST /coupon/SUMMER
500 POST /coupon/SPRING
"""


def test_a_morning_is_the_same_with_and_without_heliograph(start):
    """The program's output and exit code are its own; the report comes after it, with each signal by its name."""
    plain = start(PYTHON, EXAMPLE / "morning.py")
    watched = start(PYTHON, "-m", "heliograph", "run", EXAMPLE / "morning.py")
    stdout, stderr = plain.communicate(timeout=60)
    assert (plain.returncode, stdout, stderr) == (0, MORNING, "")
    stdout, stderr = watched.communicate(timeout=60)
    assert (watched.returncode, stdout) == (0, MORNING)

    assert re.search(r"\b7 requests · 52 dispatches · 20 receiver calls · 1 failed\b", stderr), stderr
    for line in (
        r"order-placed  Branch  ×2",
        r"bread-baked  Branch  send_async",
        r"bakery\.receivers\.ring_bell  async",
        r"bakery\.receivers\.print_label  ×2  SLOW",
        r"✗ FAILED ×?1? ?bakery\.receivers\.ExpiredCouponError  bakery/receivers\.py:\d+",
        r"bakery\.receivers\.Tally\.count_visitor  request-started  ×7",
        r"bakery\.signals\.flour-low +1 +1",
    ):
        assert re.search(line, stderr), (line, stderr)


def test_the_page_shows_what_a_morning_says(start):
    """The report in the documentation has the lines of a fresh one; times differ, and so does the order of receivers."""
    watched = start(PYTHON, "-m", "heliograph", "run", EXAMPLE / "morning.py")
    _, stderr = watched.communicate(timeout=60)
    page = (EXAMPLE.parents[1] / "docs" / "blinker.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n")[2].partition("```")[0]

    def names(text: str) -> Counter[str]:
        return Counter(re.findall(r"(?:├─|└─) (\S+)", text))

    assert names(shown) == names(stderr)
    assert names(shown).total() == 30


@pytest.fixture(scope="module")
def served(start) -> list[dict[str, Any]]:
    """The spans of four requests to Flask's server, started with ``opentelemetry-instrument`` and stopped with Ctrl+C."""
    with OtlpSink() as sink:
        server = start(
            *(PYTHON.parent / "opentelemetry-instrument", PYTHON, "-m", "flask"),
            *("--app", "bakery:create_app", "run", "--port", "0"),
            PYTHONPATH=EXAMPLE,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="logging",  # with it, the server does not say where it listens
        )
        address = _address(server.stderr)
        for method, path, status in (
            ("POST", "/order/harbour/rye", 200),
            ("POST", "/bake/market/rye", 200),
            ("POST", "/coupon/SPRING", 500),
            ("GET", "/", 200),
        ):
            assert _status(Request(address + path, method=method)) == status
        server.send_signal(signal.SIGINT)
        _, stderr = server.communicate(timeout=60)
        assert server.returncode == 0, stderr
    return sink.spans


def _address(lines: Iterator[str]) -> str:
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
            return found[1]
    pytest.fail("the server did not start:\n" + "".join(seen))


def _status(request: Request) -> int:
    try:
        with urlopen(request, timeout=60) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def below(spans: list[dict[str, Any]], name: str) -> dict[str, list[str]]:
    """The spans under the only one of that name, each with the names under it; in no order, for blinker promises none."""
    [parent] = [span for span in spans if span["name"] == name]
    children = [span for span in spans if span["parent_id"] == parent["span_id"]]
    return {
        child["name"]: sorted(span["name"] for span in spans if span["parent_id"] == child["span_id"])
        for child in children
    }


def test_signals_sent_in_a_view_are_below_the_request(served):
    """With OpenTelemetry's own instrumentation of Flask: its span of the request is their parent."""
    assert below(served, "POST /order/<branch>/<bread>") == {
        "send order-placed": [
            "handle bakery.receivers.print_label",
            "handle bakery.receivers.tell_skipper",
            "handle bakery.receivers.weigh_flour",
        ],
    }
    assert below(served, "GET /") == {
        "send template-rendered": ["handle bakery.receivers.Tally.note_page"],
    }


def test_signals_awaited_in_an_async_view_are_below_the_request(served):
    """Plain and async receivers alike, wherever they run."""
    assert below(served, "POST /bake/<branch>/<bread>") == {
        "send_async bread-baked": ["handle bakery.receivers.fill_shelf", "handle bakery.receivers.ring_bell"],
    }


def test_a_receiver_that_fails_is_below_the_request_that_failed(served):
    """Its span says why; Flask tells of the exception by a signal of its own, within the same request."""
    assert below(served, "POST /coupon/<code>") == {
        "send coupon-used": ["handle bakery.receivers.check_coupon"],
        "send got-request-exception": ["handle bakery.receivers.write_complaint"],
    }
    [failed] = [span for span in served if span["name"] == "handle bakery.receivers.check_coupon"]
    assert failed["status"] == "ERROR"
    assert failed["attributes"]["error.type"] == "bakery.receivers.ExpiredCouponError"
    assert [event["name"] for event in failed["events"]] == ["exception"]


def test_signals_before_and_after_the_requests_span_are_traced_on_their_own_if_heard(served):
    """Flask sends some before OpenTelemetry has begun that span, and some after it has ended it."""
    roots = Counter(span["name"] for span in served if not span["parent_id"] and span["scope"] == "heliograph")

    assert roots == {"send request-started": 4}


def test_each_of_flasks_own_signals_is_traced(instrument, spans):
    """All ten, by the names that Flask gave them, with the application's class as the sender."""
    instrument("blinker")
    heard: list[str] = []
    app = flask.Flask(__name__)
    app.secret_key = "only for tests"

    @app.get("/<what>")
    def view(what: str) -> Any:
        flask.flash(what)
        if what == "trouble":
            raise LookupError(what)
        return flask.render_template_string("{{ what }}", what=what)

    def listening(name: str) -> Callable[..., None]:
        return lambda sender, **_: heard.append(name)

    listeners = {}
    for name, one in vars(flask.signals).items():
        if hasattr(one, "receivers"):
            listeners[name] = one, one.connect(listening(name))
    try:
        client = app.test_client()
        assert client.get("/bread").text == "bread"
        app.logger.disabled = True
        assert client.get("/trouble").status_code == 500
    finally:
        for one, listener in listeners.values():
            one.disconnect(listener)

    sent = Counter(
        (span.name, span.attributes["heliograph.signal.name"], span.attributes["heliograph.sender.name"])
        for span in spans.finished
        if span.name.startswith("send ")
    )
    assert sent == {
        (f"send {name.replace('_', '-')}", f"flask.signals.{name.replace('_', '-')}", "flask.app.Flask"): count
        for name, count in Counter(heard).items()
    }
    assert len(sent) == len(listeners) == 10
    assert spans.counts()["handle <lambda>"] == len(heard)
