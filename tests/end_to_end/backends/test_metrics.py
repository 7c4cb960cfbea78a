"""Metrics of the pizza shop's days: from heliograph, from Jaeger's span metrics, and in Jaeger's Monitor tab."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import yaml

from dashboards.backends.process import wait_for
from dashboards.backends.servers import JAEGER_CONFIGURATION, Jaeger, Prometheus
from heliograph.telemetry import semconv
from tests.end_to_end.backends.reading import exemplars, get, query
from tests.end_to_end.backends.shop import CUSTOMERS, DAYS, SERVICE, Day
from tests.end_to_end.backends.wire import WireSpan

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

PRINT_RECEIPT = "handle orders.printer.ReceiptPrinter.print_receipt"
CREDIT_POINTS = "handle loyalty.receivers.credit_points"
PAID = CUSTOMERS * DAYS
OF_PRINT_RECEIPT = 'code_function_name="orders.printer.ReceiptPrinter.print_receipt"'
OF_CREDIT_POINTS = 'code_function_name="loyalty.receivers.credit_points"'


def monitor(jaeger: Jaeger, kind: str, **parameters: Any) -> dict[str, list[float]]:
    """Return what the Monitor tab draws for each operation, without the gaps.

    Args:
        jaeger: Who is asked.
        kind: ``calls``, ``errors`` or ``latencies``.
        parameters: More of the query.
    """
    answer = get(
        f"{jaeger.url}/api/metrics/{kind}",
        service=SERVICE,
        spanKind="internal",
        groupByOperation="true",
        lookback=600_000,
        step=1_000,
        ratePer=60_000,
        **parameters,
    )
    return {_operation(metric): _values(metric) for metric in answer["metrics"]}


def _operation(metric: dict[str, Any]) -> str:
    [operation] = [label["value"] for label in metric["labels"] if label["name"] == "operation"]
    return str(operation)


def _values(metric: dict[str, Any]) -> list[float]:
    """Return the numbers: a gap is a text in JSON, or nothing."""
    values = [point["gaugeValue"].get("doubleValue", "NaN") for point in metric["metricPoints"]]
    return [value for value in map(float, values) if not math.isnan(value)]


def sent(day: Day, name: str) -> list[WireSpan]:
    """Return the spans with this name that were sent."""
    return [span for span in day.sent if span.name == name]


def test_the_monitor_tab_knows_how_slow_a_receiver_is(day: Day, jaeger: Jaeger):
    """All receipts took between 100 and 250 ms, so 95 % of them took at most 242.5 ms as buckets have it."""
    slow = wait_for(
        lambda: monitor(jaeger, "latencies", quantile=0.95).get(PRINT_RECEIPT, []),
        what="the Monitor tab has latencies",
        within=30,
    )

    assert {100 < (span.ended - span.began) / 1e6 <= 250 for span in sent(day, PRINT_RECEIPT)} == {True}
    assert {round(value, 6) for value in slow} == {100 + 0.95 * 150}


def test_the_monitor_tab_knows_how_often_a_receiver_fails(day: Day, jaeger: Jaeger):
    """Points are lost in a share of payments; receipts never are; both are called at one rate."""
    errors, calls = monitor(jaeger, "errors"), monitor(jaeger, "calls")

    assert 0 < errors[CREDIT_POINTS][-1] < 1
    assert set(errors.get(PRINT_RECEIPT, [0.0])) == {0.0}
    assert calls[CREDIT_POINTS][-1] > 0
    assert calls[PRINT_RECEIPT][-1] > 0


def test_the_monitor_tab_lists_each_receiver_and_each_dispatch(day: Day, jaeger: Jaeger):
    """Every operation that was sent with kind INTERNAL is there to be chosen, and no other."""
    assert set(monitor(jaeger, "calls")) == {span.name for span in day.sent if span.kind == "INTERNAL"}


def test_span_metrics_count_each_span(day: Day, prometheus: Prometheus):
    """By signal, receiver and status, the counts are those of the spans that were sent."""
    by = "by (heliograph_signal_name, code_function_name, status_code)"
    counted = query(prometheus, f'sum {by} (traces_span_metrics_calls_total{{span_kind="SPAN_KIND_INTERNAL"}})')
    expected: dict[tuple[tuple[str, str], ...], float] = {}
    for span in day.sent:
        if span.kind == "INTERNAL":
            labels = {
                "code_function_name": span.attributes.get(semconv.FUNCTION_NAME, ""),
                "heliograph_signal_name": span.attributes[semconv.SIGNAL_NAME],
                "status_code": f"STATUS_CODE_{span.status}",
            }
            key = tuple(sorted((name, value) for name, value in labels.items() if value))
            expected[key] = expected.get(key, 0.0) + 1

    assert counted == expected


def test_heliograph_counts_what_its_spans_show(day: Day, prometheus: Prometheus):
    """The metric of receivers has the calls and the errors that the spans have."""
    calls = f"sum by (error_type) ({prometheus_name(semconv.RECEIVER_DURATION)}_seconds_count{{%s}})"

    assert query(prometheus, calls % OF_PRINT_RECEIPT) == {(): PAID}
    assert query(prometheus, calls % OF_CREDIT_POINTS) == {
        (): PAID / 2,
        (("error_type", "ConnectionError"),): PAID / 2,
    }


def prometheus_name(name: str) -> str:
    """Return what Prometheus calls what has this name in OpenTelemetry."""
    return name.replace(".", "_")


def test_exemplars_lead_to_the_receivers_span(day: Day, prometheus: Prometheus):
    """Each exemplar of heliograph's histogram is a span that was sent, to the nanosecond as long as the exemplar says."""
    metric = f"{prometheus_name(semconv.RECEIVER_DURATION)}_seconds_bucket"
    found = exemplars(prometheus, f"{metric}{{{OF_PRINT_RECEIPT}}}", began=day.began, ended=day.ended)
    durations = {(span.trace_id, span.span_id): span.ended - span.began for span in sent(day, PRINT_RECEIPT)}

    assert found
    for exemplar in found:
        span = (exemplar["labels"]["trace_id"], exemplar["labels"]["span_id"])
        assert round(float(exemplar["value"]) * 1e9) == durations[span]


def test_exemplars_of_span_metrics_lead_to_the_receivers_span(day: Day, prometheus: Prometheus):
    """Those that Jaeger makes of spans are spans that were sent, too."""
    metric = "traces_span_metrics_duration_milliseconds_bucket"
    found = exemplars(prometheus, f"{metric}{{{OF_PRINT_RECEIPT}}}", began=day.began, ended=day.ended)
    durations = {(span.trace_id, span.span_id): span.ended - span.began for span in sent(day, PRINT_RECEIPT)}

    assert found
    for exemplar in found:
        span = (exemplar["labels"]["trace_id"], exemplar["labels"]["span_id"])
        assert round(float(exemplar["value"]) * 1e6) == durations[span]


def test_what_was_not_traced_is_counted(day: Day, prometheus: Prometheus):
    """The counter has as many dispatches, by signal, as the spans of roll-ups say they stand for."""
    counted = (
        f'sum by (heliograph_signal_name) ({prometheus_name(semconv.DISPATCH_UNTRACED)}_total{{reason="rolled_up"}})'
    )
    expected: dict[tuple[tuple[str, str], ...], float] = {}
    for span in day.sent:
        if semconv.ROLLED_UP_COUNT in span.attributes:
            key = (("heliograph_signal_name", span.attributes[semconv.SIGNAL_NAME]),)
            expected[key] = expected.get(key, 0.0) + span.attributes[semconv.ROLLED_UP_COUNT]

    assert list(expected.values()) == [50 * DAYS] * 2  # of 150 shelves, before each save and after it
    assert query(prometheus, counted) == expected


def test_span_metrics_have_heliographs_buckets():
    """Jaeger's configuration cuts time where heliograph does, and has dimensions of that name."""
    spanmetrics = yaml.safe_load(JAEGER_CONFIGURATION.read_text())["connectors"]["spanmetrics"]
    seconds = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    buckets = []
    for bucket in spanmetrics["histogram"]["explicit"]["buckets"]:
        number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", bucket).groups()  # type: ignore[union-attr]
        buckets.append(round(float(number) * seconds[unit], 9))

    assert tuple(buckets) == semconv.DURATION_BUCKETS
    assert {dimension["name"] for dimension in spanmetrics["dimensions"]} == {
        semconv.SYSTEM_NAME,
        semconv.SIGNAL_NAME,
        semconv.DEPTH,
        semconv.FUNCTION_NAME,
    }
