"""A pytest plugin: switches heliograph on before anything of a project is imported, and writes down what its tests come to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

outcomes: dict[str, list[str]] = {}
exporters: list[Any] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("heliograph")
    group.addoption("--peers-observe", default="", help="the libraries to observe, with commas in between")
    group.addoption("--peers-outcomes", required=True, help="the file to write to")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    libraries = early_config.known_args_namespace.peers_observe
    if libraries:
        switch_on(libraries.split(","))


def switch_on(libraries: list[str]) -> None:
    """Observe *libraries* as closely as can be: all spans recorded, all metrics, nothing filtered, rolled up or left out."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    import heliograph

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    heliograph.instrument(
        *libraries,
        tracer_provider=provider,
        meter_provider=MeterProvider([InMemoryMetricReader()]),
        level="all",
    )
    exporters.append(exporter)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "passed" or hasattr(report, "wasxfail"):
        expected = " as expected" if hasattr(report, "wasxfail") else ""
        outcomes.setdefault(report.nodeid, []).append(f"{report.outcome}{expected} at {report.when}")
    else:
        outcomes.setdefault(report.nodeid, [])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.outcome == "failed":
        outcomes[report.nodeid] = ["failed at collection"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    names = Counter(span.name for exporter in exporters for span in exporter.get_finished_spans())
    found = {test: ", ".join(what) or "passed" for test, what in outcomes.items()}
    Path(session.config.getoption("--peers-outcomes")).write_text(json.dumps({"outcomes": found, "spans": names}))
