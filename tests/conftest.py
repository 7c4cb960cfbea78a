"""Fixtures for all tests. Django is configured here, once, with a database in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from opentelemetry import context as otel_context
from opentelemetry import trace

# Speed lives in benchmarks/: no deadlines here, and the same examples on every machine.
hypothesis_settings.register_profile(
    "heliograph", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
hypothesis_settings.load_profile("heliograph")

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:  # so that tests find tests.support, however pytest was started
    sys.path.insert(0, str(ROOT))

if not settings.configured:
    settings.configure(
        SECRET_KEY="only for tests",
        ALLOWED_HOSTS=["testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tests.support.shop"],
        USE_TZ=True,
    )
    django.setup()

import heliograph  # noqa: E402  # after Django, which may import models
from heliograph import instrumentor  # noqa: E402
from heliograph.fanout import observer as fanout_observer  # noqa: E402
from tests.support.observers import Inside, Recording, observing  # noqa: E402
from tests.support.telemetry import Logs, Metrics, Spans  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Pass over warnings that old releases of what we depend on give about themselves."""
    # OpenTelemetry's SDK, in its own ``Logger.emit``.
    config.addinivalue_line("filterwarnings", "ignore:LogRecord init with")
    # structlog before 26, whose ConsoleRenderer does not expect a traceback that is a text already.
    config.addinivalue_line("filterwarnings", "ignore:Remove `format_exc_info`:UserWarning")


Instrument = Callable[..., heliograph.instrumentor.Instrumentation]


@pytest.fixture
def observer() -> Iterator[Recording]:
    """An observer that notes each dispatch of each signal in words."""
    recording = Recording()
    with observing(recording):
        yield recording


@pytest.fixture
def keeper() -> Iterator[Recording]:
    """An observer that keeps the dispatches themselves."""
    recording = Recording(keep=True)
    with observing(recording):
        yield recording


@pytest.fixture
def inside() -> Iterator[Inside]:
    """An observer that stands inside each receiver's context."""
    recording = Inside()
    with observing(recording):
        yield recording


@pytest.fixture
def spans() -> Spans:
    """The spans that were exported, and their provider."""
    return Spans()


@pytest.fixture
def metrics() -> Metrics:
    """The metrics that were recorded, and their provider."""
    return Metrics()


@pytest.fixture
def otel_logs() -> Logs:
    """OpenTelemetry's log records, and their provider."""
    return Logs()


@pytest.fixture
def instrument(spans: Spans, metrics: Metrics, otel_logs: Logs) -> Iterator[Instrument]:
    """``heliograph.instrument`` with all providers in memory; undone at the end of the test."""
    undos = []

    def instrument(*libraries: str, **arguments: Any) -> heliograph.instrumentor.Instrumentation:
        arguments = {
            "tracer_provider": spans.provider,
            "meter_provider": metrics.provider,
            "logger_provider": otel_logs.provider,
            **arguments,
        }
        undo = heliograph.instrument(*libraries, **arguments)
        undos.append(undo)
        return undo

    yield instrument
    for undo in reversed(undos):
        undo()
    assert not instrumentor._installed, "something has stayed instrumented"


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """What is said once is said once a test."""
    said: set[Any] = set()
    monkeypatch.setattr(fanout_observer, "_said", said)
    return said


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    """Each test ends in the OpenTelemetry context in which it began."""
    before = otel_context.get_current()
    yield
    after = otel_context.get_current()
    assert dict(after) == dict(before)
    assert trace.get_current_span(after) is trace.get_current_span(before)


@pytest.fixture(scope="session")
def database() -> None:
    """The tables of all applications."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
