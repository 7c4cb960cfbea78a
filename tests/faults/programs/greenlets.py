"""Greenlets of gevent, under its monkey patches, that wait within receivers."""

from __future__ import annotations

import gevent.monkey  # type: ignore[import-untyped]

gevent.monkey.patch_all()

from typing import Any  # noqa: E402  # gevent wants to be first

import gevent  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

from tests.faults.programs.common import SIGNALS, Case, Ledger, batch, blocks, instrument, run  # noqa: E402

GREENLETS = 50


def program(case: Case) -> dict[str, Any]:
    """Let greenlets send at the same time; each has a span of its own around what it sends."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    if case.observed:
        provider = batch(exporter, max_queue_size=1 << 20)
        instrument(provider, budget=1 << 30)
    else:
        provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    tracer = provider.get_tracer("application")
    ledgers = [Ledger() for _ in range(GREENLETS)]
    signals = [make() for make in SIGNALS.values()]

    def waits(value: int, **_: Any) -> int:
        gevent.sleep(0)
        with tracer.start_as_current_span(f"work {value}"):
            gevent.sleep(0)
        return value

    def fails(value: int, **_: Any) -> None:
        gevent.sleep(0)
        raise ValueError(value)

    for signal in signals:
        signal.connect(waits, weak=False)
        signal.connect(fails, weak=False)

    def work(number: int) -> None:
        with tracer.start_as_current_span(f"request {number}"):
            for _ in range(case.times // GREENLETS):
                for signal in signals:
                    ledgers[number].send(signal, "send_robust", value=number)

    before = blocks()
    gevent.joinall([gevent.spawn(work, number) for number in range(GREENLETS)], raise_error=True)
    provider.force_flush()
    misplaced = _misplaced(exporter)
    spans = len(exporter.get_finished_spans())
    exporter.clear()
    ledger = Ledger()
    for one in ledgers:
        ledger.add(one)
    return {**ledger.figures(), "grown": blocks() - before, "spans": spans, "misplaced": misplaced}


def _misplaced(exporter: InMemorySpanExporter) -> int:
    """Return how many spans are not below the request of their own greenlet."""
    spans: dict[int, Any] = {one.context.span_id: one for one in exporter.get_finished_spans()}

    def path(span: Any) -> list[str]:
        return [span.name] + ([] if span.parent is None else path(spans[span.parent.span_id]))

    works = [path(span) for span in spans.values() if span.name.startswith("work")]
    return sum(
        [names[1].rpartition(".")[2], names[2], names[3]]
        != ["waits", "send_robust _OTHER", names[0].replace("work", "request")]
        for names in works
    )


if __name__ == "__main__":
    run(program)
