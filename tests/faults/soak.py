"""A soak: a million sends while the backend is down. Memory stays where it was.

    python -m tests.faults.soak [--sends 1000000] [--figures FILE]

Real exporters of spans (heliograph's) and of metrics (OpenTelemetry's), behind the SDK's own batch processor and periodic
reader, speak to a port of this machine that nobody listens on. The first tenth is sent from many threads at once, so that all
that may wait does; the rest from one. Ends with 1 if memory grew by more than 5 MiB after the first
tenth, or if a send came to something else than it should.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

settings.configure()

import django.dispatch  # noqa: E402  # Django wants its settings first
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: E402

import heliograph  # noqa: E402
from heliograph.telemetry.otlp import SpanExporter  # noqa: E402

MOST = 5.0  # MiB
STEPS = 10
THREADS = 10  # in the first tenth
REQUEST = 100  # sends in one trace
PAGE = os.sysconf("SC_PAGE_SIZE")


class OutOfStock(Exception):
    """Raised by a receiver now and then."""


def receipt(order: int, **_: Any) -> int:
    """Return what it was given."""
    return order


def stock(order: int, **_: Any) -> int:
    """Fail for one order in a thousand."""
    if not order % 1000:
        raise OutOfStock(order)
    return -order


def memory() -> float:
    """Return the resident memory of this process, in MiB."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 2**20


def refusing_url() -> str:
    """Return the address of a port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def observe(url: str) -> TracerProvider:
    """Observe all signals, and export what is said of them to *url*."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(SpanExporter(endpoint=f"{url}/v1/traces", timeout=1)))
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{url}/v1/metrics", timeout=1), export_interval_millis=1000
    )
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    heliograph.instrument(
        "django", "heliograph", tracer_provider=provider, meter_provider=MeterProvider([reader]), slow=1000
    )
    return provider


class Sender:
    """Sends, each time on the next of the signals, and counts what did not come to what it should."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("soak")
        self._signals: list[Any] = [django.dispatch.Signal(), heliograph.Signal(name="soak.order_paid")]
        for signal in self._signals:
            signal.connect(receipt)
            signal.connect(stock)
        self._orders = itertools.count(1)
        self.wrong: list[int] = []

    def send(self, times: int) -> None:
        """Send that often, some within a trace."""
        for _ in range(times // REQUEST):
            with self._tracer.start_as_current_span("request"):
                for _ in range(REQUEST):
                    order = next(self._orders)
                    if not self._once(order):
                        self.wrong.append(order)

    def send_at_once(self, times: int) -> None:
        """Send that often from many threads at once: what waits for the exporters reaches the most that may ever wait."""
        threads = [threading.Thread(target=self.send, args=(times // THREADS,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _once(self, order: int) -> bool:
        signal = self._signals[order % 2]
        (first, paid), (second, left) = signal.send_robust(sender=None, order=order)
        expected = isinstance(left, OutOfStock) if not order % 1000 else left == -order
        return first is receipt and second is stock and paid == order and expected


def main() -> int:
    """Send, print how much memory there is after each tenth, and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sends", type=int, default=1_000_000)
    parser.add_argument("--figures", type=Path, help="add them to this file, for docs/reliability.md")
    options = parser.parse_args()
    logging.disable(
        logging.CRITICAL
    )  # OpenTelemetry says that the backend is down, and Django what failed, again and again
    sender = Sender(observe(refusing_url()))
    print(f"{'sends':>12}  {'MiB':>7}  {'us a send':>9}")
    found = []
    for step in range(STEPS):
        began = time.process_time()
        (sender.send if step else sender.send_at_once)(options.sends // STEPS)
        took = (time.process_time() - began) / (options.sends // STEPS) * 1e6
        found.append(memory())
        print(f"{options.sends // STEPS * (step + 1):>12,}  {found[-1]:>7.1f}  {took:>9.1f}", flush=True)
    growth, wrong = max(found) - found[0], len(sender.wrong)
    passed = growth <= MOST and not wrong
    print(
        f"{options.sends:,} sends with the backend down, {wrong} of them wrong; after the first {options.sends // STEPS:,} "
        f"memory grew by at most {growth:.1f} MiB: {'passed' if passed else 'FAILED'} (limit {MOST:.0f})"
    )
    if options.figures is not None:
        what = f"soak: the backend is down; {found[0]:.1f} MiB after a tenth, at most {growth:.1f} MiB more later"
        row = {"what": what, "sends": options.sends, "lost": wrong}
        with options.figures.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the exporters would retry for a while
