"""Log events from facts: structlog's for receivers that fail or are slow, OpenTelemetry's for exceptions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, format_span_id, format_trace_id

from heliograph.config import Level
from heliograph.errors import ConfigurationError
from heliograph.fanout.facts import CAPTURE
from heliograph.fanout.plain import plain
from heliograph.telemetry import semconv
from heliograph.telemetry.finished import Failure, Finished

__all__ = ["ExceptionEvents", "StructuredLogs", "exception_signals"]

OPT_IN_VARIABLE = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"


class StructuredLogs:
    """Writes a structlog event for each receiver that failed or was slow.

    structlog is used as the application has configured it; this library never configures it. Where nobody
    has, events go to standard error: standard output is the program's own.

    Args:
        logger: A structlog logger to use in place of ``structlog.get_logger("heliograph")``.
    """

    def __init__(self, logger: Any = None) -> None:
        self._given = logger

    @property
    def _logger(self) -> Any:
        if self._given is not None:
            return self._given
        if _is_configured():  # asked each time: applications configure it when they please
            return structlog.get_logger(semconv.SCOPE)
        return structlog.wrap_logger(structlog.PrintLogger(sys.stderr))

    def write(self, dispatch: Finished) -> None:
        """Write what is to be said about the calls of *dispatch*."""
        for position, plan in enumerate(dispatch.receivers or ()):
            if plan.level is Level.OFF:
                continue
            if position in dispatch.failures:
                self._failed(dispatch, position)
            if plan.level is not Level.ERRORS and dispatch.is_slow(position):
                self._say(self._logger.warning, semconv.SLOW_EVENT, dispatch, position)

    def _failed(self, dispatch: Finished, position: int) -> None:
        failure = dispatch.failures[position]
        # A captured error ends here; one that propagates is its caller's to judge.
        log = self._logger.error if dispatch.policy == CAPTURE.name else self._logger.warning
        more = {"error_type": plain(failure.type), "exception": failure.stacktrace}
        self._say(log, semconv.FAILED_EVENT, dispatch, position, **more)

    def _say(self, log: Callable[..., Any], event: str, dispatch: Finished, position: int, **more: str) -> None:
        context = dispatch.span_context(position)
        with _current(context):
            log(event, **_fields(dispatch, position), **_ids(context), **more)


def _fields(dispatch: Finished, position: int) -> dict[str, Any]:
    began, ended = dispatch.begans[position] or 0, dispatch.endeds[position] or 0
    return {
        "system": dispatch.signal.system,
        "signal": plain(dispatch.signal.name),
        "sender": None if dispatch.sender is None else plain(dispatch.sender),
        "receiver": plain((dispatch.receivers or [])[position].name),
        "operation": dispatch.operation,
        "duration_s": (ended - began) / 1e9,
    }


def _ids(context: SpanContext | None) -> dict[str, str]:
    if context is None:
        return {}
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


@contextmanager
def _current(context: SpanContext | None) -> Iterator[None]:
    """Make the receiver's span current, though it has ended: handlers that export logs take the ids from there."""
    if context is None:
        yield
        return
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(context)))
    try:
        yield
    finally:
        otel_context.detach(token)


def _is_configured() -> bool:
    """Return whether the application has configured structlog.

    OpenTelemetry's instrumentation of structlog does so too, to add a processor, and keeps in mind who else did.
    """
    instrumentation = sys.modules.get("opentelemetry.instrumentation.structlog")
    instrumentor = getattr(instrumentation, "StructlogInstrumentor", None)
    if getattr(instrumentor, "_processor", None) is None:  # it is off
        return structlog.is_configured()
    return bool(getattr(instrumentor, "_is_configured_by_app", True))


class ExceptionEvents:
    """Emits OpenTelemetry's log event for each receiver that raised."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def write(self, dispatch: Finished) -> None:
        """Emit the events of *dispatch*."""
        for position, failure in dispatch.failures.items():
            if (dispatch.receivers or [])[position].level is not Level.OFF:
                self._logger.emit(_event(dispatch, position, failure))


def _event(dispatch: Finished, position: int, failure: Failure) -> LogRecord:
    captured = dispatch.policy == CAPTURE.name
    span_context = dispatch.span_context(position)
    return LogRecord(
        timestamp=dispatch.at(dispatch.endeds[position]),
        context=trace.set_span_in_context(NonRecordingSpan(span_context), Context()) if span_context else None,
        severity_number=SeverityNumber.ERROR if captured else SeverityNumber.WARN,
        event_name=semconv.EXCEPTION_EVENT,
        attributes={
            **dispatch.signal.attributes,
            semconv.OPERATION_NAME: dispatch.operation,
            semconv.ERROR_POLICY: dispatch.policy,
            semconv.FUNCTION_NAME: (dispatch.receivers or [])[position].name,
            semconv.ERROR_TYPE: failure.type,
            semconv.EXCEPTION_TYPE: failure.type,
            semconv.EXCEPTION_STACKTRACE: failure.stacktrace,
            **({} if failure.message is None else {semconv.EXCEPTION_MESSAGE: failure.message}),
        },
    )


def exception_signals() -> tuple[bool, bool]:
    """Return whether exceptions become span events, and whether they become log events.

    OpenTelemetry moves exceptions from span events to logs; until that is done, the variable
    ``OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`` says which: nothing (span events), ``logs`` or ``logs/dup`` (both).

    Raises:
        ConfigurationError: If the variable has another value.
    """
    value = os.environ.get(OPT_IN_VARIABLE, "").strip()
    answers = {"": (True, False), "logs": (False, True), "logs/dup": (True, True)}
    if value not in answers:
        raise ConfigurationError(f"{OPT_IN_VARIABLE} cannot be {value!r}. Valid: logs, logs/dup, or nothing.")
    return answers[value]
