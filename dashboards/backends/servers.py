"""Jaeger, Prometheus and Zipkin on free ports; Jaeger with the very files that ``compose.yaml`` mounts."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.backends.process import Process
from dashboards.backends.store import program

__all__ = ["HOST", "Jaeger", "Prometheus", "Zipkin", "free_ports"]

HOST = "127.0.0.1"
# Below those that systems give to outgoing connections: one of these would be taken before the program has it.
_PORTS = range(20_000, 32_000)
_RANDOM = random.SystemRandom()
_given: set[int] = set()
DASHBOARDS = Path(__file__).parent.parent
JAEGER_CONFIGURATION = DASHBOARDS / "jaeger" / "jaeger.yaml"


def free_ports(how_many: int) -> list[int]:
    """Return so many ports that are free now, each given but once."""
    found: list[int] = []
    while len(found) < how_many:
        port = _RANDOM.choice(_PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


class Jaeger(Process):
    """Jaeger 2, with all it has in memory. It may be stopped and started again: its addresses stay.

    Args:
        folder: Where its log goes.
        prometheus: Where its Monitor tab asks for metrics.
        configuration: Another configuration than ``dashboards/jaeger/jaeger.yaml``.
        variables: More variables of the configuration.

    Attributes:
        otlp: Where it takes OTLP over HTTP, traces and metrics.
        otlp_grpc: The same over gRPC, as host and port.
        url: Its user interface and API.
        metrics: Host and port where Prometheus finds span metrics, and the metrics it was sent.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prometheus: str = "http://127.0.0.1:9090",
        configuration: Path = JAEGER_CONFIGURATION,
        **variables: str,
    ) -> None:
        http, grpc, query, query_grpc, health, metrics = free_ports(6)
        self.otlp = f"http://{HOST}:{http}"
        self.otlp_grpc = f"{HOST}:{grpc}"
        self.url = f"http://{HOST}:{query}"
        self.metrics = f"{HOST}:{metrics}"
        super().__init__(
            "jaeger",
            [program("jaeger"), "--config", f"file:{configuration}"],
            ready=f"http://{HOST}:{health}/status",
            folder=folder,
            variables={
                "JAEGER_OTLP_HTTP_PORT": str(http),
                "JAEGER_OTLP_GRPC_PORT": str(grpc),
                "JAEGER_QUERY_PORT": str(query),
                "JAEGER_GRPC_PORT": str(query_grpc),
                "JAEGER_HEALTH_PORT": str(health),
                "JAEGER_METRICS_PORT": str(metrics),
                "JAEGER_METRICS_INTERVAL": "1s",
                "JAEGER_UI_CONFIG": str(DASHBOARDS / "jaeger" / "ui.json"),
                "PROMETHEUS_URL": prometheus,
                **variables,
            },
        )


class Prometheus(Process):
    """Prometheus with an empty database. :meth:`configure` says what it scrapes, before it starts.

    Args:
        folder: Where its configuration, its data and its log go.

    Attributes:
        url: Its API.
    """

    def __init__(self, folder: Path) -> None:
        [port] = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        self._configuration = folder / "prometheus.yml"
        super().__init__(
            "prometheus",
            [
                program("prometheus"),
                f"--config.file={self._configuration}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={HOST}:{port}",
                "--enable-feature=exemplar-storage",
            ],
            ready=f"{self.url}/-/ready",
            folder=folder,
        )

    def scrape(self, *targets: str, every: str = "1s") -> None:
        """Let it scrape *targets* (host and port) and believe the labels it finds there."""
        job = {"job_name": "otel", "honor_labels": True, "static_configs": [{"targets": list(targets)}]}
        self.configure({"global": {"scrape_interval": every, "evaluation_interval": every}, "scrape_configs": [job]})

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Use this *configuration*. Paths of rule files in it are absolute, or relative to its folder."""
        self._configuration.write_text(json.dumps(configuration))  # JSON is YAML


class Zipkin(Process):
    """Zipkin, with all it has in memory.

    Attributes:
        url: Its user interface and API.
        spans: Where it takes spans in JSON.
    """

    def __init__(self, folder: Path) -> None:
        [port] = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        self.spans = f"{self.url}/api/v2/spans"
        # QUERY_PORT alone would open it to the network.
        listen: dict[str, object] = {"port": port, "ip": HOST, "protocols[0]": "http"}
        super().__init__(
            "zipkin",
            [
                *(program("java"), "-Xms64m", "-Xmx256m", "-jar", program("zipkin")),
                *(f"--armeria.ports[0].{key}={value}" for key, value in listen.items()),
            ],
            ready=f"{self.url}/health",
            folder=folder,
            patience=120,
        )
