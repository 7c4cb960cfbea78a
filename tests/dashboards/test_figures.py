"""The figures in docs/collector.md: computed, current, and like what a real Collector takes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import pytest

from benchmarks.page import put_between_markers
from dashboards.figures import COSTS, PAGE, Costs, figures, load_costs, send
from tests.dashboards.collectors import JUDGED_AT_THE_END, SINGLE, Collector
from tests.dashboards.sink import Sink, post
from tests.dashboards.traces import Maker, export

TRACES, BATCHES = 500, 40


def test_the_page_has_the_figures_of_today():
    """What stands between the markers is what ``python -m dashboards.figures`` writes."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == put_between_markers(page, figures(load_costs()))


def test_levels_send_what_their_names_say():
    """Of a hundred requests: all spans; those of the dispatches with a failed or slow receiver; of the failed one; none."""
    sent = {level: send(level).spans for level in ("all", "slow", "errors", "none")}

    assert sent == {"all": 100 + 300 + 1_500, "slow": 100 + 2 * 2, "errors": 100 + 2, "none": 100}


@pytest.mark.end_to_end
@pytest.mark.backends
def test_a_collector_costs_what_the_page_says(tmp_path):
    """Memory of waiting traces at most three times, processor time of a million spans within a factor of ten: machines differ.

    Memory has no lower bound: on a busy machine the Collector may have let go of all before it is looked at.
    """
    costs = measured(tmp_path)
    if os.environ.get("HELIOGRAPH_FIGURES"):
        COSTS.write_text(json.dumps(asdict(costs)) + "\n", encoding="utf-8")
    known = load_costs()

    assert 0 <= costs.memory / known.memory < 3
    assert 0.1 < costs.processor / known.processor < 10


def measured(folder) -> Costs:
    """Return what spans cost a real Collector: it takes many, lets them wait, and sends a part of them on."""
    maker = Maker()
    exports = [export([span for _ in range(TRACES) for span in maker.request()]) for _ in range(BATCHES)]
    settings = {"SAMPLING_WAIT": JUDGED_AT_THE_END, "COLLECTOR_MEMORY_MIB": "4000", "GOGC": "10"}
    with Sink() as sink, Collector(folder, SINGLE, TRACES_ENDPOINT=sink.url, **settings) as collector:
        before = collector.count("otelcol_process_runtime_heap_alloc_bytes")
        busy = collector.count("otelcol_process_cpu_seconds")
        for one in exports:
            assert post(collector.url, one) == 200
        busy = collector.count("otelcol_process_cpu_seconds") - busy
        heaps = [
            collector.count("otelcol_process_runtime_heap_alloc_bytes") for _ in range(50)
        ]  # the least has no garbage
    heap = min(heaps) - before
    return Costs(
        memory=round(heap / sum(map(len, exports)), 1),
        processor=round(busy / (3 * TRACES * BATCHES) * 1e6, 1),
    )
