"""Spans through OpenTelemetry's API alone, for any provider.

While a receiver runs, a :class:`DeferredSpan` is current in its context. It becomes a real span when the
dispatch has ended and the span is worth it, or at once when somebody asks it for anything: a child span, a
log line, the receiver itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode, Tracer

from heliograph.config import Level
from heliograph.fanout.facts import Dispatch
from heliograph.fanout.observer import attempt
from heliograph.telemetry import semconv
from heliograph.telemetry.attributes import (
    dispatch_attributes,
    outcome_attributes,
    record_exception,
    rolled_up_attributes,
)
from heliograph.telemetry.finished import Finished
from heliograph.telemetry.plans import Choices, ReceiverPlan
from heliograph.telemetry.roll_up import RolledUp

__all__ = ["ApiSpans", "ApiTrace", "DeferredSpan"]

Entered = tuple[Any, Context]


class DeferredSpan(Span):
    """Stands for a span that starts when it is asked for.

    Args:
        start: Starts the real span, in the context given.
        outer: The context in which it would have started.
    """

    __slots__ = ("_lock", "_real", "_start", "_starting", "homes", "made", "outer", "waiting")

    def __init__(self, start: Callable[[Context], Span], outer: Context) -> None:
        self._start = start
        self._starting = False
        self._real: Span | None = None
        self._lock = threading.RLock()
        self.outer = outer
        self.made = self.waiting = trace.set_span_in_context(self, outer)
        self.homes = [self.made]  # all contexts in which it is current, and which may be restored after its end

    @property
    def started(self) -> bool:
        """Whether anybody has asked for the span."""
        return self._real is not None

    @property
    def real(self) -> Span:
        """The real span, started now unless it was before."""
        if self._real is not None:
            return self._real
        with self._lock:  # a receiver's threads may ask at the same time
            if self._real is None and not self._starting:
                self._starting = True
                # Where a sampler or a processor fails, who runs in this context must not notice: they get the parent.
                self._real = attempt(self._start, self.outer) or _parent_of(self.outer)
            # A processor may ask, in a log line, while the span is being started.
            return self._real or _parent_of(self.outer)

    def let_go(self) -> None:
        """Let go of the fact, which is over: who asks for the span only now gets the parent's in its place."""
        self._start = _parent_of
        self.made = self.waiting = self.outer
        self.homes = []

    def end(self, end_time: int | None = None) -> None:
        self.real.end(end_time)

    def get_span_context(self) -> SpanContext:
        return self.real.get_span_context()

    def is_recording(self) -> bool:
        return self.real.is_recording()

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self.real.set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self.real.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.real.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self.real.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.real.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.real.set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        self.real.record_exception(exception, attributes, timestamp, escaped)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.real.__exit__(kind, error, traceback)


def _parent_of(outer: Context) -> Span:
    return NonRecordingSpan(trace.get_current_span(outer).get_span_context())


class ApiTrace:
    """The spans of one dispatch.

    Attributes:
        maker: Makes them.
        outer: The context in which the signal was sent.
        own: The dispatch's span.
        spans: Receivers' spans, by position.
        plans: What is said about each receiver, once it is over.
    """

    __slots__ = ("maker", "outer", "own", "plans", "spans")

    def __init__(self, maker: ApiSpans, own: DeferredSpan) -> None:
        self.maker = maker
        self.outer = own.outer
        self.own = own
        self.spans: dict[int, DeferredSpan] = {}
        self.plans: Sequence[ReceiverPlan] | None = None

    @property
    def ids(self) -> Collection[int]:
        """The positions of the receivers whose spans anybody has asked for."""
        return {position for position, span in self.spans.items() if span.started}

    @property
    def asked_for(self) -> bool:
        """Whether anybody has asked for one of its spans, which then has to be there."""
        return self.own.started

    def foreign_parent(self) -> SpanContext | None:
        """Return the context of the span around the send, unless that is one of ours."""
        span = trace.get_current_span(self.outer)
        return None if isinstance(span, DeferredSpan) else span.get_span_context()

    def exported_context(self, position: int | None) -> SpanContext | None:
        """Return the context of a receiver's span, or of the dispatch's own, if it is exported, else None."""
        span = self.own if position is None else self.spans.get(position)
        if span is None or not span.started:
            return None
        context = span.get_span_context()
        return context if context.trace_flags.sampled else None

    def adopt(self, left: Context) -> None:
        """Take *left*, which a receiver leaves attached, for the context in which the signal was sent.

        As :meth:`heliograph.telemetry.dispatch_trace.DispatchTrace.adopt`.
        """
        outer, parent = trace.get_current_span(self.outer), trace.get_current_span(left)
        if self.own.started or isinstance(outer, DeferredSpan) or isinstance(parent, DeferredSpan):
            return
        if parent.get_span_context().is_valid and not outer.get_span_context().is_valid:
            self.outer = self.own.outer = left

    def claim_parent(self, finished: Finished) -> None:
        """Do nothing: the parent's span starts as this dispatch's does."""

    def drop(self) -> bool:
        """Let go of everything, unless anybody has asked for one of its spans; return whether nobody has."""
        dropped = not self.asked_for
        if dropped:
            self.let_go()
        return dropped

    def let_go(self) -> None:
        """Let go of the dispatch, which is over; its contexts may live on in tasks."""
        for span in (self.own, *self.spans.values()):
            span.let_go()


class ApiSpans:
    """Stands inside receivers, and makes the spans of finished dispatches.

    Args:
        tracer: Starts them.
        choices: What is decided elsewhere.
    """

    def __init__(self, tracer: Tracer, choices: Choices) -> None:
        self._tracer = tracer
        self._opening = threading.Lock()
        self._signal_of, self._roll_up, self._record_exceptions = choices

    def enter(self, dispatch: Dispatch, position: int) -> Entered | None:
        """Make the receiver's span current; or what the receiver had made current when it last stopped to wait."""
        opened: ApiTrace = dispatch.inside or self.open(dispatch)
        span = opened.spans.get(position)
        if span is None:
            plan = self._signal_of(dispatch.site).plan(dispatch, position)
            if plan.level is Level.OFF:
                return None
            span = opened.spans[position] = self._deferred(dispatch, opened, plan, position)
        return otel_context.attach(span.waiting), span.waiting

    def leave(self, dispatch: Dispatch, position: int, entered: Entered | None) -> None:
        """Make current again what was before, but for what the receiver leaves attached for good."""
        opened: ApiTrace = dispatch.inside
        if entered is not None:
            self._leave_span(opened.spans[position], entered[0], ended=dispatch.endeds[position] is not None)
        if position < dispatch.first_async:
            opened.adopt(otel_context.get_current())

    def open(self, dispatch: Dispatch) -> ApiTrace:
        """Return the spans of a dispatch, none of them started."""

        def start(outer: Context) -> Span:
            finished = Finished(dispatch, self._signal_of(dispatch.site))
            return self._tracer.start_span(
                semconv.dispatch_span_name(dispatch.operation, dispatch.site.name),
                outer,
                attributes=dispatch_attributes(finished),
                start_time=dispatch.started_at,
            )

        with self._opening:  # under asend, receivers begin on two threads
            if dispatch.inside is None:
                dispatch.inside = ApiTrace(self, DeferredSpan(start, otel_context.get_current()))
            opened: ApiTrace = dispatch.inside
            return opened

    def export(self, finished: Finished, errors: Mapping[int, BaseException]) -> str | None:
        """Start and end the spans that *finished* is worth; return why it has none, if so."""
        opened: ApiTrace = finished.inside
        spoken = finished.spoken(opened.ids)
        if not spoken and not finished.deserves_span:
            return semconv.FILTERED
        if not opened.asked_for:
            reason: str | None = self._roll_up(finished, opened.outer)
            if reason is not None:
                return reason
        opened.own.real  # noqa: B018  # parents first
        for position in spoken:
            attempt(self._export_call, finished, position, opened, errors.get(position))
        attempt(self._export_dispatch, finished, opened.own)
        return None

    def export_rolled_up(self, rolled_up: RolledUp) -> None:
        """Start and end the span of a roll-up."""
        first = rolled_up.first
        span = self._tracer.start_span(
            semconv.dispatch_span_name(first.operation, first.signal.name),
            rolled_up.parent,
            attributes={**dispatch_attributes(first), **rolled_up_attributes(rolled_up)},
            start_time=first.started_at,
        )
        span.end(rolled_up.end)

    def _deferred(self, dispatch: Dispatch, opened: ApiTrace, plan: ReceiverPlan, position: int) -> DeferredSpan:
        def start(outer: Context) -> Span:
            # The parent is named, not taken from the context: the dispatch itself is never current.
            parent = trace.set_span_in_context(opened.own.real, outer)
            start_time = dispatch.at(dispatch.begans[position] or dispatch.began)
            return self._tracer.start_span(
                plan.span_name, parent, attributes=plan.span_attributes, start_time=start_time
            )

        return DeferredSpan(start, otel_context.get_current())

    def _leave_span(self, span: DeferredSpan, token: Any, *, ended: bool) -> None:
        current = otel_context.get_current()
        if ended and current is not span.made:
            self._leave_attached(span, current)
            return
        if not ended:
            span.waiting = current
        otel_context.detach(token)

    def _leave_attached(self, span: DeferredSpan, current: Context) -> None:
        """The receiver ended with another context attached, or detached one that it had not attached itself.

        What it did stays done. Our span has ended, so it may not be current in what stays, nor become
        current again when what stays is detached: the context that we attached turns into the outer one.
        """
        outer_span = trace.get_current_span(span.outer)
        for home in span.homes:
            dict.clear(home)
            dict.update(home, span.outer)
        if isinstance(outer_span, DeferredSpan):
            outer_span.homes += span.homes  # until that one ends too
        if trace.get_current_span(current) is span:
            otel_context.attach(trace.set_span_in_context(outer_span, current))

    def _export_dispatch(self, finished: Finished, span: DeferredSpan) -> None:
        span.set_attributes(outcome_attributes(finished))
        if finished.failed:
            span.set_status(StatusCode.ERROR)
        span.end(finished.at(finished.ended))

    def _export_call(self, finished: Finished, position: int, opened: ApiTrace, error: BaseException | None) -> None:
        span = opened.spans.get(position)
        end_time = finished.at(finished.endeds[position])
        failure = finished.failures.get(position)
        if span is None:  # it raised when called, before there was a context to stand in
            span = self._call_span(finished, position, opened)
        if position in finished.uids:
            span.set_attribute(semconv.RECEIVER_DISPATCH_UID, finished.uids[position])
        if failure is not None:
            span.set_attribute(semconv.ERROR_TYPE, failure.type)
            span.set_status(StatusCode.ERROR)
            if self._record_exceptions and error is not None:
                record_exception(span, error, failure, end_time)
        if not span.started or span.is_recording():
            span.end(end_time)

    def _call_span(self, finished: Finished, position: int, opened: ApiTrace) -> DeferredSpan:
        plan = (finished.receivers or [])[position]
        parent = trace.set_span_in_context(opened.own.real, opened.outer)
        start_time = finished.at(finished.begans[position])

        def start(_: Context) -> Span:
            return self._tracer.start_span(
                plan.span_name, parent, attributes=plan.span_attributes, start_time=start_time
            )

        span = opened.spans[position] = DeferredSpan(start, opened.outer)
        return span
