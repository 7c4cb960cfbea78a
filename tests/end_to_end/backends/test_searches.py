"""Each saved search, run as its link would run it, finds the traces that it says, and no other."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import heliograph
from dashboards.backends.process import wait_for
from dashboards.backends.servers import Jaeger
from dashboards.jaeger.searches import DEEP, FAILED, SEARCHES, SKIPPED, SLOW, Search, address
from heliograph.telemetry import semconv
from tests.end_to_end.backends.reading import search as search_in
from tests.end_to_end.backends.shop import SERVICE, Day
from tests.end_to_end.backends.wire import Wire, WireSpan

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

RARE = "rare-cases"

every_search = pytest.mark.parametrize("search", SEARCHES, ids=lambda search: f"{search.group}, {search.title}")


def found_by(jaeger: Jaeger, search: Search, service: str) -> set[str]:
    """Return the ids of the traces that the link of *search* leads to, asked as Jaeger's page asks for them."""
    query = dict(parse_qsl(urlsplit(address(search, service=service, jaeger=jaeger.url)).query))
    assert (query.pop("service"), query.pop("lookback"), query.pop("limit")) == (service, "1h", "100")
    now = time.time()
    window = {"start": int((now - 3_600) * 1e6), "end": int(now * 1e6)}
    return {trace["traceID"] for trace in search_in(jaeger, service, **query, **window)}


def failures_of(spans: list[WireSpan]) -> dict[tuple[str, str], int]:
    """Return how many receivers failed in each dispatch, as their spans tell, and not as the dispatch's does."""
    failures: dict[tuple[str, str], int] = {}
    for span in spans:
        if span.name.startswith("handle ") and span.status == "ERROR":
            dispatch = (span.trace_id, span.parent_id)
            failures[dispatch] = failures.get(dispatch, 0) + 1
    return failures


def with_failures(count: int) -> Callable[[list[WireSpan]], set[str]]:
    """Return what finds traces with a dispatch in which so many receivers failed."""
    return lambda spans: {trace for (trace, _), failed in failures_of(spans).items() if failed == count}


def slow(mode: str) -> Callable[[list[WireSpan]], set[str]]:
    """Return what finds traces with a receiver of this *mode* that took a tenth of a second."""
    return lambda spans: {
        span.trace_id
        for span in spans
        if span.attributes.get(semconv.RECEIVER_MODE) == mode and span.ended - span.began >= 100_000_000
    }


def ended_early(spans: list[WireSpan]) -> set[str]:
    """Return traces with a dispatch that its receiver's error ended."""
    failures = failures_of(spans)
    return {s.trace_id for s in spans if s.status == "ERROR" and (s.trace_id, s.span_id) in failures}


def deep(depth: int) -> Callable[[list[WireSpan]], set[str]]:
    """Return what finds traces with so many dispatches above one: found by going up, and not by what they say."""

    def find(spans: list[WireSpan]) -> set[str]:
        above = {(span.trace_id, span.span_id): span for span in spans}

        def enclosing(span: WireSpan) -> int:
            parent = above.get((span.trace_id, span.parent_id))
            return 0 if parent is None else enclosing(parent) + (semconv.OPERATION_NAME in parent.attributes)

        return {s.trace_id for s in spans if semconv.OPERATION_NAME in s.attributes and enclosing(s) >= depth}

    return find


EXPECTED: dict[tuple[str, str], Callable[[list[WireSpan]], set[str]]] = {
    (FAILED, "one failed"): with_failures(1),
    (FAILED, "two failed"): with_failures(2),
    (FAILED, "three failed"): with_failures(3),
    (SLOW, "sync"): slow("sync"),
    (SLOW, "async"): slow("async"),
    (SKIPPED, "after an error"): ended_early,
    (DEEP, "3 deep"): deep(3),
    (DEEP, "5 deep"): deep(5),
    (DEEP, "8 deep"): deep(8),
}


@every_search
def test_a_search_finds_what_the_shop_did(search: Search, day: Day, jaeger: Jaeger):
    """The traces found are those that a look at the spans themselves finds."""
    assert found_by(jaeger, search, SERVICE) == EXPECTED[search.group, search.title](day.sent)


def test_error_true_finds_nothing_in_memory(day: Day, jaeger: Jaeger):
    """Why no search asks for it: this Jaeger finds nothing by it, where traces have errors."""
    assert [span.name for span in day.sent if span.status == "ERROR"] != []
    assert search_in(jaeger, SERVICE, tags='{"error":"true"}') == []


def test_the_shop_does_something_of_each_kind(day: Day):
    """Of each group at least one search has something to find in the shop."""
    groups = {group for (group, title), find in EXPECTED.items() if find(day.sent)}

    assert groups == {FAILED, SLOW, SKIPPED, DEEP}


def test_the_page_in_the_docs_says_what_was_found(day: Day):
    """Each search is in the table with the number of traces; a slow machine may have made more receivers slow."""
    page = (Path(__file__).parents[3] / "docs" / "jaeger.md").read_text(encoding="utf-8")
    told = {
        name: int(count)
        for name, count in re.findall(r"^\| ([^|]+: [^|]+) \|[^|]+\| (\d+) traces \|$", page, re.MULTILINE)
    }
    found = {f"{group}: {title}": len(find(day.sent)) for (group, title), find in EXPECTED.items()}

    assert list(told) == list(found) == [f"{search.group}: {search.title}" for search in SEARCHES]
    assert {name: told[name] - found[name] for name in told if SLOW not in name and told[name] != found[name]} == {}
    assert [name for name in told if SLOW in name and found[name] < told[name]] == []


@pytest.fixture(scope="module")
def rare(jaeger: Jaeger) -> Iterator[list[WireSpan]]:
    """The spans of what no shop does: one trace for each search, and one that no search finds."""
    with Wire(jaeger.otlp) as wire:
        provider = TracerProvider(resource=Resource.create({"service.name": RARE}), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{wire.url}/v1/traces")))
        with heliograph.instrument("heliograph", tracer_provider=provider):
            _do_rare_things()
        provider.shutdown()
        wait_for(lambda: len(search_in(jaeger, RARE)) == 8, what="Jaeger has all traces", within=30)
        yield wire.spans


def _do_rare_things() -> None:
    def fails(**_: object) -> None:
        raise LookupError("as asked")

    async def takes_long(**_: object) -> None:
        await asyncio.sleep(0.11)

    def again(depth: int, **_: object) -> None:
        if depth:
            nested.send(None, depth=depth - 1)

    for failing in range(4):
        several = heliograph.Signal(name=f"rare.failing_{failing}")
        for _ in range(failing):
            several.connect(functools.partial(fails), weak=False)
        several.send_robust(None)
    late = heliograph.Signal(name="rare.late")
    late.connect(takes_long)
    late.send(None)
    nested = heliograph.Signal(name="rare.nested")
    nested.connect(again)
    for depth in (4, 5, 8):
        nested.send(None, depth=depth)


@every_search
def test_a_search_finds_rare_cases(search: Search, rare: list[WireSpan], jaeger: Jaeger):
    """Three failures in one send, an async receiver that is slow, eight sends within one another: found, each by its link."""
    expected = EXPECTED[search.group, search.title](rare)

    assert found_by(jaeger, search, RARE) == expected
    assert bool(expected) == (search.title not in {"sync", "after an error"})  # which the shop has
