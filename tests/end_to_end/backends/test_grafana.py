"""Each panel of Grafana's dashboards, asked of a Prometheus that has seen days at the pizza shop."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from dashboards.backends.process import wait_for
from dashboards.backends.servers import Prometheus
from dashboards.grafana.answers import Answer, Question, Time, ask, offered, substituted, variables
from dashboards.grafana.generated import FOLDER
from dashboards.grafana.links import OVERVIEW, RECEIVER
from docs.answers import ALL, CHOICES, PAGE, all_questions, filled, line
from tests.dashboards.collectors import SINGLE, Collector
from tests.dashboards.sink import Sink
from tests.end_to_end.backends.reading import exemplars, get, query, search
from tests.end_to_end.backends.shop import CUSTOMERS, SERVICE, running_shop, variables_for
from tests.support import promql

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

SLOW, FAILING = "orders.printer.ReceiptPrinter.print_receipt", "loyalty.receivers.credit_points"
DASHBOARDS: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.iterdir())]
QUESTIONS = all_questions()
each_question = pytest.mark.parametrize(
    "question", QUESTIONS, ids=lambda one: f"{one.dashboard} {one.title} {one.ref_id}"
)


@pytest.fixture(scope="module")
def time(day) -> Time:
    """The time that the dashboards show: the days, and no more. Rates are of 12 s, as if it were scraped every 3 s.

    It is scraped each second; on a busy machine a scrape may be late, and two are needed.
    """
    return Time(day.began, day.ended, interval=3)


@pytest.fixture(scope="module")
def answers(prometheus, time) -> list[Answer]:
    """What Prometheus answers to each question, with everything chosen, and on the other dashboard a receiver that fails."""
    return [ask(prometheus.url, question, CHOICES[question.dashboard], time) for question in QUESTIONS]


@pytest.fixture
def answer(answers):
    """Returns the answer to a panel's query."""

    def answer(title: str, ref_id: str = "A", *, dashboard: str = OVERVIEW) -> Answer:
        wanted = (dashboard, title, ref_id)
        found: Answer
        [found] = [
            one for one in answers if (one.question.dashboard, one.question.title, one.question.ref_id) == wanted
        ]
        return found

    return answer


def labels(answer: Answer, *names: str) -> set[tuple[str, ...]]:
    """Return the labels of those series of an answer that are ever more than zero."""
    return {tuple(one.labels[name] for name in names) for one in answer.series if max(one.values) > 0}


@each_question
def test_a_panel_has_data(answers, question: Question):
    """Its query gives series; all values are numbers, none is negative, and at least one is more than zero."""
    [found] = [one for one in answers if one.question == question]

    assert found.series
    assert all(math.isfinite(value) and value >= 0 for one in found.series for value in one.values)
    assert max(found.series[0].values) > 0


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one["uid"])
def test_the_variables_offer_what_is_there(prometheus, time, dashboard):
    """The service, whose signals, the signals and receivers of the shop."""
    found = {one.name: offered(prometheus.url, one, CHOICES[dashboard["uid"]], time) for one in variables(dashboard)}

    assert found["service"] == [SERVICE]
    assert found["system"] == ["django", "heliograph"]
    assert {"orders.signals.order_paid", "kitchen.signals.pizza_done"} <= set(found["signal"])
    assert {SLOW, FAILING} <= set(found["receiver"])


def test_what_is_offered_is_narrowed_down(prometheus, time):
    """Once heliograph's own signals are chosen, only they are offered, and only their receivers."""
    chosen = {**ALL, "system": "heliograph"}
    found = {one.name: offered(prometheus.url, one, chosen, time) for one in variables(DASHBOARDS[0])}

    assert found["signal"] == ["kitchen.signals.pizza_done"]
    assert found["receiver"] == [
        "kitchen.receivers.Bell.__call__",
        "kitchen.receivers.count_toppings",
        "kitchen.receivers.show_on_display",
    ]


def test_the_slow_receiver_is_seen(answer):
    """The printer takes 0.15 s a receipt at the least: in its mean, in its p95, and in its total time for each call."""
    ranking = [answer("Receivers by total time", ref_id) for ref_id in "ACDE"]
    total, calls, mean, p95 = (value_of(SLOW, one) for one in ranking)

    assert mean >= 0.15
    assert p95 > 0.1  # where its bucket begins
    assert total == pytest.approx(calls * mean)


def value_of(receiver: str, answer: Answer) -> float:
    [found] = [one for one in answer.series if one.labels["code_function_name"] == receiver]
    return found.values[-1]


def test_the_shares_of_all_receivers_are_the_whole(answer):
    """Of the time of all receivers."""
    shares = answer("Receivers by total time", "B")

    assert sum(one.values[0] for one in shares.series) == pytest.approx(1)


def test_failures_are_those_of_the_shop(answer):
    """Loyalty points under send_robust, whom nobody else shows, and what is out of stock."""
    found = labels(answer("Failures by error type"), "error_type", "code_function_name", "job")

    assert found == {
        ("ConnectionError", FAILING, SERVICE),
        ("kitchen.stock.OutOfStockError", "kitchen.receivers.check_stock", SERVICE),
    }


def test_an_error_that_was_handled_is_no_error_of_the_send(answer):
    """``send_robust`` has calls that fail and sends that do not; ``send`` has both."""
    calls = labels(answer("Error ratio of calls by signal"), "heliograph_signal_name")
    sends = labels(answer("Error ratio of sends by signal"), "heliograph_signal_name")

    assert calls == {("orders.signals.order_paid",), ("orders.signals.order_placed",)}
    assert sends == {("orders.signals.order_placed",)}


def test_who_is_heard_by_nobody_is_seen(answer):
    """``table_reserved`` has no receiver; ``order_paid`` has."""
    found = labels(answer("Heard by nobody"), "heliograph_signal_name")

    assert ("orders.signals.table_reserved",) in found
    assert ("orders.signals.order_paid",) not in found


def test_cascades_are_seen_with_their_depth(answer):
    """An order placed saves the customer, whose card is saved by that, which may give a voucher."""
    depths = labels(answer("Nested dispatches by depth"), "heliograph_dispatch_depth")
    deepest = labels(answer("Deepest cascades"), "heliograph_dispatch_depth", "heliograph_signal_name")

    assert depths == {(str(depth),) for depth in range(1, len(depths) + 1)}
    assert ("3", "django.db.models.signals.post_save") in deepest
    assert ("1", "orders.signals.order_placed") not in deepest


def test_what_was_left_out_is_seen_with_its_reason(answer):
    """Restocking saves 150 shelves in one request: 100 of them have spans, of each signal."""
    found = labels(answer("Untraced by signal"), "heliograph_signal_name", "reason")

    assert found == {(f"django.db.models.signals.{name}", "rolled_up") for name in ("pre_save", "post_save")}


def test_a_receiver_is_seen_beside_the_others(answer):
    """On its own page, the other receivers of the signals chosen are still there."""
    found = labels(answer("Time by receiver", dashboard=RECEIVER), "code_function_name")

    assert {(SLOW,), (FAILING,)} <= found


@pytest.mark.parametrize(
    "question", [one for one in QUESTIONS if one.exemplars], ids=lambda one: f"{one.dashboard} {one.title} {one.ref_id}"
)
def test_a_dot_leads_to_a_trace(jaeger, prometheus, time, question: Question):
    """Each exemplar of a panel names a span that Jaeger has: the one measured, or the one around it where it has none."""
    expression = substituted(question.expression, {**CHOICES[question.dashboard], **time.macros})
    found = exemplars(prometheus, expression, began=time.began, ended=time.ended)[:20]

    assert found
    assert [len(spans_of(jaeger, dot)) for dot in found] == [1] * len(found)


def spans_of(jaeger, exemplar) -> list[dict[str, Any]]:
    """Return what Grafana would show when somebody clicks the exemplar: the span with its id, in the trace with its id."""
    [trace] = get(f"{jaeger.url}/api/traces/{exemplar['labels']['trace_id']}")["data"]
    return [span for span in trace["spans"] if span["spanID"] == exemplar["labels"]["span_id"]]


def test_the_dot_of_a_call_is_its_span(jaeger, prometheus, time):
    """The exemplars of the slow receiver lead to its own spans, which took as long as the dots say."""
    expression = f'heliograph_receiver_duration_seconds_bucket{{code_function_name="{SLOW}"}}'
    found = exemplars(prometheus, expression, began=time.began, ended=time.ended)
    spans = [span for dot in found for span in spans_of(jaeger, dot)]

    assert {span["operationName"] for span in spans} == {f"handle {SLOW}"}
    assert [span["duration"] for span in spans] == [pytest.approx(float(dot["value"]) * 1e6, abs=1) for dot in found]


def test_a_click_on_a_failure_finds_its_traces(jaeger, day, answer):
    """What Explore would search for: traces in which the receiver of that curve failed."""
    [panel] = [one for one in DASHBOARDS[0]["panels"] if one["title"] == "Failures by error type"]
    [link] = [one["url"] for one in panel["fieldConfig"]["defaults"]["links"] if one["url"].startswith("/explore")]
    clicked = next(
        one for one in answer("Failures by error type").series if one.labels["code_function_name"] == FAILING
    )
    fields = {f"__field.labels.{name}": value for name, value in clicked.labels.items()}
    address = substituted(link, {**ALL, **fields, "traces": "jaeger", "__from": "0", "__to": "1"})
    [pane] = json.loads(unquote(dict(parse_qsl(urlsplit(address).query))["panes"])).values()
    [asked] = pane["queries"]
    key, _, value = asked["tags"].partition("=")

    found = search(jaeger, asked["service"], operation=asked["operation"], tags=json.dumps({key: value}))

    failed = Counter(
        span["operationName"]
        for trace in found
        for span in trace["spans"]
        if {"key": "error.type", "type": "string", "value": "ConnectionError"} in span["tags"]
    )
    payments = CUSTOMERS * len(day.requests)
    assert (failed, len(found)) == ({f"handle {FAILING}": payments // 2}, payments // 2)  # it fails every other time


@pytest.fixture
def by_collector(tmp_path) -> Iterator[Prometheus]:
    """A Prometheus that hears of a day at the shop from a Collector, and not from Jaeger."""
    prometheus = Prometheus(tmp_path)
    with Sink() as sink, Collector(tmp_path, SINGLE, TRACES_ENDPOINT=sink.url) as collector:
        prometheus.scrape(collector.metrics)
        with prometheus, running_shop(tmp_path, **variables_for(collector.url)) as shop:
            shop.open()
            yield prometheus


def test_the_collector_makes_the_same_series(by_collector):
    """Each series that a panel asks for is there, and has each label that a panel asks of it."""
    asked = [promql.asked(question.expression) for question in QUESTIONS]
    wanted = {f'{name}{{{label}!=""}}' for one in asked for name, labels in one.items() for label in labels}

    def missing() -> list[str]:
        return sorted(one for one in wanted if not query(by_collector, f"count({one})"))

    wait_for(lambda: not missing(), what="every series is there", within=60)
    assert missing() == []
    services = query(by_collector, 'count by (job) ({__name__=~"heliograph_.*|traces_span_metrics_calls_total"})')
    assert list(services) == [(("job", SERVICE),)]


def test_the_answers_can_be_written_down(answers):
    """One line for each question, in docs/grafana.md. ``make answers`` writes them there."""
    page = filled(PAGE.read_text("utf-8"), answers)

    assert [one for one in page.splitlines() if one in set(map(line, answers))] == list(map(line, answers))
    if path := os.environ.get("HELIOGRAPH_ANSWERS"):
        Path(path).write_text(page, "utf-8")
