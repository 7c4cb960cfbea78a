"""The Collector's configurations, on a real Collector: what is kept, what waits, and where it goes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from dashboards.backends.process import wait_for
from dashboards.backends.servers import JAEGER_CONFIGURATION
from dashboards.backends.store import program
from heliograph.telemetry import semconv
from tests.dashboards import traces
from tests.dashboards.collectors import ALL, FOLDER, JUDGED_AT_THE_END, SINGLE, Collector, command
from tests.dashboards.sink import Sink, by_trace, post
from tests.dashboards.traces import Maker, export, span_ids, trace_ids
from tests.end_to_end.backends.shop import running_shop, variables_for
from tests.end_to_end.backends.wire import WireSpan

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

STORAGES = sorted(FOLDER.glob("storage/*.yaml"))
SLOW = 0.1  # seconds, as heliograph has it by default


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A backend that keeps what it is sent."""
    with Sink() as sink:
        yield sink


@pytest.fixture
def maker() -> Maker:
    """Makes spans whose ids are the same in every run."""
    return Maker()


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Sink:
    """What the pizza shop sends on one day, under ``opentelemetry-instrument`` and below its requests' spans."""
    folder = tmp_path_factory.mktemp("day")
    with Sink() as sink, running_shop(folder, **variables_for(sink.url)) as shop:
        shop.open()
    return sink


def run(folder: Path, sink: Sink, exports: list[bytes], **variables: str) -> None:
    """Send *exports* through a Collector for one machine, which is stopped then and keeps nothing for later."""
    with Collector(folder, SINGLE, TRACES_ENDPOINT=sink.url, SAMPLING_WAIT=JUDGED_AT_THE_END, **variables) as collector:
        for body in exports:
            assert post(collector.url, body) == 200
    # What was decided in the end went to the queue on disk; it is sent by the next Collector there.
    with Collector(folder, SINGLE, TRACES_ENDPOINT=sink.url, **variables) as collector:
        collector.wait_until_it_counts("otelcol_exporter_queue_size", 0, exporter="otlp_http/traces")


# ------------------------------------------------------------------------------------------------------------ the files


@pytest.mark.parametrize("files", ALL, ids=lambda files: files[-1])
def test_the_real_collector_accepts_each_configuration(files, tmp_path):
    """It knows each component, each key and each type of value, without a variable set."""
    ran = subprocess.run(command(files, "validate"), capture_output=True, text=True, timeout=60, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("storage", STORAGES, ids=lambda path: path.stem)
def test_the_real_jaeger_accepts_each_storage(storage):
    """It knows each key for OpenSearch and ClickHouse, beside the configuration that all tests run."""
    options = [f"--config={path}" for path in (JAEGER_CONFIGURATION, storage)]
    ran = subprocess.run(
        [program("jaeger"), "validate", *options], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, "Error" in ran.stdout + ran.stderr) == (0, False)


# -------------------------------------------------------------------------------------------------------- what is kept


def is_worth_keeping(spans: list[WireSpan]) -> bool:
    """Return whether anything failed in a trace, or a receiver was slow."""
    return any(
        span.status == "ERROR" or (semconv.FUNCTION_NAME in span.attributes and (span.ended - span.began) / 1e9 >= SLOW)
        for span in spans
    )


def test_of_the_shops_day_exactly_the_slow_and_failed_traces_are_kept(day, sink, tmp_path):
    """With no share of the rest, seven traces are left of the day: six payments and the order of a Tartufo, whole."""
    run(tmp_path, sink, day.exports, SAMPLING_PERCENTAGE="0")

    sent = by_trace(day.spans)
    expected = {trace for trace, spans in sent.items() if is_worth_keeping(spans)}
    kept = by_trace(sink.spans)
    assert set(kept) == expected
    assert sink.span_ids == sorted(span.span_id for trace in expected for span in sent[trace])
    roots = [span.name for spans in kept.values() for span in spans if not span.parent_id]
    assert sorted(roots) == ["POST orders/", *["POST orders/<int:pk>/pay/"] * 6]


def test_all_of_the_shops_day_is_kept_when_the_share_is_all(day, sink, tmp_path):
    """Nothing is lost on the way: each span arrives, once."""
    run(tmp_path, sink, day.exports, SAMPLING_PERCENTAGE="100")

    assert sink.span_ids == sorted(span.span_id for span in day.spans)


def test_the_share_of_the_rest_is_the_same_on_every_collector(maker, tmp_path):
    """10 % by default, chosen by the trace's id alone: two Collectors choose the same."""
    healthy = [span for _ in range(2_000) for span in maker.request()]
    kept = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with Sink() as sink:
            run(tmp_path / name, sink, [export(healthy)])
        kept.append(sink.trace_ids)

    assert kept[0] == kept[1]
    assert len(kept[0]) == 187  # of these ids, which are the same in every run


def test_what_makes_a_trace_worth_keeping(maker, sink, tmp_path):
    """A receiver that failed, however it was sent and also when rolled up; one that was slow. Not a slow request alone."""
    failed, handled = maker.request(failed=True, operation="send"), maker.request(failed=True)
    slow, nearly = maker.request(milliseconds=100), maker.request(milliseconds=99.9)
    slow_request = [maker.span("GET /slow", milliseconds=5_000)]
    other_code = [maker.span("GET /"), maker.span("SELECT", milliseconds=500, code__function__name="shop.query")]
    rolled_up, failed_in_loop = [maker.span("GET /")], [maker.span("GET /")]
    worst = {semconv.ROLLED_UP_COUNT: 900, semconv.ROLLED_UP_WORST: 0.25}
    rolled_up.append(maker.span("send post_save", under=rolled_up[0], **worst))
    worst = {semconv.ROLLED_UP_COUNT: 900, semconv.ROLLED_UP_WORST: 0.01, semconv.RECEIVER_FAILED_COUNT: 3}
    failed_in_loop.append(maker.span("send post_save", under=failed_in_loop[0], **worst))
    alone = [maker.request()[1]]  # a dispatch outside of any request

    heliographs = [*failed, *handled, *slow, *nearly, *slow_request, *rolled_up, *failed_in_loop, *alone]
    run(tmp_path, sink, [export(heliographs), export(other_code, scope="sql")], SAMPLING_PERCENTAGE="0")

    assert sink.trace_ids == trace_ids([*failed, *handled, *slow, *rolled_up, *failed_in_loop])
    assert [span.status for span in sink.spans if span.name == "send_robust order_paid"].count("ERROR") == 0


def test_the_bounds_can_be_set(maker, sink, tmp_path):
    """What is slow is said in two variables: receivers in nanoseconds, roll-ups in seconds."""
    short, long = maker.request(milliseconds=249), maker.request(milliseconds=250)
    bounds = {"SLOW_RECEIVER_NANOSECONDS": "250000000", "SLOW_RECEIVER_SECONDS": "0.25"}
    run(tmp_path, sink, [export([*short, *long])], SAMPLING_PERCENTAGE="0", **bounds)

    assert sink.trace_ids == trace_ids(long)


def test_links_are_not_followed(maker, sink, tmp_path):
    """A trap: work that is linked to a trace that is kept, in a trace of its own, is judged by itself and dropped."""
    request, [task, *_] = maker.request(failed=True), maker.request()
    task.links.add(trace_id=request[-1].trace_id, span_id=request[-1].span_id)
    run(tmp_path, sink, [export([*request, task])], SAMPLING_PERCENTAGE="0")

    assert sink.trace_ids == trace_ids(request)


def test_a_span_that_comes_late_follows_the_decision(maker, sink, tmp_path):
    """Of a kept trace it is kept. Of one that was dropped it is dropped, even if it says now that a receiver failed."""
    kept, dropped, witness = maker.request(failed=True), maker.request(), maker.request(failed=True)
    late, too_late = maker.receiver(kept[1]), maker.receiver(dropped[1], failed=True)
    wait = {"SAMPLING_WAIT": "1s", "SAMPLING_PERCENTAGE": "0"}
    with Collector(tmp_path, SINGLE, TRACES_ENDPOINT=sink.url, **wait) as collector:
        post(collector.url, export([*kept, *dropped]))
        wait_for(lambda: sink.spans, what="the failed trace is decided", within=60)
        post(collector.url, export([late, too_late, *witness]))
        wait_for(lambda: len(sink.spans) == 7, what="the late span and the witness arrive", within=60)

    assert sink.span_ids == sorted(span_ids([*kept, late, *witness]))


def test_all_spans_are_counted_also_those_that_are_not_kept(maker, sink, tmp_path):
    """Span metrics come before sampling: their counts are what was sent, by signal and receiver."""
    spans = [span for _ in range(30) for span in maker.request()]
    with Collector(
        tmp_path, SINGLE, TRACES_ENDPOINT=sink.url, SAMPLING_PERCENTAGE="0", SAMPLING_WAIT="1s"
    ) as collector:
        post(collector.url, export(spans))

        def calls() -> dict[str, float]:
            with urlopen(f"http://{collector.metrics}/metrics", timeout=10) as response:
                found = re.findall(
                    r"^traces_span_metrics_calls_total\{(.*)\} (\S+)", response.read().decode(), re.MULTILINE
                )
            return {
                name: float(value) for labels, value in found for name in re.findall(r'span_name="([^"]*)"', labels)
            }

        expected = {"GET /": 30, "send_robust order_paid": 30, f"handle {traces.RECEIVER}": 30}
        wait_for(lambda: calls() == expected, what="all spans are counted", within=60)
        collector.wait_until_it_counts(
            "otelcol_processor_tail_sampling_global_count_traces_sampled", 30, sampled="false"
        )
    assert sink.spans == []


# ------------------------------------------------------------------------------------------------------- what is kept back


def test_a_backend_that_is_away_gets_all_when_it_is_back(maker, tmp_path):
    """Kept traces wait on disk: a Collector that crashed and one that was restarted send them all, each once."""
    spans = [span for _ in range(300) for span in maker.request(failed=True)]
    with Sink() as gone:
        port = gone.server_port
    queue = "otelcol_exporter_queue_size"
    settings = {"TRACES_ENDPOINT": gone.url, "SAMPLING_WAIT": "1s", "SAMPLING_PERCENTAGE": "0"}

    collector = Collector(tmp_path, SINGLE, **settings).start()
    for start in range(0, len(spans), 90):
        assert post(collector.url, export(spans[start : start + 90])) == 200
    collector.wait_until_it_counts("otelcol_processor_tail_sampling_global_count_traces_sampled", 300, sampled="true")
    collector.wait_until_it_counts("otelcol_processor_batch_batch_send_size_sum", 900)  # now it is on disk
    waiting = collector.count(queue, exporter="otlp_http/traces")
    collector.kill()

    collector.start()
    collector.wait_until_it_counts(queue, waiting, exporter="otlp_http/traces")
    collector.stop()

    with Sink(port) as back, collector:
        wait_for(lambda: len(back.spans) >= 900, what="all spans arrive", within=60)
        collector.wait_until_it_counts(queue, 0, exporter="otlp_http/traces")
    assert waiting > 0
    assert back.span_ids == sorted(span_ids(spans))


def test_traces_that_wait_for_a_decision_are_judged_when_the_collector_is_stopped(maker, tmp_path):
    """Also while the backend is away: stopped in the middle, the Collector decides on what it has and keeps it on disk."""
    failed, healthy = maker.request(failed=True), maker.request()
    with Sink() as gone:
        port = gone.server_port
    settings = {"TRACES_ENDPOINT": gone.url, "SAMPLING_WAIT": JUDGED_AT_THE_END, "SAMPLING_PERCENTAGE": "0"}
    with Collector(tmp_path, SINGLE, **settings) as collector:
        post(collector.url, export([*failed, *healthy]))

    with Sink(port) as back, collector:
        wait_for(lambda: back.spans, what="the trace arrives", within=60)
    assert back.span_ids == sorted(span_ids(failed))


def test_a_collector_without_memory_refuses_and_keeps_what_it_took(maker, sink, tmp_path):
    """Senders are told to try again (503). What was answered with 200 arrives, and nothing else."""
    limits = {"COLLECTOR_MEMORY_MIB": "60", "COLLECTOR_MEMORY_SPIKE_MIB": "20"}
    taken: list[str] = []
    status = 200
    with Collector(
        tmp_path, SINGLE, TRACES_ENDPOINT=sink.url, SAMPLING_WAIT=JUDGED_AT_THE_END, SAMPLING_PERCENTAGE="100", **limits
    ) as collector:
        for _ in range(400):
            spans = [span for _ in range(500) for span in maker.request()]
            status = post(collector.url, export(spans))
            if status != 200:
                break
            taken += span_ids(spans)
        assert status == 503
        assert collector.count("otelcol_receiver_refused_spans") == 1_500
    with collector:
        wait_for(lambda: len(sink.span_ids) >= len(taken), what="all that was taken arrives", within=120)
    assert sink.span_ids == sorted(taken)
