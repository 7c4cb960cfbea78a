"""Metrics from facts: how long dispatches and receivers took, how many receivers there were, what was not traced."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.util.types import AttributeValue

from heliograph.config import Level
from heliograph.fanout import describe
from heliograph.fanout.facts import Dispatch, ReceiverCall
from heliograph.telemetry import semconv
from heliograph.telemetry.policy import Worth

__all__ = ["MetricsObserver"]

Attributes = dict[str, AttributeValue]


class MetricsObserver:
    """Records the metrics of one provider.

    Args:
        meter: Creates the instruments.
        worth: Decides which receivers are left out.
        context_of: Returns a context in which a fact's span is current, for exemplars.
    """

    def __init__(
        self, meter: Meter, worth: Worth, context_of: Callable[[Dispatch | ReceiverCall], Context | None]
    ) -> None:
        self._worth = worth
        self._context_of = context_of
        self._with_sender = semconv.SENDER_NAME in worth.settings.extra_attributes
        self._dispatch_duration = meter.create_histogram(
            semconv.DISPATCH_DURATION,
            semconv.SECONDS,
            "Duration of a dispatch, from the start of the send to its end.",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS,
        )
        self._receiver_duration = meter.create_histogram(
            semconv.RECEIVER_DURATION,
            semconv.SECONDS,
            "Duration of a receiver's call.",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS,
        )
        self._receivers = meter.create_histogram(
            semconv.DISPATCH_RECEIVERS,
            semconv.RECEIVERS,
            "Number of receivers that a dispatch was due to call.",
            explicit_bucket_boundaries_advisory=semconv.RECEIVER_BUCKETS,
        )
        self._untraced = meter.create_counter(
            semconv.DISPATCH_UNTRACED,
            semconv.DISPATCHES,
            "Number of dispatches that have no span of their own.",
        )

    def finished(self, dispatch: Dispatch, untraced: str | None) -> None:
        """Record *dispatch* and its calls; *untraced* is why it has no span, if so."""
        signal = self._signal_attributes(dispatch)
        operation: Attributes = {**signal, semconv.OPERATION_NAME: dispatch.operation}
        context = self._context_of(dispatch)
        self._dispatch_duration.record(dispatch.duration, {**operation, **_error_type(dispatch)}, context)
        if dispatch.receivers is not None:
            self._receivers.record(len(dispatch.receivers), operation, context)
        if untraced is not None:
            self._untraced.add(1, {**signal, semconv.UNTRACED_REASON: untraced}, context)
        for call in dispatch.calls:
            if self._worth.call_level(call) is not Level.OFF:
                self._record_call(call, signal)

    def _record_call(self, call: ReceiverCall, signal: Attributes) -> None:
        attributes: Attributes = {
            **signal,
            semconv.FUNCTION_NAME: describe.receiver_name(call.receiver),
            semconv.RECEIVER_MODE: call.mode.value,
            **_error_type(call),
        }
        self._receiver_duration.record(call.duration, attributes, self._context_of(call))

    def _signal_attributes(self, dispatch: Dispatch) -> Attributes:
        attributes: Attributes = {
            semconv.SYSTEM_NAME: dispatch.site.system,
            semconv.SIGNAL_NAME: dispatch.site.name,
        }
        sender = describe.sender_name(dispatch.sender) if self._with_sender else None
        if sender:
            attributes[semconv.SENDER_NAME] = sender
        return attributes


def _error_type(fact: Dispatch | ReceiverCall) -> Attributes:
    return {semconv.ERROR_TYPE: describe.error_type(fact.error)} if fact.failed and fact.error is not None else {}
