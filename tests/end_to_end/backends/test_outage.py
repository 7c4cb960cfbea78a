"""Jaeger goes away in the middle of a rush and comes back: no send notices, memory is bounded, what is lost is counted."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dashboards.backends.process import wait_for
from dashboards.backends.servers import Jaeger, Prometheus
from tests.end_to_end.backends.reading import query, search, shown
from tests.end_to_end.backends.shop import SERVICE, Shop, running_shop, variables_for
from tests.end_to_end.backends.wire import Wire

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

# How many orders: before, as Jaeger goes, without it, as it comes back, and with it.
BEFORE, GOING, GONE, COMING, BACK = ROUNDS = 6, 12, 48, 6, 3
QUEUE, BATCH = 512, 128
SMALL = {
    "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(BATCH),
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
}

Rounds = list[list[str]]


class Outage:
    """A Jaeger of its own, its Prometheus, a shop that sends to it, and what happened there round by round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prometheus = Prometheus(folder)
        self.jaeger = Jaeger(folder, prometheus=self.prometheus.url)
        self.prometheus.scrape(self.jaeger.metrics)
        self.said: Rounds = []
        self.kept: list[tuple[int, int]] = []
        self.fates: dict[str, float] = {}
        self.back_at = 0.0

    def told(self, lines: list[str]) -> None:
        """Take down what the shop said of a round: what was sent and returned, and at last what it keeps."""
        *said, kept = lines
        _, kilobytes, spans = kept.split()
        self.said.append(said)
        self.kept.append((int(kilobytes), int(spans)))

    def is_back(self) -> bool:
        """Return whether anything new arrives."""
        return bool(search(self.jaeger, SERVICE, operation="send order_placed"))

    def receivers_called(self) -> Counter[int]:
        """Return how many receivers ran for each of the last orders whose trace Jaeger has whole."""
        called: Counter[int] = Counter()
        for trace in search(self.jaeger, SERVICE, operation="POST orders/", start=int(self.back_at * 1e6)):
            roots = shown(trace)
            if [root.name for root in roots] == ["POST orders/"]:
                called.update(len(span.below) for span in roots[0].walk() if span.name == "send order_placed")
        return called


def rounds_of(shop: Shop) -> Rounds:
    """Return all that a shop says, but for what it keeps."""
    return [shop.open(orders)[:-1] for orders in ROUNDS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    """What is sent and returned when nobody observes it."""
    with running_shop(tmp_path_factory.mktemp("plain"), script="rush.py", launcher="") as shop:
        return rounds_of(shop)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outage, Wire]]:
    """An outage in which Jaeger is killed and started anew; the SDK is asked to count what becomes of spans."""
    outage = Outage(tmp_path_factory.mktemp("killed"))
    with ExitStack() as stack:
        stack.enter_context(outage.prometheus)
        stack.enter_context(outage.jaeger)
        wire = stack.enter_context(Wire(outage.jaeger.otlp))
        counting = {"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"}
        variables = {**variables_for(wire.url), **SMALL, **counting}
        with running_shop(outage.folder, script="rush.py", **variables) as shop:
            outage.told(shop.open(BEFORE))
            wait_for(outage.is_back, what="spans arrive", within=30)
            shop.begin(GOING)
            outage.jaeger.kill()
            outage.told(shop.finish())
            outage.told(shop.open(GONE))
            shop.begin(COMING)
            outage.jaeger.start()
            outage.told(shop.finish())
            wait_for(outage.is_back, what="spans arrive again", within=30)
            outage.back_at = time.time()
            outage.told(shop.open(BACK))
            settled = functools.partial(fates_when_settled, outage.prometheus, wire)
            outage.fates = wait_for(settled, what="Prometheus knows what became of every span", within=30)
        yield outage, wire


def fates_when_settled(prometheus: Prometheus, wire: Wire) -> dict[str, float]:
    """Return what became of spans once all orders have been counted and nothing is on its way; before that nothing."""
    fate = fates(prometheus)
    settled = fate["started"] == fate["handed over"] + fate["queue full"] and fate["delivered"] == len(wire.spans)
    return fate if settled and orders_counted(prometheus) == sum(ROUNDS) else {}


def orders_counted(prometheus: Prometheus) -> float:
    """Return how many orders heliograph has counted: each calls this receiver first."""
    receiver = "heliograph_receiver_duration_seconds_count{code_function_name='kitchen.receivers.check_stock'}"
    return query(prometheus, f"sum({receiver})").get((), 0.0)


def fates(prometheus: Prometheus) -> dict[str, float]:
    """Return what became of spans, as Prometheus knows it from the SDK's own metrics."""
    queries = {
        "started": "otel_sdk_span_started_total",
        "handed over": 'otel_sdk_processor_span_processed_total{error_type=""}',
        "queue full": 'otel_sdk_processor_span_processed_total{error_type="queue_full"}',
        "delivered": 'otel_sdk_exporter_span_exported_total{error_type=""}',
        "failed": 'otel_sdk_exporter_span_exported_total{error_type!=""}',
    }
    return {fate: query(prometheus, f"sum({series})").get((), 0.0) for fate, series in queries.items()}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """An outage in which Jaeger takes connections and does not answer; everything else as it is by default."""
    outage = Outage(tmp_path_factory.mktemp("frozen"))
    with outage.prometheus, outage.jaeger:
        variables = {**variables_for(outage.jaeger.otlp, exporter="heliograph_otlp"), **SMALL}
        with running_shop(outage.folder, script="rush.py", **variables) as shop:
            outage.told(shop.open(BEFORE))
            wait_for(outage.is_back, what="spans arrive", within=30)
            shop.begin(GOING)
            outage.jaeger.freeze()
            outage.told(shop.finish())
            outage.told(shop.open(GONE))
            shop.begin(COMING)
            outage.jaeger.thaw()
            outage.told(shop.finish())
            outage.back_at = time.time()
            outage.told(shop.open(BACK))
        yield outage


def test_a_backend_that_is_gone_changes_no_send(undisturbed: Rounds, killed: tuple[Outage, Wire]):
    """Statuses of requests, and what each receiver returned or raised, are those of a shop that nobody observes."""
    outage, _ = killed

    assert outage.said == undisturbed


def test_a_backend_that_hangs_changes_no_send(undisturbed: Rounds, frozen: Outage):
    """The same when exports wait for an answer that does not come."""
    assert frozen.said == undisturbed


def test_memory_is_bounded_when_the_backend_is_gone(killed: tuple[Outage, Wire]):
    """However many are sent without it, no more spans are kept than the queue holds, and two batches."""
    outage, _ = killed
    _bounded(outage)


def test_memory_is_bounded_when_the_backend_hangs(frozen: Outage):
    """The same when exports wait for an answer that does not come."""
    _bounded(frozen)


def _bounded(outage: Outage) -> None:
    spans = [spans for _, spans in outage.kept]
    kilobytes = [kilobytes for kilobytes, _ in outage.kept]

    assert max(spans) <= QUEUE + 2 * BATCH  # one batch is being sent, and some are being made
    assert kilobytes[2] - kilobytes[1] < 16_384  # thousands of spans later


def test_what_was_dropped_is_counted_and_exported(killed: tuple[Outage, Wire]):
    """Of all spans that were started Prometheus knows what became of them, once Jaeger is back: none is unaccounted for."""
    outage, wire = killed
    fate = outage.fates

    assert fate["queue full"] > 0
    assert fate["failed"] > 0
    # A batch that the exporter gave up may still arrive, and is then among the failed and among the delivered.
    arrived = len(wire.spans) + fate["queue full"]
    assert arrived <= fate["started"] <= arrived + fate["failed"]


def test_heliograph_counts_what_is_not_traced_any_more(killed: tuple[Outage, Wire]):
    """Its own metrics lose nothing in an outage: they say how often each receiver was called, traced or not."""
    outage, _ = killed

    assert orders_counted(outage.prometheus) == sum(ROUNDS)


def test_traces_are_whole_again(killed: tuple[Outage, Wire]):
    """The orders after the outage are in Jaeger: all three receivers for two of them, the first alone for the refused one."""
    outage, _ = killed

    assert outage.receivers_called() == {3: 2, 1: 1}


def test_traces_are_whole_again_when_it_goes_on(frozen: Outage):
    """The same where Jaeger was frozen."""
    wait_for(lambda: frozen.receivers_called().total() == BACK, what="the last orders are there", within=30)

    assert frozen.receivers_called() == {3: 2, 1: 1}
