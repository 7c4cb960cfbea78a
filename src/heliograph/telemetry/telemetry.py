"""Spans, metrics and logs of one installation as one observer: each finds what the one before has left."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry import context as otel_context

from heliograph.config import Level, Settings
from heliograph.fanout.facts import Dispatch, ReceiverCall, Site
from heliograph.fanout.observer import attempt
from heliograph.telemetry import semconv
from heliograph.telemetry.logs import ExceptionEvents, StructuredLogs, exception_signals
from heliograph.telemetry.metrics import MetricsObserver
from heliograph.telemetry.policy import Worth
from heliograph.telemetry.spans import SpanObserver, current_context_of

__all__ = ["Telemetry"]

# OpenTelemetry's SDK sets the first while it exports, its instrumentations set both.
_SUPPRESSED = (getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", ""), "suppress_instrumentation")


class Telemetry:
    """Says what is worth saying about the dispatches of one library.

    Args:
        system: The library, as ``heliograph.system.name`` has it.
        settings: What is worth saying.
        tracer_provider: Where spans go; the global one unless given.
        meter_provider: Where metrics go; the global one unless given.
        logger_provider: Where OpenTelemetry's log events go; the global one unless given.
        logger: The structlog logger to use; ``structlog.get_logger("heliograph")`` unless given.
        ready: Asked before each send; nothing is said while it returns False.

    Raises:
        ConfigurationError: If an environment variable has a value that cannot be used.
    """

    def __init__(
        self,
        system: str,
        settings: Settings,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: _logs.LoggerProvider | None = None,
        logger: Any = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        as_span_events, as_log_events = exception_signals()
        self.system = system
        self.worth = Worth(settings)
        self._ready = ready
        self._spans = SpanObserver(
            trace.get_tracer(semconv.SCOPE, _version(), tracer_provider),
            self.worth,
            record_exceptions=as_span_events,
            provider=lambda: tracer_provider or trace.get_tracer_provider(),
        )
        self._metrics = MetricsObserver(
            metrics.get_meter(semconv.SCOPE, _version(), meter_provider), self.worth, current_context_of
        )
        self._logs: list[StructuredLogs | ExceptionEvents] = [StructuredLogs(self.worth, current_context_of, logger)]
        if as_log_events:
            otel_logger = _logs.get_logger(semconv.SCOPE, _version(), logger_provider)
            self._logs.append(ExceptionEvents(otel_logger, self.worth, current_context_of))

    def interested(self, site: Site) -> bool:
        """Return whether anything is said about a signal."""
        return site.system == self.system and self.worth.signal_level(site) is not Level.OFF

    def awake(self) -> bool:
        """Return whether there is anybody to speak to, and nobody asked for silence."""
        return self._ready() and not _is_suppressed()

    def enter(self, call: ReceiverCall) -> Any:
        """Make the receiver's span current."""
        return self._spans.enter(call)

    def leave(self, call: ReceiverCall, entered: Any) -> None:
        """Make current again what was before."""
        self._spans.leave(call, entered)

    def finished(self, dispatch: Dispatch) -> None:
        """Say what is worth saying; where one way of saying it fails, the others go on."""
        untraced = attempt(self._spans.finished, dispatch)
        attempt(self._metrics.finished, dispatch, untraced)
        for logs in self._logs:
            attempt(logs.finished, dispatch)

    def flush(self) -> None:
        """Say what is still held back."""
        attempt(self._spans.flush)


def _is_suppressed() -> bool:
    current = otel_context.get_current()
    return any(current.get(key) for key in _SUPPRESSED)


def _version() -> str:
    try:
        return version("heliograph")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""
