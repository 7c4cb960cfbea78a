"""The figures behind the Collector's design: ``python -m dashboards.figures`` writes them into docs/collector.md.

What requests send is found by sending it: requests with signals and receivers, at each of heliograph's levels, encoded as
OTLP. What that costs an application is from docs/benchmarks.md. What it costs a Collector has been measured on a real one,
and is kept in figures.json: ``make figures`` measures it anew.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import heliograph
from benchmarks.page import put_between_markers
from heliograph.telemetry import semconv

__all__ = ["COSTS", "PAGE", "Costs", "figures", "load_costs", "send"]

PAGE = Path(__file__).parents[1] / "docs" / "collector.md"
BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
COSTS = Path(__file__).parent / "figures.json"

SIGNALS, RECEIVERS = 3, 5  # of each request, and of each of its signals
REQUESTS = 100  # in one of them a receiver fails, in another one is slow
SLOW = 1.0  # seconds, so that no other is slow by accident, on however busy a machine
WAIT = 30  # seconds until a Collector decides
SHARE = 0.1  # of the traces in which nothing happened
QUEUE = 2**30  # bytes
BUSY = 0.5  # how much of a core a Collector may use, so that there is room for a peak
RATES = (10, 100, 1_000, 10_000)  # requests a second
BUSY_RATE = 1_000  # the one whose processor time is shown


@dataclass(frozen=True, slots=True)
class Sent:
    """What a hundred requests send at one level: how many spans, and how many bytes of OTLP."""

    spans: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What a span costs a Collector.

    Attributes:
        memory: Bytes of memory for a byte of OTLP, while a trace waits for its decision.
        processor: Seconds of processor time for a million spans.
    """

    memory: float
    processor: float


# --------------------------------------------------------------------------------------------------- what requests send


def send(level: str) -> Sent:
    """Return what the requests send at *level*; of ``none``, without heliograph."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("opentelemetry.instrumentation.django")
    route: dict[str, str | int] = {
        "http.request.method": "POST",
        "http.route": "orders/",
        "http.response.status_code": 302,
    }
    signals = [_signal(name) for name in ("order_placed", "order_paid", "order_baked")[:SIGNALS]]
    with heliograph.instrument(
        tracer_provider=provider, level="off" if level == "none" else level, slow=SLOW, logger=_Nobody()
    ):
        for number in range(REQUESTS):
            with tracer.start_as_current_span("POST orders/", kind=SpanKind.SERVER, attributes=route):
                for signal in signals:
                    signal.send_robust(sender=None, number=number if signal is signals[0] else -1)
    provider.force_flush()
    finished = spans.get_finished_spans()
    return Sent(len(finished), _size(encode_spans(finished)))


def _size(export: ExportTraceServiceRequest) -> int:
    """Return how many bytes an export has without tracebacks, whose length is that of this machine's paths."""
    spans = [span for resource in export.resource_spans for scope in resource.scope_spans for span in scope.spans]
    for attribute in (one for span in spans for event in span.events for one in event.attributes):
        if attribute.key == semconv.EXCEPTION_STACKTRACE:
            attribute.value.Clear()
    return int(export.ByteSize())


def _signal(name: str) -> heliograph.Signal:
    signal = heliograph.Signal(name=f"shop.signals.{name}")
    for which in ("write_ticket", "take_ingredients", "print_receipt", "credit_points", "update_board")[:RECEIVERS]:
        signal.connect(_receiver(which), weak=False)
    return signal


def _receiver(name: str) -> Callable[..., None]:
    def receiver(sender: object, number: int, **_: object) -> None:
        if name == "credit_points" and number == 1:
            raise ConnectionError("the points service refused the connection")
        if name == "print_receipt" and number == 2:
            time.sleep(SLOW)

    receiver.__module__, receiver.__qualname__ = "shop.receivers", name
    return receiver


class _Nobody:
    """A logger that says nothing: these failures are known."""

    def warning(self, *_: object, **__: object) -> None:
        """Say nothing."""

    def error(self, *_: object, **__: object) -> None:
        """Say nothing."""


# ------------------------------------------------------------------------------------------------------------ the tables


def figures(costs: Costs) -> str:
    """Return the tables, in Markdown."""
    sent = {level: send(level) for level in ("all", "slow", "errors", "none")}
    return "\n\n".join((_levels(sent), _rates(sent["all"]), _collector(sent["all"], costs)))


def _levels(sent: dict[str, Sent]) -> str:
    full = sent["all"]
    rows = [
        (
            f"`{level}`" if level != "none" else "`off`: the request's own span",
            f"{one.spans / REQUESTS:.2f}",
            f"{one.bytes / REQUESTS:,.0f}",
            f"{one.bytes / one.spans:,.0f}",
            f"{1 - one.bytes / full.bytes:.0%}",
        )
        for level, one in sent.items()
    ]
    note = (
        f"A request that sends {SIGNALS} signals with {RECEIVERS} receivers each. In one of {REQUESTS} requests a receiver "
        "fails, in another one is slow. Bytes are those of OTLP, without tracebacks and before compression."
    )
    return _table("What a request sends", note, ("level", "spans", "bytes", "bytes a span", "saved"), rows)


def _rates(full: Sent) -> str:
    size = full.bytes / full.spans
    rows = []
    for receivers in (5, 15, 50):
        spans = 1 + receivers / RECEIVERS + receivers
        cells = [f"{rate * spans:,.0f} ({rate * spans * size / 1e6:,.2f} MB)" for rate in RATES]
        rows.append((f"{receivers} receivers", *cells, f"{_processor_time() * receivers * BUSY_RATE / 1e9:.0%}"))
    note = (
        f"Spans and bytes a second at level `all`, with a signal for every {RECEIVERS} receivers. The last column is what "
        f"making and exporting them takes of one core, in all processes together, at {BUSY_RATE:,} requests a second: "
        "from the [benchmarks](benchmarks.md), Django instrumented."
    )
    header = ("a request has", *(f"{rate:,} requests a second" for rate in RATES), "processor time")
    return _table("What applications send in a second", note, header, rows)


def _collector(full: Sent, costs: Costs) -> str:
    spans, size = full.spans / REQUESTS, full.bytes / full.spans
    kept = 2 / REQUESTS + (1 - 2 / REQUESTS) * SHARE
    columns = []
    for rate in RATES:
        a_second = rate * spans * size
        memory = a_second * WAIT * costs.memory
        cores = rate * spans * costs.processor / 1e6
        columns.append(
            (
                f"{rate * spans:,.0f}",
                f"{rate * WAIT:,.0f}",
                f"{memory / 2**20:,.0f} MiB",
                f"{cores:.2f}",
                f"{max(1, -(-cores // BUSY)):.0f}",
                f"{a_second * 86_400 / 1e9:,.1f} GB",
                f"{a_second * kept * 86_400 / 1e9:,.1f} GB",
                f"{QUEUE / (a_second * kept) / 3_600:,.1f} h",
            )
        )
    words = (
        "spans a second that come in",
        f"traces that wait for a decision, for {WAIT} s",
        "memory for them, in all Collectors together",
        "cores, at a full load",
        f"Collectors of the second layer, at {BUSY:.0%} of a core each",
        "a day, unsampled",
        f"a day, sampled: failed, slow, and {SHARE:.0%} of the rest",
        "how long a backend may be away until 1 GiB of queue is full",
    )
    rows = [(word, *(column[number] for column in columns)) for number, word in enumerate(words)]
    note = (
        f"The same requests as in the first table, {kept:.1%} of which are kept. Memory and processor time are measured: a "
        f"byte of OTLP takes {costs.memory:.1f} bytes while it waits, a million spans {costs.processor:.0f} s of a core."
    )
    return _table("What Collectors need", note, ("", *(f"{rate:,} requests a second" for rate in RATES)), rows)


def _processor_time() -> float:
    """Return nanoseconds a receiver, from making its span until it has been exported, as the benchmarks have it."""
    found = re.search(
        r"^\| Django instrumented, level all \| ([\d,]+) \(",
        BENCHMARKS.read_text("utf-8").rpartition("### Besides")[2],
        re.MULTILINE,
    )
    if found is None:
        raise ValueError(f"{BENCHMARKS} has no processor time of `Django instrumented, level all`; run `make bench`.")
    return float(found[1].replace(",", ""))


def _table(title: str, note: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    ruler = ("---", *("--:" for _ in header[1:]))
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *rows))
    return f"### {title}\n\n{note}\n\n{lines}"


def load_costs() -> Costs:
    """Return what was measured last."""
    return Costs(**json.loads(COSTS.read_text(encoding="utf-8")))


def main() -> None:
    """Write the tables into the documentation."""
    logging.disable()  # of the failure that was made on purpose
    PAGE.write_text(put_between_markers(PAGE.read_text(encoding="utf-8"), figures(load_costs())), encoding="utf-8")


if __name__ == "__main__":
    main()
