"""Every name of a span, metric, attribute and event, and every unit: the single source.

What is not ours is from OpenTelemetry's semantic conventions: ``code.*``, ``error.type``, ``exception.*``.
OpenTelemetry has no conventions for signals in one process (semantic-conventions issue 1963 rules out
``messaging.*`` for them), hence the namespace ``heliograph``.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "heliograph"

# Attributes
SYSTEM_NAME: Final = "heliograph.system.name"
SIGNAL_NAME: Final = "heliograph.signal.name"
OPERATION_NAME: Final = "heliograph.operation.name"
ERROR_POLICY: Final = "heliograph.error.policy"
SENDER_NAME: Final = "heliograph.sender.name"
RECEIVER_COUNT: Final = "heliograph.dispatch.receiver.count"
RECEIVER_FAILED_COUNT: Final = "heliograph.dispatch.receiver.failed_count"
RECEIVER_SKIPPED: Final = "heliograph.dispatch.receiver.skipped"
DEPTH: Final = "heliograph.dispatch.depth"
ROLLED_UP_COUNT: Final = "heliograph.dispatch.rolled_up.count"
ROLLED_UP_DURATION: Final = "heliograph.dispatch.rolled_up.duration"
ROLLED_UP_WORST: Final = "heliograph.dispatch.rolled_up.worst_duration"
RECEIVER_MODE: Final = "heliograph.receiver.mode"
RECEIVER_DISPATCH_UID: Final = "heliograph.receiver.dispatch_uid"
ARGUMENT_NAMES: Final = "heliograph.signal.argument_names"
UNTRACED_REASON: Final = "reason"
FUNCTION_NAME: Final = "code.function.name"
FILE_PATH: Final = "code.file.path"
LINE_NUMBER: Final = "code.line.number"
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# Values of UNTRACED_REASON
FILTERED: Final = "filtered"
BUDGET: Final = "budget"
ROLLED_UP: Final = "rolled_up"

# Metrics; a unit is UCUM, as OpenTelemetry has it
DISPATCH_DURATION: Final = "heliograph.dispatch.duration"
RECEIVER_DURATION: Final = "heliograph.receiver.duration"
DISPATCH_RECEIVERS: Final = "heliograph.dispatch.receivers"
DISPATCH_UNTRACED: Final = "heliograph.dispatch.untraced"
SECONDS: Final = "s"
RECEIVERS: Final = "{receiver}"
DISPATCHES: Final = "{dispatch}"
DURATION_BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
RECEIVER_BUCKETS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000)

# Events: OpenTelemetry's log event, and those of structlog
EXCEPTION_EVENT: Final = "heliograph.receiver.exception"
FAILED_EVENT: Final = "signal_receiver_failed"
SLOW_EVENT: Final = "signal_receiver_slow"


def dispatch_span_name(operation: str, signal_name: str) -> str:
    """Return the name of a dispatch's span: its verb and the last segment of the signal's name."""
    return f"{operation} {signal_name.rpartition('.')[2]}"


def receiver_span_name(receiver_name: str) -> str:
    """Return the name of a receiver's span."""
    return f"handle {receiver_name}"
