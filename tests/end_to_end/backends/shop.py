"""The pizza shop as a program that somebody observes, who has not changed a line of it."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboards.backends.process import wait_for
from dashboards.backends.servers import Prometheus
from tests.end_to_end.backends.reading import query
from tests.end_to_end.backends.wire import Wire, WireSpan

PYTHON = Path(sys.executable)
INSTRUMENT = PYTHON.parent / "opentelemetry-instrument"
SHOP = Path(__file__).parents[3] / "examples" / "pizza_shop"
SERVICE = "pizza-shop"
CUSTOMERS = 6
DAYS = 3
CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of the days without asking a backend.

    Attributes:
        requests: What guests asked for and what status they got, one text a request, of each day.
        sent: The spans that were sent, in the order of sending.
        began: When the first day began, in seconds since the epoch.
        ended: When the last was over.
    """

    requests: list[list[str]]
    sent: list[WireSpan]
    began: float
    ended: float


class Shop:
    """A running shop. It opens for a day whenever it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def open(self, customers: int = CUSTOMERS) -> list[str]:
        """Let one day pass and return its requests."""
        self.begin(customers)
        return self.finish()

    def begin(self, customers: int) -> None:
        """Let a day begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{customers}\n")
        self._process.stdin.flush()

    def finish(self) -> list[str]:
        """Wait until the day is over and return its requests."""
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            if line.rstrip() == CLOSED:
                return lines
            lines.append(line.rstrip())
        raise AssertionError(f"the shop ended within a day, after {lines[-1:]}")


@contextmanager
def running_shop(
    folder: Path, *, script: str = "days.py", launcher: str = str(INSTRUMENT), **variables: str
) -> Iterator[Shop]:
    """Run the shop until the block ends, then let it go home and wait for it.

    Args:
        folder: Where its database and what it writes to standard error go.
        script: The program beside this file that runs the shop.
        launcher: What starts it; empty for nothing but Python.
        variables: Environment variables.
    """
    command = [*filter(None, [launcher]), str(PYTHON), str(Path(__file__).parent / script)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DJANGO_"))}
    environment = {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "pizza_shop.settings",
        "PIZZA_SHOP_DATABASE": str(folder / "shop.sqlite3"),
        "PYTHONPATH": str(SHOP),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=SHOP,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield Shop(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(60) == 0, (folder / "stderr").read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def variables_for(otlp: str, *, exporter: str = "otlp") -> dict[str, str]:
    """Return the variables that a user would set to send traces, with this *exporter*, and metrics over OTLP."""
    return {
        "OTEL_SERVICE_NAME": SERVICE,
        "OTEL_TRACES_EXPORTER": exporter,
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }


def spend_days(wire: Wire, prometheus: Prometheus, folder: Path) -> Day:
    """Let the shop open on several days, and wait until all that was sent can be read.

    Rates are made of two values that differ: Prometheus has seen each day before the next one begins.
    """
    began = time.time()
    requests = []
    with running_shop(folder, **variables_for(wire.url, exporter="heliograph_otlp")) as shop:
        for day in range(1, DAYS + 1):
            requests.append(shop.open())
            _wait_for_prometheus(prometheus, paid=CUSTOMERS * day)
    ended = time.time()  # by now all has been sent
    wait_for(
        lambda: query(prometheus, "sum(traces_span_metrics_calls_total)") == {(): float(len(wire.spans))},
        what="Prometheus has heard of every span",  # and of what was sent before it
        within=60,
    )
    return Day(requests, list(wire.spans), began, ended)


def _wait_for_prometheus(prometheus: Prometheus, *, paid: int) -> None:
    """Wait until the receipts that were printed have been counted: by heliograph, and by who counts its spans."""
    receiver = 'code_function_name=~".*print_receipt"'
    for metric in ("heliograph_receiver_duration_seconds_count", "traces_span_metrics_calls_total"):
        counted = functools.partial(query, prometheus, f"sum({metric}{{{receiver}}})")
        wait_for(lambda: counted() == {(): float(paid)}, what=f"{metric} is {paid}", within=60)  # noqa: B023  # called here
