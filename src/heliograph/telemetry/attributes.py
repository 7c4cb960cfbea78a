"""Attributes of dispatch spans, from the facts in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from heliograph.fanout.plain import plain
from heliograph.telemetry import semconv
from heliograph.telemetry.finished import Failure, Finished

if TYPE_CHECKING:
    from heliograph.telemetry.roll_up import RolledUp

__all__ = ["Attributes", "dispatch_attributes", "outcome_attributes", "record_exception", "rolled_up_attributes"]

Attributes = dict[str, AttributeValue]


def record_exception(span: Span, error: BaseException, failure: Failure, timestamp: int) -> None:
    """Record *error* as an event of *span*, as the SDK does; less of it where its message cannot or shall not be had."""
    if failure.message is None:
        bare = {semconv.EXCEPTION_TYPE: failure.type, semconv.EXCEPTION_STACKTRACE: failure.stacktrace}
        span.add_event("exception", bare, timestamp)
        return
    told = {semconv.EXCEPTION_MESSAGE: failure.message, semconv.EXCEPTION_STACKTRACE: failure.stacktrace}
    try:  # in our words: the SDK's are lost where they hold what cannot be encoded, as names of files may
        span.record_exception(error, told, timestamp)
    except Exception:  # an exception's __str__ is other people's code
        span.add_event("exception", {semconv.EXCEPTION_TYPE: failure.type}, timestamp)


def dispatch_attributes(dispatch: Finished) -> Attributes:
    """Return the attributes that a dispatch has from its start."""
    attributes: Attributes = {
        **dispatch.signal.attributes,
        semconv.OPERATION_NAME: dispatch.operation,
        semconv.ERROR_POLICY: dispatch.policy,
    }
    if dispatch.sender:
        attributes[semconv.SENDER_NAME] = dispatch.sender
    if dispatch.receivers is not None:
        attributes[semconv.RECEIVER_COUNT] = len(dispatch.receivers)
    if dispatch.depth:
        attributes[semconv.DEPTH] = dispatch.depth
    if semconv.ARGUMENT_NAMES in dispatch.signal.worth.settings.extra_attributes:
        attributes[semconv.ARGUMENT_NAMES] = tuple(map(plain, dispatch.argument_names))
    return attributes


def outcome_attributes(dispatch: Finished) -> Attributes:
    """Return the attributes that say what came of a dispatch."""
    attributes: Attributes = {}
    if dispatch.receivers is not None:  # of some libraries they become known one by one, after a span may have begun
        attributes[semconv.RECEIVER_COUNT] = len(dispatch.receivers)
    if dispatch.failures:
        attributes[semconv.RECEIVER_FAILED_COUNT] = len(dispatch.failures)
    if skipped := dispatch.skipped:
        attributes[semconv.RECEIVER_SKIPPED] = skipped
    if dispatch.error is not None:
        attributes[semconv.ERROR_TYPE] = dispatch.error.type
    return attributes


def rolled_up_attributes(rolled_up: RolledUp) -> Attributes:
    """Return the attributes that say what a roll-up stands for."""
    attributes: Attributes = {
        semconv.ROLLED_UP_COUNT: rolled_up.count,
        semconv.ROLLED_UP_DURATION: rolled_up.duration,
        semconv.ROLLED_UP_WORST: rolled_up.worst,
    }
    if rolled_up.failed_count:
        attributes[semconv.RECEIVER_FAILED_COUNT] = rolled_up.failed_count
    return attributes
