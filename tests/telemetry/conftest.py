"""Signals and an application that is traced already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.trace import Span

import heliograph
from tests.support.telemetry import Spans


@pytest.fixture
def order_paid() -> heliograph.Signal:
    """A signal with a name."""
    return heliograph.Signal(name="shop.signals.order_paid")


@pytest.fixture
def order_shipped() -> heliograph.Signal:
    """Another signal."""
    return heliograph.Signal(name="shop.signals.order_shipped")


@pytest.fixture
def request_span(spans: Spans) -> Iterator[Span]:
    """A span of the application, current for the length of the test."""
    with spans.tracer.start_as_current_span("request") as span:
        yield span
