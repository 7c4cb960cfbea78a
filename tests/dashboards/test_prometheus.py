"""Recording rules and alerts: what they say, when they say it, and that real data reaches them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from benchmarks.page import put_between_markers
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


def real(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that runs the programs."""
    marked: Callable[..., None] = pytest.mark.end_to_end(pytest.mark.backends(test))
    return marked


# -------------------------------------------------------------------------------------------------------- what they say


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield what an expression reads: the name of each metric, and the labels it is chosen by."""
    waiting: list[Any] = [promql_parser.parse(expression)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, promql_parser.VectorSelector):
            yield str(node.name), {matcher.name for matcher in node.matchers.matchers}
        for name in ("expr", "lhs", "rhs", "args", "vector_selector", "param"):
            inner = getattr(node, name, None)
            waiting += inner if isinstance(inner, list) else [inner] if inner is not None else []


def prometheus_name(name: str) -> str:
    return name.replace(".", "_")


def known_metrics() -> set[str]:
    """Return the names that Prometheus has for heliograph's metrics."""
    histograms = (
        f"{semconv.DISPATCH_DURATION}_seconds",
        f"{semconv.RECEIVER_DURATION}_seconds",
        semconv.DISPATCH_RECEIVERS,
    )
    parts = {f"{prometheus_name(one)}_{part}" for one in histograms for part in ("bucket", "sum", "count")}
    return parts | {f"{prometheus_name(semconv.DISPATCH_UNTRACED)}_total"}


def known_labels() -> set[str]:
    names = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    return {prometheus_name(name) for name in names} | {"job", "instance"}


RULES = [*rules_in(RECORDING), *rules_in(ALERTS)]


@pytest.mark.parametrize(
    "rule", RULES, ids=lambda rule: rule.get("record") or f"{rule['alert']} {rule['labels'].get('window', '')}"
)
def test_rules_read_what_there_is(rule):
    """Names of metrics and labels are those of ``semconv``, as Prometheus spells them; or recorded; or the Collector's own."""
    recorded = {one["record"] for one in rules_in(RECORDING)}
    for name, labels in selectors(rule["expr"]):
        assert name in known_metrics() | recorded | {"up"} or name.startswith("otelcol_")
        assert labels <= known_labels()
    grouped = re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"])
    assert {label.strip() for labels in grouped for label in labels.split(",")} <= known_labels()


@pytest.mark.parametrize(
    "alert", rules_in(ALERTS), ids=lambda rule: f"{rule['alert']} {rule['labels'].get('window', '')}"
)
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
    headings = re.findall(
        r"^## (Heliograph\w+)$", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE
    )

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


@real
def test_prometheus_accepts_the_configuration():
    """Read by promtool, with the rules that it names and the targets."""
    said = promtool("check", "config", FOLDER / "prometheus.yml")

    assert f"{len(rules_in(RECORDING))} rules found" in said
    assert f"{len(rules_in(ALERTS))} rules found" in said


@real
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path):
    """Series are played through the rules; what fires, in which words, and what is recorded is what was expected."""
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

    def wait_for_results(self, expression: str, *, about: str = "") -> dict[str, float]:
        """Return what an expression gives as soon as that is anything, *about* something: sums grow while time goes by."""

        def look() -> dict[str, float]:
            found = self.results(expression)
            return found if any(about in labels for labels in found) else {}

        return wait_for(look, what=f"{expression} about {about}", within=60)


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
            open_shop(BUSY, folder, collector, prometheus, days=1)
            past = Past(folder, time.time())
            past.write(growth_of(query(prometheus, COUNTED)))
        with prometheus:
            past.record(prometheus, RECORDING)
        with prometheus:
            open_shop(QUIET, folder, collector, prometheus, days=3, guests=0)
            open_shop(BUSY, folder, collector, prometheus, days=3)
            yield Filled(prometheus)


def open_shop(
    name: str, folder: Path, collector: Collector, prometheus: Prometheus, *, days: int, guests: int = 6
) -> None:
    """Let a shop open in a process of its own, and wait until Prometheus has seen each day before the next one."""
    home = folder / f"{name}-{time.time_ns()}"
    home.mkdir()
    settings = {**variables_for(collector.url), "OTEL_SERVICE_NAME": name, "OTEL_PYTHON_HELIOGRAPH_BUDGET": "10"}
    signal = 'heliograph_signal_name="django.core.signals.request_started"'
    requests = f'sum(heliograph_dispatch_duration_seconds_count{{job="{name}",{signal},instance!="past"}})'
    with running_shop(home, **settings) as shop:
        seen = sum(query(prometheus, requests).values())
        for _ in range(days):
            seen += sum(line.startswith(("GET", "POST")) for line in shop.open(guests))  # logs may be among them
            wait_for(partial(query, prometheus, f"{requests} == {seen}"), what=f"{seen} requests", within=60)


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


@real
@pytest.mark.parametrize("rule", rules_in(RECORDING), ids=lambda rule: rule["record"])
def test_every_recording_rule_has_data_from_the_demo(filled, rule):
    """What is recorded is what its expression gives, for the shop's receivers and signals by name."""
    found = filled.wait_for_results(rule["expr"])

    assert set(filled.results(rule["record"])) == set(found)


@real
def test_failures_of_the_demo_are_known_by_receiver(filled):
    """One receiver fails every other time, another one for a single pizza; all others never."""
    failing = filled.results(f'receiver:heliograph_failures:ratio5m{{job="{BUSY}"}} > 0')
    names = [name for labels in failing for name in re.findall(r"code_function_name=([\w.]+)", labels)]

    assert sorted(names) == ["kitchen.receivers.check_stock", "loyalty.receivers.credit_points"]


@real
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
            assert filled.wait_for_results(rule["expr"], about=about)


PAGE = ROOT / "docs" / "alerts.md"
# Alerts about the Collector: none of this befalls it while the shop is open, so it is asked what they read.
ABOUT_SIGNALS = [
    rule for rule in rules_in(ALERTS) if not rule["alert"].startswith(("HeliographCollector", "HeliographTraces"))
]


def name_of(rule: dict[str, Any]) -> str:
    """Return what the table calls a rule."""
    return f"`{rule['record']}`" if "record" in rule else f"{rule['alert']} {rule['labels'].get('window', '')}".strip()


@real
def test_answers_to_all_rules_can_be_written_down(filled):
    """One line a rule: how many series it gives, and the highest. ``make figures`` puts them into docs/alerts.md."""
    rows = []
    for rule in [*rules_in(RECORDING), *ABOUT_SIGNALS]:
        found = filled.wait_for_results(rule["expr"])
        labels, value = max(found.items(), key=lambda item: item[1])
        shown = ", ".join(f"`{part.partition('=')[2]}`" for part in labels.split(", ") if "=" in part)
        rows.append(f"| {name_of(rule)} | {len(found)} | {value:.3g} | {shown} |")
    text = "\n".join(("| rule | series | highest value | of |", "|---|--:|--:|---|", *rows))
    page = put_between_markers(PAGE.read_text(encoding="utf-8"), text)
    if os.environ.get("HELIOGRAPH_FIGURES"):
        PAGE.write_text(page, encoding="utf-8")

    assert page.count("\n| ") >= len(rows)


def test_the_page_has_an_answer_to_each_rule():
    """In the order of the files, and each with at least one series."""
    lines = PAGE.read_text(encoding="utf-8").partition("<!-- measured: begin -->")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]

    assert [row[0] for row in rows] == [name_of(rule) for rule in [*rules_in(RECORDING), *ABOUT_SIGNALS]]
    assert all(int(row[1]) > 0 for row in rows)


@real
def test_healthy_receivers_and_signals_alert_nobody(filled):
    """Nothing is said of a receiver that neither fails nor takes its time, nor of a signal that is still sent."""
    for rule in rules_in(ALERTS):
        labels = " ".join(filled.results(rule["expr"]))
        assert "take_ingredients" not in labels
        assert "request_started" not in labels


@real
@pytest.mark.parametrize(
    "metric", sorted({name for rule in rules_in(ALERTS) for name, _ in selectors(rule["expr"]) if ":" not in name})
)
def test_what_is_asked_of_the_collector_it_says(filled, metric):
    """Each metric that an alert about the Collector reads is there, under that name."""
    assert filled.results(metric)
