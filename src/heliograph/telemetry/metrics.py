"""Metrics from facts: how long dispatches and receivers took, how many receivers there were, what was not traced."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from typing import ClassVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan
from opentelemetry.util.types import AttributeValue

from heliograph.config import Level
from heliograph.telemetry import semconv
from heliograph.telemetry.finished import Finished

__all__ = ["Instruments", "Metrics"]

Attributes = dict[str, AttributeValue]


class Instruments:
    """The instruments of one meter provider, shared by all that records there: the SDK makes each but once."""

    _of: ClassVar[weakref.WeakKeyDictionary[MeterProvider, Instruments]] = weakref.WeakKeyDictionary()

    def __init__(self, meter: Meter) -> None:
        self._untraced: Counter[tuple[str, str, str]] = Counter()
        self._counting = threading.Lock()
        self.before_collection: list[Callable[[], None]] = []
        self.dispatch_duration = meter.create_histogram(
            semconv.DISPATCH_DURATION,
            semconv.SECONDS,
            "Duration of a dispatch, from the start of the send to its end.",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS,
        )
        self.receiver_duration = meter.create_histogram(
            semconv.RECEIVER_DURATION,
            semconv.SECONDS,
            "Duration of a receiver's call.",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS,
        )
        self.receivers = meter.create_histogram(
            semconv.DISPATCH_RECEIVERS,
            semconv.RECEIVERS,
            "Number of receivers that a dispatch was due to call.",
            explicit_bucket_boundaries_advisory=semconv.RECEIVER_BUCKETS,
        )
        meter.create_observable_counter(
            semconv.DISPATCH_UNTRACED,
            [self._observe_untraced],
            semconv.DISPATCHES,
            "Number of dispatches that have no span of their own.",
        )

    @classmethod
    def of(cls, provider: MeterProvider, scope: str, version: str) -> Instruments:
        """Return the instruments of *provider*."""
        found = cls._of.get(provider)
        if found is None:
            found = cls._of[provider] = cls(provider.get_meter(scope, version))
        return found

    def count_untraced(self, dispatch: Finished) -> None:
        """Count a dispatch that has no span of its own."""
        with self._counting:
            self._untraced[dispatch.signal.system, dispatch.signal.name, dispatch.untraced or ""] += 1

    def _observe_untraced(self, _: CallbackOptions) -> Iterable[Observation]:
        # Asked when a collection begins, before the histograms are read: what waits is recorded now.
        for record_all in list(self.before_collection):
            record_all()
        return [
            Observation(
                count,
                {semconv.SYSTEM_NAME: system, semconv.SIGNAL_NAME: signal, semconv.UNTRACED_REASON: reason},
            )
            for (system, signal, reason), count in list(self._untraced.items())
        ]


class Metrics:
    """Records finished dispatches.

    Args:
        instruments: Where.
        with_sender: Whether the sender's name is an attribute.
    """

    def __init__(self, instruments: Instruments, *, with_sender: bool) -> None:
        self._instruments = instruments
        self._with_sender = with_sender

    def record(self, dispatch: Finished) -> None:
        """Record *dispatch* and its calls."""
        signal = self._signal_attributes(dispatch)
        operation: Attributes = {**signal, semconv.OPERATION_NAME: dispatch.operation}
        context = _exemplar_context(dispatch, None)
        failure: Attributes = {} if dispatch.error is None else {semconv.ERROR_TYPE: dispatch.error.type}
        self._instruments.dispatch_duration.record(dispatch.duration, {**operation, **failure}, context)
        if dispatch.receivers is not None:
            self._instruments.receivers.record(len(dispatch.receivers), operation, context)
            self._record_calls(dispatch, signal)

    def _record_calls(self, dispatch: Finished, signal: Attributes) -> None:
        record = self._instruments.receiver_duration.record
        for position, plan in enumerate(dispatch.receivers or ()):
            began, ended = dispatch.begans[position], dispatch.endeds[position]
            if began is None or ended is None or plan.level is Level.OFF:
                continue
            attributes = plan.metric_attributes
            failure = dispatch.failures.get(position)
            if failure is not None:
                attributes = {**attributes, semconv.ERROR_TYPE: failure.type}
            if self._with_sender:
                attributes = {**attributes, **signal}
            record((ended - began) / 1e9, attributes, _exemplar_context(dispatch, position))

    def _signal_attributes(self, dispatch: Finished) -> Attributes:
        if self._with_sender and dispatch.sender:
            return {**dispatch.signal.attributes, semconv.SENDER_NAME: dispatch.sender}
        return dispatch.signal.attributes


# Neither None nor empty, or the SDK would look into the current context, and ask an enclosing span of ours for its ids.
_NO_SPAN = trace.set_span_in_context(INVALID_SPAN, Context())


def _exemplar_context(dispatch: Finished, position: int | None) -> Context:
    span_context = dispatch.span_context(position) or dispatch.foreign_parent()
    return _NO_SPAN if span_context is None else trace.set_span_in_context(NonRecordingSpan(span_context), Context())
