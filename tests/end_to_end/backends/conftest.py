"""Real backends on the loopback interface, and one day of the pizza shop in them, which all tests here read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboards.backends.servers import Jaeger, Prometheus, Zipkin
from tests.end_to_end.backends.shop import Day, spend_days
from tests.end_to_end.backends.wire import Wire


@pytest.fixture(scope="session")
def jaeger_and_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jaeger, Prometheus]]:
    """Jaeger, whose metrics Prometheus scrapes, who answers Jaeger's Monitor tab."""
    folder = tmp_path_factory.mktemp("backends")
    prometheus = Prometheus(folder)
    jaeger = Jaeger(folder, prometheus=prometheus.url)
    prometheus.scrape(jaeger.metrics)
    with prometheus, jaeger:
        yield jaeger, prometheus


@pytest.fixture(scope="session")
def jaeger(jaeger_and_prometheus: tuple[Jaeger, Prometheus]) -> Jaeger:
    """Jaeger, with the pizza shop's day in it once `day` has been asked for."""
    return jaeger_and_prometheus[0]


@pytest.fixture(scope="session")
def prometheus(jaeger_and_prometheus: tuple[Jaeger, Prometheus]) -> Prometheus:
    """Prometheus, with the pizza shop's day in it once `day` has been asked for."""
    return jaeger_and_prometheus[1]


@pytest.fixture(scope="session")
def day(jaeger: Jaeger, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day at the shop under ``opentelemetry-instrument``, which has arrived in Jaeger and in Prometheus."""
    with Wire(jaeger.otlp) as wire:
        yield spend_days(wire, prometheus, tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="session")
def zipkin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zipkin]:
    """Zipkin, empty."""
    with Zipkin(tmp_path_factory.mktemp("zipkin")) as zipkin:
        yield zipkin


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Do not even import these tests unless they are asked for: what they import is not in every environment."""
    return True if config.option.markexpr == "not backends" else None
