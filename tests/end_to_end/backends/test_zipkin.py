"""The same spans in Zipkin, over OpenTelemetry's exporter of Zipkin's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.backends.process import wait_for
from dashboards.backends.servers import Jaeger, Zipkin
from heliograph.telemetry import semconv
from tests.end_to_end.backends.reading import get
from tests.end_to_end.backends.shop import running_shop, variables_for
from tests.end_to_end.backends.wire import Wire, WireSpan

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

SERVICE = "pizza-shop-in-zipkin"
PAY = "post orders/<int:pk>/pay/"

ZipkinSpan = dict[str, Any]


@pytest.fixture(scope="module")
def sent(jaeger: Jaeger, zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[WireSpan]]:
    """The spans of a day that went to Zipkin, as they were sent over OTLP besides."""
    variables = {**variables_for("", exporter="zipkin_json,otlp"), "OTEL_SERVICE_NAME": SERVICE}
    with Wire(jaeger.otlp) as wire:
        variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": wire.url, "OTEL_EXPORTER_ZIPKIN_ENDPOINT": zipkin.spans}
        with running_shop(tmp_path_factory.mktemp("shop"), **variables) as shop:
            shop.open()
        yield wire.spans


@pytest.fixture(scope="module")
def read(zipkin: Zipkin, sent: list[WireSpan]) -> dict[tuple[str, str], ZipkinSpan]:
    """The spans that Zipkin has of that day, by their ids."""

    def traces() -> list[list[ZipkinSpan]]:
        found: list[list[ZipkinSpan]] = get(f"{zipkin.url}/api/v2/traces", serviceName=SERVICE, limit=10_000)
        return found if sum(map(len, found)) >= len(sent) else []

    found = wait_for(traces, what="Zipkin has all spans", within=30)
    return {(span["traceId"], span["id"]): span for spans in found for span in spans}


def test_each_span_is_there(sent: list[WireSpan], read: dict[tuple[str, str], ZipkinSpan]):
    """Ids, parents, names (in lower case), times (in microseconds) and kinds are those that were sent."""
    expected = {
        (span.trace_id, span.span_id): (
            span.parent_id,
            span.name.lower(),
            microseconds(span.began),
            max(1, microseconds(span.ended - span.began)),  # Zipkin knows no shorter span
            "" if span.kind == "INTERNAL" else span.kind,
        )
        for span in sent
    }

    assert {
        ids: (span.get("parentId", ""), span["name"], span["timestamp"], span["duration"], span.get("kind", ""))
        for ids, span in read.items()
    } == expected


def microseconds(nanoseconds: int) -> int:
    """Round half up, as the exporter does."""
    return (nanoseconds + 500) // 1_000


def test_attributes_are_tags(sent: list[WireSpan], read: dict[tuple[str, str], ZipkinSpan]):
    """Each attribute of heliograph's spans is a tag of that name, its value as text."""
    for span in sent:
        if span.scope == semconv.SCOPE:
            tags = read[span.trace_id, span.span_id]["tags"]
            assert {key: tags.get(key) for key in span.attributes} == {
                key: _text(value) for key, value in span.attributes.items()
            }


def _text(value: Any) -> str:
    return "[" + ",".join(f'"{one}"' for one in value) + "]" if isinstance(value, list) else str(value)


def test_failed_receivers_are_errors(sent: list[WireSpan], read: dict[tuple[str, str], ZipkinSpan]):
    """Zipkin shows in red what has the tag ``error``: the failed receivers, and of the dispatches those they ended."""
    red = sorted(span["name"] for span in read.values() if "error" in span["tags"])

    assert red == [
        "handle kitchen.receivers.check_stock",
        *["handle loyalty.receivers.credit_points"] * 3,
        "post orders/",
        "send order_placed",
    ]


def test_a_search_finds_the_request_of_a_failed_receiver(zipkin: Zipkin, read: dict[tuple[str, str], ZipkinSpan]):
    """Zipkin's own query for a receiver's failure finds the three payments that lost their points."""
    query = f"error and code.function.name=loyalty.receivers.credit_points and {semconv.ERROR_TYPE}=ConnectionError"
    found = get(f"{zipkin.url}/api/v2/traces", serviceName=SERVICE, annotationQuery=query, limit=100)

    assert [[span["name"] for span in trace if span.get("kind") == "SERVER"] for trace in found] == [[PAY]] * 3
