"""Names are the same everywhere: in the code, the model of semantic conventions, the docs, dashboards and rules."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from opentelemetry.sdk.metrics.export import Histogram, Sum
from opentelemetry.sdk.trace import ReadableSpan

import heliograph
from docs import names as page
from heliograph.adapters import all_adapters
from heliograph.config import EXTRA_ATTRIBUTES
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Mode
from heliograph.telemetry import semconv
from tests.support import promql
from tests.support.conventions import attributes_of, described, group, groups, referred, series_labels
from tests.support.conventions import metrics as metrics_of_model
from tests.support.spelled import NAMES, unknown_names

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = sorted(
    path for kind in ("yaml", "yml", "json", "html") for path in ROOT.glob(f"dashboards/**/*.{kind}")
)
TEXTS = sorted(
    [*ROOT.glob("docs/*.md"), *ROOT.glob("dashboards/**/*.py"), *ROOT.glob("dashboards/**/*.md"), ROOT / "README.md"]
)
RULES = sorted(
    path
    for path in CONFIGURATIONS
    if path.parent.name == "prometheus" and "groups" in yaml.safe_load(path.read_text("utf-8"))
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --------------------------------------------------------------------------------------------------- code and the model


def test_the_model_has_each_name_of_the_code_and_no_other():
    """Attributes, metrics and the event are those of ``telemetry/semconv.py``; what is not described here is OpenTelemetry's."""
    attributes = NAMES - set(metrics_of_model()) - {semconv.EXCEPTION_EVENT}

    assert set(metrics_of_model()) == {
        semconv.DISPATCH_DURATION,
        semconv.RECEIVER_DURATION,
        semconv.DISPATCH_RECEIVERS,
        semconv.DISPATCH_UNTRACED,
    }
    assert group("event.heliograph.receiver.exception")["name"] == semconv.EXCEPTION_EVENT
    assert referred() == attributes | {semconv.UNTRACED_REASON}
    assert set(described()) == {name for name in attributes if name.startswith("heliograph.")} | {
        semconv.UNTRACED_REASON
    }


def test_the_model_has_the_form_of_semantic_conventions():
    """Groups are named for what they describe, stable or not, in words; each attribute says what it is once."""
    kinds = {"attribute_group": "registry", "span": "span", "metric": "metric", "event": "event"}
    told = [one for one in groups() if one["type"] != "attribute_group"]
    in_words = [one.get("id") or one["ref"] for each in groups() for one in each["attributes"] if "brief" in one]
    levels = [one["requirement_level"] for each in told for one in each["attributes"]]

    assert [one["id"].partition(".")[0] for one in groups()] == [kinds[one["type"]] for one in groups()]
    assert [one["id"] for one in told if one["type"] == "metric"] == [f"metric.{name}" for name in metrics_of_model()]
    assert {one["stability"] for one in told} == {"development"}
    assert all(one["brief"] for one in groups())
    assert sorted(in_words) == sorted(referred())
    assert {level if isinstance(level, str) else "".join(level) for level in levels} == {
        "required",
        "conditionally_required",
        "opt_in",
    }


def test_what_is_left_out_by_default_is_opt_in():
    """The settings and the model speak of the same attributes."""
    opt_in = {
        name for one in groups() if one["id"] != "registry.heliograph" for name in attributes_of(one["id"], "opt_in")
    }

    assert opt_in == set(EXTRA_ATTRIBUTES)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (semconv.SYSTEM_NAME, {"heliograph", *(adapter.library for adapter in all_adapters())}),
        (semconv.ERROR_POLICY, {PROPAGATE.name, CAPTURE.name}),
        (semconv.RECEIVER_MODE, {mode.value for mode in Mode}),
        (semconv.UNTRACED_REASON, {semconv.FILTERED, semconv.BUDGET, semconv.ROLLED_UP}),
    ],
)
def test_the_model_has_each_value(name, values):
    """Of an attribute that has few, as the code has them."""
    members = described()[name]["type"]["members"]

    assert {member["value"] for member in members} == values
    assert len(members) == len(values)


# ---------------------------------------------------------------------------------------------- telemetry and the model


class Shop:
    """A sender."""


@pytest.fixture
def told(instrument, monkeypatch, spans, metrics, otel_logs) -> Told:
    """What is said of sends in which every attribute has its turn, with all that is left out by default."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup")
    instrument("heliograph", budget=1, extra_attributes=EXTRA_ATTRIBUTES)
    with spans.tracer.start_as_current_span("request"):
        send_in_all_ways()
    return Told(spans.finished, metrics.all(), otel_logs.records)


class Told(NamedTuple):
    """Telemetry of sends."""

    spans: list[ReadableSpan]
    metrics: dict[str, Any]
    events: list[Any]


def send_in_all_ways() -> None:
    """Send a signal so that a receiver sends another, one fails, one never runs and one is async; then many alike."""
    paid, counted = heliograph.Signal(name="shop.paid"), heliograph.Signal(name="shop.counted")

    async def listen(**_: object) -> None: ...

    def count(**payload: object) -> None:
        for _ in range(3):
            counted.send_robust(sender=Shop, amount=1)

    def fail(**_: object) -> None:
        raise LookupError("no such order")

    for receiver in (count, fail, listen):
        paid.connect(receiver, weak=False, dispatch_uid=receiver.__name__)
    counted.connect(fail, weak=False)
    with pytest.raises(LookupError):
        paid.send(sender=Shop, amount=1)
    asyncio.run(paid.asend_robust(sender=Shop, amount=1))


def check(identifier: str, *told: Mapping[str, Any]) -> None:
    """Check that all that was told of one kind has what the model requires, and that nothing in the model is missing."""
    assert told
    for attributes in told:
        assert attributes_of(identifier, "required") <= set(attributes) <= attributes_of(identifier)
    assert {name for attributes in told for name in attributes} == attributes_of(identifier)


def test_spans_have_the_attributes_of_the_model(told):
    """Each has those that are required and none that the model does not know; among all, each is seen."""
    ours = [span for span in told.spans if span.name != "request"]
    rolled_up = [span.attributes for span in ours if semconv.ROLLED_UP_COUNT in span.attributes]
    receivers = [span.attributes for span in ours if span.name.startswith("handle ")]

    check("span.heliograph.roll_up", *rolled_up)
    check("span.heliograph.receiver", *receivers)
    check(
        "span.heliograph.dispatch", *(span.attributes for span in ours if span.attributes not in rolled_up + receivers)
    )


@pytest.mark.parametrize("name", metrics_of_model())
def test_metrics_have_the_attributes_of_the_model(told, name):
    """Each measurement has those that are required and none that the model does not know; among all, each is seen."""
    check(f"metric.{name}", *(point.attributes for point in told.metrics[name].data.data_points))


def test_metrics_are_made_as_the_model_says(told):
    """Name, unit, kind and description, as the SDK has them."""
    kinds = {Histogram: "histogram", Sum: "counter"}
    made = {name: (kinds[type(one.data)], one.unit, one.description) for name, one in told.metrics.items()}

    assert made == {name: (one["instrument"], one["unit"], one["brief"]) for name, one in metrics_of_model().items()}


def test_events_have_the_attributes_of_the_model(told):
    """Of an exception that became an event of its own."""
    assert {event.event_name for event in told.events} == {group("event.heliograph.receiver.exception")["name"]}
    check("event.heliograph.receiver.exception", *(event.attributes for event in told.events))


# ------------------------------------------------------------------------------------------------- texts and the model


def test_the_tables_are_current():
    """Those in docs/names.md are what the model makes; `make dashboards` writes them anew."""
    text = page.PAGE.read_text("utf-8")

    assert page.filled(text) == text


def test_a_table_that_is_not_there_is_an_error():
    """A mark that was removed would leave a table behind that nobody makes anew."""
    with pytest.raises(ValueError, match=r"^there must be one <!-- table: metrics --> with an <!-- end of table -->$"):
        page.filled(page.PAGE.read_text("utf-8").replace("<!-- table: metrics -->", ""))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=relative)
def test_a_configuration_names_what_exists(path):
    """Collector, Jaeger, Prometheus, Grafana: each name of ours in them is one of the code, or what Prometheus makes of it."""
    assert unknown_names(path.read_text("utf-8"), only_telemetry=True) == []


WITH_NAMES = [path for path in CONFIGURATIONS if any(name in path.read_text("utf-8") for name in NAMES)]


@pytest.mark.parametrize("path", WITH_NAMES, ids=relative)
def test_a_name_that_is_misspelled_in_a_real_file_is_found(path):
    """Planted in each configuration that has a name of ours, wherever it stands there."""
    text = path.read_text("utf-8")
    name = max((name for name in NAMES if name in text), key=len)

    assert f"{name}z" in unknown_names(text.replace(name, f"{name}z"), only_telemetry=True)


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_a_text_names_what_exists(path):
    """So does each page of the docs and each program that makes a dashboard; a dotted name may be one of the package, too."""
    assert unknown_names(path.read_text("utf-8"), only_telemetry=False) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("- name: heliograph.dispatch.dept", ["heliograph.dispatch.dept"]),
        ("- name: heliograph.dispatch.depth", []),
        ('"topTagPrefixes": ["heliograph.dispatch.receiver."]', []),
        ('"topTagPrefixes": ["heliograph.dispatch.receivers."]', ["heliograph.dispatch.receivers."]),
        ("- name: heliograph.dispatch.signal", ["heliograph.dispatch.signal"]),  # a module, and no attribute
        ('attributes["heliograph.receiver.skipped"] != nil', ["heliograph.receiver.skipped"]),
        ('attributes["code.functions.name"] != nil', ["code.functions.name"]),
        ('{"key": "error.kind", "label": "Kind"}', ["error.kind"]),
        ("/search?tags=%7B%22heliograph.signal.nam%22%3A%22x%22%7D", ["heliograph.signal.nam"]),
        ("/search?tags=%7B%22heliograph.signal.name%22%3A%22x%22%7D", []),
        ("<a href='/search?tags=%7B%26quot;heliograph.error.polici%22'>", ["heliograph.error.polici"]),
        ("<td>{&quot;heliograph.error.policy&quot;: 1}</td>", []),
        ("expr: rate(heliograph_receiver_duration_bucket[5m])", ["heliograph_receiver_duration_bucket"]),
        ("expr: rate(heliograph_receiver_duration_seconds_bucket[5m])", []),
        ("{{ $labels.heliograph_signal }}", []),  # after a dot it is a template's; rules are read below
        ("record: receiver:heliograph_failures:rate5m", []),
        ("path: /etc/grafana/heliograph.yaml", []),
    ],
)
def test_a_wrong_name_in_a_configuration_is_found(text, wrong):
    """Planted: a slip of the pen, a module's name, an attribute of nobody, in YAML, in JSON, in a link, in a query."""
    assert unknown_names(text, only_telemetry=True) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`heliograph.dispatch.untraced` counts them.", []),
        ("`heliograph.dispatches.untraced` counts them.", ["heliograph.dispatches.untraced"]),
        ("heliograph.instrument() and heliograph.telemetry.otlp.SpanExporter", []),
        ("heliograph.instrumented()", ["heliograph.instrumented"]),
        ("the label `heliograph_system`", ["heliograph_system"]),
        ("`OTEL_TRACES_EXPORTER=heliograph_otlp`", []),
    ],
)
def test_a_wrong_name_in_a_text_is_found(text, wrong):
    """Planted among names of the package, which are right where they exist."""
    assert unknown_names(text, only_telemetry=False) == wrong


# ------------------------------------------------------------------------------------------------- rules and the model


def expressions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the expression of each rule in a file."""
    for one in yaml.safe_load(path.read_text("utf-8"))["groups"]:
        for rule in one["rules"]:
            yield rule.get("record") or rule["alert"], rule["expr"]


EXPRESSIONS = [(name, expression) for path in RULES for name, expression in expressions(path)]


def test_there_are_rules():
    """For recording and for alerts: what follows is about something."""
    assert [relative(path) for path in RULES] == [
        "dashboards/prometheus/alerts.yaml",
        "dashboards/prometheus/recording.yaml",
    ]


@pytest.mark.parametrize(
    ("name", "expression"), EXPRESSIONS, ids=[f"{name} {n}" for n, (name, _) in enumerate(EXPRESSIONS)]
)
def test_a_rule_asks_for_what_exists(name, expression):
    """Series of ours with the labels they have, and what other rules record."""
    assert wrong_in_rule(expression) == []


def wrong_in_rule(expression: str) -> list[str]:
    recorded = {name for name, _ in EXPRESSIONS if ":" in name}
    asked = promql.asked(expression)
    ours = {name for name in asked if name.startswith("heliograph_")}
    return [
        *(name for name in asked if ":" in name and name not in recorded),
        *(
            name
            for name in promql.unknown(
                expression, {**series_labels(), **{one: asked[one] for one in asked if one not in ours}}
            )
        ),
    ]


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("receiver:heliograph_failures:ratio7m > 1", ["receiver:heliograph_failures:ratio7m"]),
        (
            "sum by (code_function_name) (rate(heliograph_dispatch_untraced_total[5m]))",
            ["heliograph_dispatch_untraced_total{code_function_name}"],
        ),
        ("rate(heliograph_receivers_duration_seconds_sum[5m])", ["heliograph_receivers_duration_seconds_sum"]),
        ("up == 0", []),
    ],
)
def test_a_wrong_name_in_a_rule_is_found(expression, wrong):
    """Planted: what nobody records, a label of another metric, a metric that nobody makes."""
    assert wrong_in_rule(expression) == wrong


LABELS_IN_TEXT = re.compile(r"\$labels\.(\w+)")


@pytest.mark.parametrize("path", RULES, ids=relative)
def test_what_an_alert_says_has_the_labels_that_exist(path):
    """A template with a wrong label says nothing in its place."""
    known = {label for labels in series_labels().values() for label in labels} | {"exporter"}

    assert set(LABELS_IN_TEXT.findall(path.read_text("utf-8"))) <= known
