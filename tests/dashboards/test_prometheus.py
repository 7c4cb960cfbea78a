"""Recording rules and alerts: what they say, when they say it, and that real data reaches them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from dashboards.backends.process import wait_for
from dashboards.backends.servers import Prometheus
from heliograph.telemetry import semconv
from tests.dashboards.collectors import SINGLE, Collector
from tests.dashboards.prometheuses import ALERTS, FOLDER, RECORDING, Past, configure, promtool, rules_in
from tests.dashboards.sink import Sink
from tests.end_to_end.backends.reading import query
from tests.end_to_end.backends.shop import running_shop, variables_for

ROOT = FOLDER.parent.parent
UNIT_TESTS = sorted(FOLDER.glob("tests/*.yaml"))

real = [pytest.mark.end_to_end, pytest.mark.backends]


def marked(*marks: pytest.MarkDecorator):
    def mark(test):
        for one in marks:
            test = one(test)
        return test

    return mark


# -------------------------------------------------------------------------------------------------------- what they say


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    """Yield what an expression reads."""
    waiting: list[Any] = [promql_parser.parse(expression)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, promql_parser.VectorSelector):
            yield node
        for name in ("expr", "lhs", "rhs", "args", "vector_selector", "param"):
            inner = getattr(node, name, None)
            waiting += inner if isinstance(inner, list) else [inner] if inner is not None else []


def prometheus_name(name: str) -> str:
    return name.replace(".", "_")


def known_metrics() -> set[str]:
    """Return the names that Prometheus has for heliograph's metrics."""
    histograms = (f"{semconv.DISPATCH_DURATION}_seconds", f"{semconv.RECEIVER_DURATION}_seconds", semconv.DISPATCH_RECEIVERS)
    parts = {f"{prometheus_name(one)}_{part}" for one in histograms for part in ("bucket", "sum", "count")}
    return parts | {f"{prometheus_name(semconv.DISPATCH_UNTRACED)}_total"}


def known_labels() -> set[str]:
    names = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    return {prometheus_name(name) for name in names} | {"job", "instance"}


RULES = [*rules_in(RECORDING), *rules_in(ALERTS)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or f"{rule['alert']} {rule['labels'].get('window', '')}")
def test_rules_read_what_there_is(rule):
    """Names of metrics and labels are those of ``semconv``, as Prometheus spells them; or recorded; or the Collector's own."""
    recorded = {one["record"] for one in rules_in(RECORDING)}
    for selector in selectors(rule["expr"]):
        others = {"up"} if selector.name == "up" else {selector.name} if selector.name.startswith("otelcol_") else set()
        assert selector.name in known_metrics() | recorded | others
        assert {matcher.name for matcher in selector.matchers.matchers} <= known_labels()
    grouped = re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"])
    assert {label.strip() for labels in grouped for label in labels.split(",")} <= known_labels()


@pytest.mark.parametrize("alert", rules_in(ALERTS), ids=lambda rule: f"{rule['alert']} {rule['labels'].get('window', '')}")
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert):
    """Each has a summary, a description, a severity and a link to a heading of its own in docs/alerts.md."""
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in headings


def test_every_runbook_is_for_an_alert():
    """docs/alerts.md has no heading for an alert that does not exist."""
    headings = re.findall(r"^## (Heliograph\w+)$", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert headings == list(dict.fromkeys(rule["alert"] for rule in rules_in(ALERTS)))


def test_what_is_summed_up_is_recorded_every_thirty_seconds():
    """Alerts take a sum of recorded rates times 30 for a count: the rules they read are recorded as often."""
    multiplied = set(re.findall(r"sum_over_time\(([\w:]+)\[[^)]*\) \* 30", ALERTS.read_text(encoding="utf-8")))
    groups = yaml.safe_load(RECORDING.read_text(encoding="utf-8"))["groups"]
    every = {rule["record"]: group["interval"] for group in groups for rule in group["rules"]}

    assert len(multiplied) == 4
    assert {every[name] for name in multiplied} == {"30s"}


def test_each_alert_is_tested_where_it_fires_and_where_it_does_not():
    """The unit tests have both for each alert, and for each of its windows."""
    fires, does_not = set(), set()
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                found = {(case["alertname"], one["exp_labels"].get("window")) for one in case["exp_alerts"]}
                fires |= found
                does_not |= set() if found else {case["alertname"]}

    assert fires == {(rule["alert"], rule["labels"].get("window")) for rule in rules_in(ALERTS)}
    assert does_not == {rule["alert"] for rule in rules_in(ALERTS)}


# ---------------------------------------------------------------------------------------------------- when they say it


@marked(*real)
def test_prometheus_accepts_the_configuration():
    """promtool reads it, the rules it names and the targets."""
    said = promtool("check", "config", FOLDER / "prometheus.yml")

    assert f"{len(rules_in(RECORDING))} rules found" in said
    assert f"{len(rules_in(ALERTS))} rules found" in said


@marked(*real)
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path):
    """promtool plays series through the rules and compares what fires, with what words, and what is recorded."""
    assert "SUCCESS" in promtool("test", "rules", path)


# ------------------------------------------------------------------------------------------------------- and real data


@dataclass(frozen=True)
class Filled:
    """A Prometheus that has been filled by two shops, today and in the past."""

    prometheus: Prometheus

    def results(self, expression: str) -> dict[str, float]:
        """Return what an expression gives, by labels."""
        return {
            ", ".join(f"{name}={value}" for name, value in labels if name != "__name__"): value
            for labels, value in query(self.prometheus, expression).items()
        }


BUSY, QUIET = "pizza-shop", "corner-shop"
COUNTED = (
    '{__name__=~"heliograph_(receiver|dispatch)_duration_seconds_(sum|count)|heliograph_dispatch_untraced_total",'
    f'job="{BUSY}"}}'
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Iterator[Filled]:
    """The busy shop as it is. The quiet one has no guests today; a week ago and yesterday it had the other's.

    In the past receivers took a quarter of the time, and a tenth as many dispatches were rolled up.
    """
    folder: Path = tmp_path_factory.mktemp("prometheus")
    prometheus = Prometheus(folder)
    with Sink() as sink, Collector(folder, SINGLE, TRACES_ENDPOINT=sink.url) as collector:
        configure(prometheus, folder, {"applications": collector.metrics, "collector": collector.telemetry})
        with prometheus:
            open_shops(folder, collector, prometheus)
            past = Past(folder, time.time())
            past.write(growth_of(query(prometheus, COUNTED)))
        with prometheus:
            past.record(prometheus, RECORDING)
        with prometheus:
            open_shops(folder, collector, prometheus)
            yield Filled(prometheus)


def open_shops(folder: Path, collector: Collector, prometheus: Prometheus) -> None:
    """Let both shops open for three days in processes of their own, and wait until Prometheus has seen each day."""
    for name, customers in ((QUIET, 0), (BUSY, 6)):
        home = folder / f"{name}-{time.time_ns()}"
        home.mkdir()
        settings = {**variables_for(collector.url), "OTEL_SERVICE_NAME": name, "OTEL_PYTHON_HELIOGRAPH_BUDGET": "10"}
        requests = f'sum(heliograph_dispatch_duration_seconds_count{{job="{name}",heliograph_signal_name=~".*request_started"}})'
        with running_shop(home, **settings) as shop:
            seen = sum(query(prometheus, requests).values())
            for _ in range(3):
                seen += len(shop.open(customers))
                wait_for(lambda seen=seen: query(prometheus, requests) == {(): seen}, what=f"{seen} requests", within=60)


def growth_of(counted: dict[tuple[tuple[str, str], ...], float]) -> dict[str, float]:
    """Return how much each series of the past grew a minute, in both shops, from what the busy one has counted today."""
    growth = {}
    for pairs, value in counted.items():
        labels = dict(pairs)
        name = labels.pop("__name__")
        factor = 0.25 if name.endswith("_sum") else 0.1 if name.endswith("untraced_total") else 1
        for job in (BUSY, QUIET):
            text = ",".join(f'{key}="{value}"' for key, value in {**labels, "job": job, "instance": "past"}.items())
            growth[f"{name}{{{text}}}"] = value * factor
    return growth


@marked(*real)
@pytest.mark.parametrize("rule", rules_in(RECORDING), ids=lambda rule: rule["record"])
def test_every_recording_rule_has_data_from_the_demo(filled, rule):
    """What is recorded is what its expression gives, for the shop's receivers and signals by name."""
    found = filled.results(rule["expr"])
    print(rule["record"], len(found), sorted(found.items(), key=lambda item: -item[1])[:2])

    assert found
    assert set(filled.results(rule["record"])) == set(found)


@marked(*real)
def test_failures_of_the_demo_are_known_by_receiver(filled):
    """Every other call of one receiver fails, some of another's; all others never."""
    ratios = filled.results("round(receiver:heliograph_failures:ratio1h, 0.1)")
    of = {re.search(r"code_function_name=([\w.]+)", labels)[1]: ratio for labels, ratio in ratios.items() if BUSY in labels}

    assert {name: ratio for name, ratio in of.items() if ratio} == {
        "loyalty.receivers.credit_points": 0.5,
        "kitchen.receivers.check_stock": 0.1,
    }


@marked(*real)
@pytest.mark.parametrize(
    ("alert", "about"),
    [
        ("HeliographReceiverBurnsErrorBudget", "code_function_name=loyalty.receivers.credit_points"),
        ("HeliographReceiverSlowerThanUsual", "code_function_name=orders.printer.ReceiptPrinter.print_receipt"),
        ("HeliographSignalSilent", "heliograph_signal_name=orders.signals.order_paid"),
        ("HeliographUntracedGrowing", "heliograph_signal_name=django.db.models.signals.post_save"),
    ],
)
def test_every_alert_about_signals_finds_it_in_the_demo(filled, alert, about):
    """The failing receiver, the one that has become slow, the signal that nobody sends any more, the loop."""
    for rule in rules_in(ALERTS):
        if rule["alert"] == alert:
            found = filled.results(rule["expr"])
            print(alert, rule["labels"], found)
            assert [labels for labels in found if about in labels]


@marked(*real)
def test_healthy_receivers_and_signals_alert_nobody(filled):
    """Nothing is said of a receiver that neither fails nor takes its time, nor of a signal that is still sent."""
    for rule in rules_in(ALERTS):
        labels = " ".join(filled.results(rule["expr"]))
        assert "take_ingredients" not in labels
        assert "request_started" not in labels


@marked(*real)
@pytest.mark.parametrize(
    "metric", sorted({one.name for rule in rules_in(ALERTS) for one in selectors(rule["expr"]) if ":" not in one.name})
)
def test_what_is_asked_of_the_collector_it_says(filled, metric):
    """Each metric that an alert about the Collector reads is there, under that name."""
    found = filled.results(metric)
    print(metric, found)

    assert found
