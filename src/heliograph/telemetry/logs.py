"""Log events from facts: structlog's for receivers that fail or are slow, OpenTelemetry's for exceptions."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import structlog
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from heliograph.config import Level
from heliograph.errors import ConfigurationError
from heliograph.fanout import describe
from heliograph.fanout.facts import CAPTURE, Dispatch, ReceiverCall
from heliograph.telemetry import semconv
from heliograph.telemetry.policy import Worth

__all__ = ["ExceptionEvents", "StructuredLogs", "exception_signals"]

OPT_IN_VARIABLE = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"

ContextOf = Callable[[Dispatch | ReceiverCall], Context | None]


class StructuredLogs:
    """Writes a structlog event for each receiver that failed or was slow.

    structlog is used as the application has configured it; this library never configures it. Where nobody
    has, events go to standard error: standard output is the program's own.

    Args:
        worth: Decides what is slow and what is left out.
        context_of: Returns a context in which a fact's span is current, for the ids.
        logger: A structlog logger to use in place of ``structlog.get_logger("heliograph")``.
    """

    def __init__(self, worth: Worth, context_of: ContextOf, logger: Any = None) -> None:
        self._worth = worth
        self._context_of = context_of
        self._given = logger

    @property
    def _logger(self) -> Any:
        if self._given is not None:
            return self._given
        if structlog.is_configured():  # asked each time: applications configure it when they please
            return structlog.get_logger(semconv.SCOPE)
        return structlog.wrap_logger(structlog.PrintLogger(sys.stderr))

    def finished(self, dispatch: Dispatch) -> None:
        """Write what is to be said about the calls of *dispatch*."""
        for call in dispatch.calls:
            slow = self._worth.is_slow(call)
            if not (call.failed or slow) or self._worth.call_level(call) is Level.OFF:
                continue
            if call.failed:
                self._failed(call)
            if slow and self._worth.call_level(call) is not Level.ERRORS:
                self._logger.warning(semconv.SLOW_EVENT, **self._fields(call))

    def _failed(self, call: ReceiverCall) -> None:
        # A captured error ends here; one that propagates is its caller's to judge.
        log = self._logger.error if call.dispatch.policy is CAPTURE else self._logger.warning
        log(semconv.FAILED_EVENT, **self._fields(call), **_error_fields(call.error))

    def _fields(self, call: ReceiverCall) -> dict[str, Any]:
        dispatch = call.dispatch
        context = self._context_of(call)
        span_context = get_current_span(context).get_span_context()
        ids = {
            "trace_id": format_trace_id(span_context.trace_id),
            "span_id": format_span_id(span_context.span_id),
        }
        return {
            "system": dispatch.site.system,
            "signal": dispatch.site.name,
            "sender": describe.sender_name(dispatch.sender),
            "receiver": describe.receiver_name(call.receiver),
            "operation": dispatch.operation,
            "duration_s": call.duration,
            **(ids if span_context.is_valid else {}),
        }


class ExceptionEvents:
    """Emits OpenTelemetry's log event for each receiver that raised."""

    def __init__(self, logger: Logger, worth: Worth, context_of: ContextOf) -> None:
        self._logger = logger
        self._worth = worth
        self._context_of = context_of

    def finished(self, dispatch: Dispatch) -> None:
        """Emit the events of *dispatch*."""
        for call in dispatch.calls:
            if call.failed and call.error is not None and self._worth.call_level(call) is not Level.OFF:
                self._logger.emit(self._event(call, call.error))

    def _event(self, call: ReceiverCall, error: BaseException) -> LogRecord:
        captured = call.dispatch.policy is CAPTURE
        return LogRecord(
            timestamp=call.dispatch.at(call.ended or call.began),
            context=self._context_of(call),
            severity_number=SeverityNumber.ERROR if captured else SeverityNumber.WARN,
            event_name=semconv.EXCEPTION_EVENT,
            attributes={
                semconv.SYSTEM_NAME: call.dispatch.site.system,
                semconv.SIGNAL_NAME: call.dispatch.site.name,
                semconv.OPERATION_NAME: call.dispatch.operation,
                semconv.ERROR_POLICY: call.dispatch.policy.name,
                semconv.FUNCTION_NAME: describe.receiver_name(call.receiver),
                semconv.ERROR_TYPE: describe.error_type(error),
                semconv.EXCEPTION_TYPE: describe.error_type(error),
                semconv.EXCEPTION_MESSAGE: _message(error),
                semconv.EXCEPTION_STACKTRACE: _stacktrace(error),
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


def _error_fields(error: BaseException | None) -> dict[str, str]:
    if error is None:
        return {}
    return {"error_type": describe.error_type(error), "exception": _stacktrace(error)}


def _stacktrace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))  # without local variables: they are payload
    except Exception:  # an exception's __str__ is other people's code
        return "".join(traceback.format_tb(error.__traceback__)) + describe.error_type(error)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception's __str__ is other people's code
        return ""
