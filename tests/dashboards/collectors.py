"""Collectors, run for real from the files in dashboards/collector."""

from __future__ import annotations

import math
import re
from pathlib import Path
from urllib.request import urlopen

from dashboards.backends.process import Process, wait_for
from dashboards.backends.servers import DASHBOARDS, HOST, free_ports
from dashboards.backends.store import program

__all__ = [
    "ALL",
    "BALANCER",
    "BALANCER_BY_DNS",
    "FOLDER",
    "JUDGED_AT_THE_END",
    "SAMPLER",
    "SINGLE",
    "Collector",
    "command",
]

FOLDER = DASHBOARDS / "collector"

# Which files make a Collector. The documentation and the compose file are compared with this.
SINGLE = ("base.yaml", "sampling.yaml", "single.yaml")
BALANCER = ("base.yaml", "remote-write.yaml", "balancer.yaml", "resolver-static.yaml")
BALANCER_BY_DNS = (*BALANCER[:-1], "resolver-dns.yaml")
SAMPLER = ("base.yaml", "sampling.yaml", "remote-write.yaml", "sampler.yaml")
ALL = (SINGLE, BALANCER, BALANCER_BY_DNS, SAMPLER)

# Traces are judged when the Collector is told to stop: nothing depends on how fast this machine is.
JUDGED_AT_THE_END = "1h"


def command(files: tuple[str, ...], *verb: str) -> list[str]:
    """Return the command line of a Collector."""
    return [str(program("collector")), *verb, *(f"--config={FOLDER / one}" for one in files)]


class Collector(Process):
    """A Collector. It may be stopped and started again: its addresses and its queue stay.

    Args:
        folder: Where its log and its queue go.
        files: Which files in dashboards/collector it is made of.
        name: What to call it.
        variables: Variables of the configuration.

    Attributes:
        grpc: Where it takes OTLP over gRPC, as host and port.
        url: Where it takes OTLP over HTTP.
        metrics: Host and port where Prometheus finds what it was sent, and what it counted of spans.
        telemetry: Host and port where Prometheus finds what it says of itself.
    """

    def __init__(self, folder: Path, files: tuple[str, ...], *, name: str = "collector", **variables: str) -> None:
        grpc, http, health, metrics, telemetry = free_ports(5)
        self.grpc = f"{HOST}:{grpc}"
        self.url = f"http://{HOST}:{http}"
        self.metrics = f"{HOST}:{metrics}"
        self.telemetry = f"{HOST}:{telemetry}"
        super().__init__(
            name,
            command(files),
            ready=f"http://{HOST}:{health}/",
            folder=folder,
            variables={
                "COLLECTOR_QUEUE_DIR": str(folder / f"{name}-queue"),
                "COLLECTOR_GRPC_PORT": str(grpc),
                "COLLECTOR_HTTP_PORT": str(http),
                "COLLECTOR_HEALTH_PORT": str(health),
                "COLLECTOR_TELEMETRY_PORT": str(telemetry),
                "METRICS_PORT": str(metrics),
                "RETRY_INTERVAL": "100ms",
                "SPAN_METRICS_FLUSH": "1s",
                **variables,
            },
        )

    def count(self, metric: str, **labels: str) -> float:
        """Return the sum of what it says of itself under the name *metric*, over the series that have these *labels*.

        Not a number when there is none: nothing said is not zero.
        """
        with urlopen(f"http://{self.telemetry}/metrics", timeout=10) as response:
            said = response.read().decode()
        series = re.findall(rf"^{metric}(?:\{{(.*)\}})? (\S+)$", said, re.MULTILINE)
        values = [
            float(value)
            for found, value in series
            if all(f'{label}="{wanted}"' in found for label, wanted in labels.items())
        ]
        return sum(values) if values else math.nan

    def wait_until_it_counts(self, metric: str, value: float, **labels: str) -> None:
        """Wait until :meth:`count` returns *value*."""
        wait_for(lambda: self.count(metric, **labels) == value, what=f"{metric} is {value}", within=60)
