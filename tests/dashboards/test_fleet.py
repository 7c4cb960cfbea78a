"""Two layers of Collectors: whichever balancer a span comes to, all spans of its trace meet at one sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from dashboards.backends.process import wait_for
from tests.dashboards.collectors import BALANCER, BALANCER_BY_DNS, JUDGED_AT_THE_END, SAMPLER, Collector
from tests.dashboards.prometheuses import WrittenTo
from tests.dashboards.sink import Sink, by_trace, post
from tests.dashboards.traces import Maker, export, span_ids, trace_ids
from tests.end_to_end.backends.reading import query
from tests.end_to_end.backends.shop import CUSTOMERS, running_shop, variables_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

ACCEPTED = "otelcol_receiver_accepted_spans"


@dataclass(frozen=True)
class Fleet:
    """Two balancers before two samplers, each of which has a backend of its own, so that it is seen who sent what."""

    balancers: list[Collector]
    samplers: list[Collector]
    sinks: tuple[Sink, Sink]

    def wait_until_samplers_have(self, spans: int) -> None:
        """Wait until as many spans have come to the second layer."""
        wait_for(
            lambda: sum(sampler.count(ACCEPTED) for sampler in self.samplers) == spans,
            what=f"the samplers have {spans} spans",
            within=60,
        )

    def judge(self) -> None:
        """Let the samplers decide about what they have, and send what they keep."""
        for sampler in self.samplers:
            sampler.stop()
            sampler.start()
            sampler.wait_until_it_counts("otelcol_exporter_queue_size", 0, exporter="otlp_http/traces")


@pytest.fixture
def build(tmp_path) -> Iterator[Callable[..., Fleet]]:
    """Starts a fleet, without those of the second layer that are to come later."""
    with ExitStack() as running:

        def build(folder: Path = tmp_path, *, running_samplers: int = 2, **variables: str) -> Fleet:
            sinks = Sink(), Sink()
            variables = {"METRICS_ENDPOINT": sinks[0].url, **variables}  # which takes everything
            samplers = [
                Collector(folder, SAMPLER, name=f"sampler-{n}", TRACES_ENDPOINT=sink.url, **variables)
                for n, sink in enumerate(sinks)
            ]
            addresses = [sampler.grpc for sampler in samplers]
            # The order of the list is not the same on both: it must not matter.
            balancers = [
                Collector(folder, BALANCER, name=f"balancer-{n}", SAMPLERS=f"[{', '.join(known)}]", **variables)
                for n, known in enumerate((addresses, addresses[::-1]))
            ]
            for sink in sinks:
                running.enter_context(sink)
            for collector in (*samplers[:running_samplers], *balancers):
                running.enter_context(collector)
            return Fleet(balancers, samplers, sinks)

        yield build


def test_all_spans_of_a_trace_meet_at_one_sampler(build):
    """Requests come to one balancer and their receivers to the other. Failed traces are kept, and each is whole."""
    fleet = build(SAMPLING_WAIT=JUDGED_AT_THE_END, SAMPLING_PERCENTAGE="0")
    maker = Maker()
    failed = [maker.request(failed=True) for _ in range(100)]
    healthy = [maker.request() for _ in range(100)]
    for above, below in zip(failed, healthy, strict=True):
        assert post(fleet.balancers[0].url, export([*above[:2], *below[:2]])) == 200
        assert post(fleet.balancers[1].url, export([above[2], below[2]])) == 200
    fleet.wait_until_samplers_have(600)
    fleet.judge()

    first, second = (by_trace(sink.spans) for sink in fleet.sinks)
    assert not set(first) & set(second)
    assert len(first) > 20 < len(second)
    assert set(first) | set(second) == trace_ids(span for spans in failed for span in spans)
    assert {len(spans) for spans in (*first.values(), *second.values())} == {3}


def test_what_is_for_a_sampler_that_is_away_waits_for_it_and_the_rest_goes_on(build):
    """The other gets its traces meanwhile, and gets none of them twice."""
    fleet = build(running_samplers=1, SAMPLING_WAIT="1s", SAMPLING_PERCENTAGE="100")
    maker = Maker()
    spans = [span for _ in range(100) for span in maker.request()]
    for start in range(0, 300, 30):
        assert post(fleet.balancers[start // 30 % 2].url, export(spans[start : start + 30])) == 200
    wait_for(lambda: fleet.sinks[0].spans, what="the sampler that is there has sent some", within=60)
    assert not fleet.sinks[1].spans

    with fleet.samplers[1]:
        wait_for(lambda: sum(len(sink.spans) for sink in fleet.sinks) >= 300, what="all spans arrive", within=60)

    assert fleet.sinks[1].spans
    assert sorted([*fleet.sinks[0].span_ids, *fleet.sinks[1].span_ids]) == sorted(span_ids(spans))


def test_samplers_may_be_found_by_one_name(tmp_path):
    """With the resolver that asks for the addresses of a name, spans go to what it finds."""
    request = Maker().request(failed=True)
    with Sink() as sink, ExitStack() as running:
        settings = {"METRICS_ENDPOINT": sink.url, "SAMPLING_WAIT": "1s"}
        sampler = running.enter_context(Collector(tmp_path, SAMPLER, TRACES_ENDPOINT=sink.url, **settings))
        host, port = sampler.grpc.split(":")
        found = {"SAMPLERS_HOST": host, "SAMPLERS_PORT": port}
        balancer = running.enter_context(Collector(tmp_path, BALANCER_BY_DNS, name="balancer", **settings, **found))
        assert post(balancer.url, export(request)) == 200
        wait_for(lambda: sink.spans, what="the trace arrives", within=60)
    assert sink.span_ids == sorted(span_ids(request))


def test_metrics_that_nobody_takes_do_not_cost_traces(tmp_path):
    """A sampler that is stopped while Prometheus is away still judges what it has, in time, and keeps it on disk."""
    request = Maker().request(failed=True)
    settings = {"METRICS_ENDPOINT": "http://127.0.0.1:9", "SAMPLING_WAIT": JUDGED_AT_THE_END}
    with Sink() as sink, Collector(tmp_path, SAMPLER, TRACES_ENDPOINT=sink.url, **settings) as sampler:
        post(sampler.url, export(request))
        sampler.wait_until_it_counts("otelcol_exporter_queue_size", 2, exporter="prometheus_remote_write")
        sampler.stop()
        sampler.start()
        wait_for(lambda: sink.spans, what="the trace arrives", within=60)
    assert sink.span_ids == sorted(span_ids(request))


def test_metrics_of_the_fleet_come_together_in_prometheus(build, tmp_path):
    """Through remote write: heliograph's own from the first layer, span metrics from both samplers, which add up."""
    receiver = 'code_function_name="orders.printer.ReceiptPrinter.print_receipt"'
    with WrittenTo(tmp_path) as prometheus:
        fleet = build(METRICS_ENDPOINT=prometheus.write, SAMPLING_WAIT="1s")
        (tmp_path / "shop").mkdir()
        with running_shop(tmp_path / "shop", **variables_for(fleet.balancers[0].url)) as shop:
            shop.open()
        for metric in ("heliograph_receiver_duration_seconds_count", "traces_span_metrics_calls_total"):
            wait_for(
                partial(query, prometheus, f"sum by (job) ({metric}{{{receiver}}}) == {CUSTOMERS}"),
                what=f"{metric} is {CUSTOMERS}",
                within=60,
            )
        counted = query(prometheus, "count(count by (collector_instance_id) (traces_span_metrics_calls_total))")
    assert counted == {(): 2}
