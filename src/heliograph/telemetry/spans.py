"""Spans from facts. All that is known of spans, and of OpenTelemetry's context, is in this file.

While a receiver runs, a :class:`DeferredSpan` is current in its context. It becomes a real span when the
dispatch has ended and the span is worth it, or at once when somebody asks it for anything: a child span, a
log line, the receiver itself. So a quiet level leaves no orphans, and costs no spans either.
"""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from heliograph.config import Level
from heliograph.fanout import describe
from heliograph.fanout.facts import Dispatch, ReceiverCall
from heliograph.fanout.observer import attempt
from heliograph.telemetry import semconv
from heliograph.telemetry.policy import Worth

__all__ = ["DeferredSpan", "SpanObserver", "current_context_of"]

Attributes = dict[str, AttributeValue]

_OPEN_PARENTS = 1024  # spans under which dispatches are counted at the same time; the oldest is closed first


_SIGNALS_PER_PARENT = 256  # signals that are counted under one of them


class DeferredSpan(Span):
    """Stands for a span that starts when it is asked for, with the times of its fact.

    Args:
        start: Starts the real span.
        outer: The context in which the fact began.
    """

    __slots__ = ("_lock", "_real", "_start", "_starting", "context", "ended", "home", "homes", "outer", "rolled_up")

    def __init__(self, start: Callable[[Context], Span], outer: Context) -> None:
        self._start = start
        self._starting = False
        self._real: Span | None = None
        self._lock = threading.RLock()
        self.outer = outer
        self.home = trace.set_span_in_context(self, outer)  # the context in which it is current
        self.homes = [self.home]  # all contexts in which it is current, and which may be restored after its end
        self.context = self.home  # the one to go on in: the receiver may have attached another when it last waited
        self.ended = False
        self.rolled_up: dict[str, _RolledUp] = {}

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
        self.home = self.context = self.outer
        self.homes = []

    def finish(self, end_time: int) -> None:
        """End the real span, unless the receiver has ended it itself."""
        if not self.ended:
            self.end(end_time)

    def end(self, end_time: int | None = None) -> None:
        self.ended = True
        self.real.end(end_time)

    def get_span_context(self) -> SpanContext:
        return self.real.get_span_context()

    def is_recording(self) -> bool:
        return not self.ended and self.real.is_recording()

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
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self.real.record_exception(exception, attributes, timestamp, escaped)


def _parent_of(outer: Context) -> Span:
    return NonRecordingSpan(trace.get_current_span(outer).get_span_context())


class SpanObserver:
    """Makes the spans of one provider.

    Args:
        tracer: Starts them.
        worth: Decides which.
        record_exceptions: Whether receivers' exceptions become events of their spans.
        provider: Its processors are asked to tell when the parent of a roll-up ends, if it has any.
    """

    def __init__(self, tracer: Tracer, worth: Worth, *, record_exceptions: bool, provider: Callable[[], Any]) -> None:
        self._lock = threading.Lock()
        self._tracer = tracer
        self._worth = worth
        self._record_exceptions = record_exceptions
        self._extra = worth.settings.extra_attributes
        self._roll_ups = _RollUps(worth.settings.budget, self._emit_rolled_up, provider)

    def enter(self, call: ReceiverCall) -> Any:
        """Make the call's span current; or what the receiver had made current when it last stopped to wait."""
        if call.span is None:
            if self._worth.call_level(call) is Level.OFF:
                return None
            call.span = self._deferred(call)
        return otel_context.attach(call.span.context)

    def leave(self, call: ReceiverCall, token: Any) -> None:
        """Make current again what was before, but for what the receiver leaves attached for good."""
        if token is None:
            return
        current = otel_context.get_current()
        if call.ended is None:
            call.span.context = current
            otel_context.detach(token)
        elif current is call.span.home:
            otel_context.detach(token)
        else:
            self._leave_attached(call.span, current)

    def finished(self, dispatch: Dispatch) -> str | None:
        """Start and end the spans that *dispatch* is worth; return why it has none, if so."""
        try:
            return self._finish(dispatch)
        finally:
            for span in (dispatch.span, *(call.span for call in dispatch.calls)):
                if span is not None:
                    span.let_go()

    def flush(self) -> None:
        """Start and end the spans of all open roll-ups."""
        self._roll_ups.close_all()

    def _finish(self, dispatch: Dispatch) -> str | None:
        level = self._worth.dispatch_level(dispatch)
        spoken = [call for call in dispatch.calls if self._is_worth(call)]
        asked_for = any(call.span is not None and call.span.started for call in spoken)
        if not spoken and not self._worth.deserves_span(dispatch, level):
            return semconv.FILTERED
        span = self._dispatch_span(dispatch)
        special = dispatch.failed_count > 0 or dispatch.failed or self._worth.is_slow(dispatch)
        if not asked_for and not span.started:
            reason = self._roll_ups.take(dispatch, span.outer, special=special)
            if reason is not None:
                return reason
        span.real  # parents first  # noqa: B018
        for call in spoken:
            attempt(self._finish_call, call)
        attempt(self._finish_dispatch, dispatch, span)
        return None

    def _is_worth(self, call: ReceiverCall) -> bool:
        level = self._worth.call_level(call)
        if level is Level.OFF:
            return False
        asked_for = call.span is not None and call.span.started
        return asked_for or self._worth.deserves_span(call, level)

    def _dispatch_span(self, dispatch: Dispatch) -> DeferredSpan:
        if dispatch.span is None:
            with self._lock:  # under asend, receivers begin on two threads
                if dispatch.span is None:
                    dispatch.span = DeferredSpan(
                        lambda outer: self._start_dispatch(dispatch, outer), otel_context.get_current()
                    )
        span: DeferredSpan = dispatch.span
        return span

    def _deferred(self, call: ReceiverCall) -> DeferredSpan:
        parent = self._dispatch_span(call.dispatch)

        def start(outer: Context) -> Span:
            # The parent is named, not taken from the context: the dispatch itself is never current.
            return self._start_call(call, trace.set_span_in_context(parent.real, outer))

        return DeferredSpan(start, otel_context.get_current())

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

    def _start_dispatch(self, dispatch: Dispatch, outer: Context) -> Span:
        name = semconv.dispatch_span_name(dispatch.operation, dispatch.site.name)
        attributes = _dispatch_attributes(dispatch)
        if semconv.ARGUMENT_NAMES in self._extra:
            attributes[semconv.ARGUMENT_NAMES] = dispatch.argument_names
        return self._tracer.start_span(name, outer, attributes=attributes, start_time=dispatch.started_at)

    def _start_call(self, call: ReceiverCall, parent: Context) -> Span:
        receiver = describe.receiver_name(call.receiver)
        attributes: Attributes = {
            semconv.SYSTEM_NAME: call.dispatch.site.system,
            semconv.SIGNAL_NAME: call.dispatch.site.name,
            semconv.FUNCTION_NAME: receiver,
            semconv.RECEIVER_MODE: call.mode.value,
            **self._extra_attributes(call),
        }
        name = semconv.receiver_span_name(receiver)
        return self._tracer.start_span(name, parent, attributes=attributes, start_time=call.dispatch.at(call.began))

    def _extra_attributes(self, call: ReceiverCall) -> Attributes:
        path, line = describe.receiver_location(call.receiver) or (None, None)
        uid = call.dispatch.site.dispatch_uid(call.receiver) if semconv.RECEIVER_DISPATCH_UID in self._extra else None
        found = {semconv.FILE_PATH: path, semconv.LINE_NUMBER: line, semconv.RECEIVER_DISPATCH_UID: uid}
        return {name: value for name, value in found.items() if value is not None and name in self._extra}

    def _finish_call(self, call: ReceiverCall) -> None:
        if call.span is None:  # it raised when called, before there was a context to stand in
            call.span = self._deferred(call)
        self._roll_ups.close_under(call.span)
        end_time = _end_time(call)
        if call.failed and call.error is not None:
            call.span.set_attribute(semconv.ERROR_TYPE, describe.error_type(call.error))
            call.span.set_status(StatusCode.ERROR)
            if self._record_exceptions:
                self._record_exception(call.span, call.error, end_time)
        call.span.finish(end_time)

    def _record_exception(self, span: Span, error: BaseException, timestamp: int) -> None:
        try:
            span.record_exception(error, timestamp=timestamp)
        except Exception:  # an exception's __str__ is other people's code
            span.add_event("exception", {semconv.EXCEPTION_TYPE: describe.error_type(error)}, timestamp)

    def _finish_dispatch(self, dispatch: Dispatch, span: DeferredSpan) -> None:
        if dispatch.failed_count:
            span.set_attribute(semconv.RECEIVER_FAILED_COUNT, dispatch.failed_count)
        if skipped := dispatch.skipped:
            span.set_attribute(semconv.RECEIVER_SKIPPED, [describe.receiver_name(one) for one in skipped])
        if dispatch.failed and dispatch.error is not None:
            span.set_attribute(semconv.ERROR_TYPE, describe.error_type(dispatch.error))
            span.set_status(StatusCode.ERROR)
        span.finish(_end_time(dispatch))

    def _emit_rolled_up(self, rolled_up: _RolledUp) -> None:
        first = rolled_up.first
        span = self._tracer.start_span(
            first.name, rolled_up.parent, attributes=first.attributes, start_time=first.start
        )
        span.set_attributes(
            {
                semconv.ROLLED_UP_COUNT: rolled_up.count,
                semconv.ROLLED_UP_DURATION: rolled_up.duration,
                semconv.ROLLED_UP_WORST: rolled_up.worst,
            }
        )
        if rolled_up.failed_count:
            span.set_attribute(semconv.RECEIVER_FAILED_COUNT, rolled_up.failed_count)
        span.end(rolled_up.end)


def current_context_of(fact: Dispatch | ReceiverCall) -> Context | None:
    """Return a context in which the fact's span is current, or None when it has no span that was started."""
    span = fact.span
    return trace.set_span_in_context(span.real, span.outer) if isinstance(span, DeferredSpan) and span.started else None


def _dispatch_attributes(dispatch: Dispatch) -> Attributes:
    attributes: Attributes = {
        semconv.SYSTEM_NAME: dispatch.site.system,
        semconv.SIGNAL_NAME: dispatch.site.name,
        semconv.OPERATION_NAME: dispatch.operation,
        semconv.ERROR_POLICY: dispatch.policy.name,
    }
    if sender := describe.sender_name(dispatch.sender):
        attributes[semconv.SENDER_NAME] = sender
    if dispatch.receivers is not None:
        attributes[semconv.RECEIVER_COUNT] = len(dispatch.receivers)
    if dispatch.depth:
        attributes[semconv.DEPTH] = dispatch.depth
    return attributes


def _end_time(fact: Dispatch | ReceiverCall) -> int:
    dispatch = fact if isinstance(fact, Dispatch) else fact.dispatch
    return dispatch.at(fact.ended or fact.began)


class _First:
    """What a roll-up's span takes from its first dispatch."""

    __slots__ = ("attributes", "name", "start")

    def __init__(self, dispatch: Dispatch) -> None:
        self.name = semconv.dispatch_span_name(dispatch.operation, dispatch.site.name)
        self.attributes = _dispatch_attributes(dispatch)
        self.start = dispatch.started_at


class _RolledUp:
    """The dispatches of one signal under one parent span: how many there were, and those beyond the budget as one."""

    __slots__ = ("count", "duration", "end", "failed_count", "first", "parent", "seen", "seen_special", "worst")

    first: _First

    def __init__(self, parent: Context) -> None:
        self.parent = parent
        self.seen = self.seen_special = self.count = self.failed_count = self.end = 0
        self.duration = self.worst = 0.0

    def add(self, dispatch: Dispatch) -> None:
        if not self.count:
            self.first = _First(dispatch)
        self.count += 1
        self.failed_count += dispatch.failed_count
        self.duration += dispatch.duration
        self.worst = max(self.worst, dispatch.duration)
        self.end = max(self.end, _end_time(dispatch))


class _RollUps:
    """Counts dispatches per signal and parent span, and rolls up those beyond the budget.

    A roll-up's span is made when its parent ends. Of our own spans we know; of another's an SDK provider
    tells its processors. Failed and slow dispatches have a budget to themselves, so that a thousand healthy
    ones do not hide them.
    """

    def __init__(self, budget: int, emit: Callable[[_RolledUp], None], provider: Callable[[], Any]) -> None:
        self._budget = budget
        self._emit = emit
        self._provider = provider
        self._told_by: Any = None
        self._open: OrderedDict[tuple[int, int], dict[str, _RolledUp]] = OrderedDict()

    def take(self, dispatch: Dispatch, outer: Context, *, special: bool) -> str | None:
        """Count *dispatch*; return why it shall have no spans of its own, or None when it shall."""
        parent = trace.get_current_span(outer)
        if parent is INVALID_SPAN or not parent.get_span_context().is_valid:
            return None  # a trace of its own, which the sampler decides about
        counts = parent.rolled_up if isinstance(parent, DeferredSpan) else self._counts_under(parent)
        mine = counts.get(dispatch.site.name)
        if mine is None:
            if len(counts) >= _SIGNALS_PER_PARENT:
                return semconv.BUDGET
            mine = counts[dispatch.site.name] = _RolledUp(outer)
        if special:
            mine.seen_special += 1
        else:
            mine.seen += 1
        if (mine.seen_special if special else mine.seen) <= self._budget:
            return None
        mine.add(dispatch)
        self._listen_for_ends()
        return semconv.ROLLED_UP

    def close_under(self, span: DeferredSpan) -> None:
        """Make the spans of what was rolled up under one of our own."""
        self._close(span.rolled_up)

    def close(self, span_context: SpanContext) -> None:
        """Make the spans of what was rolled up under another's span, which has ended."""
        self._close(self._open.pop((span_context.trace_id, span_context.span_id), {}))

    def close_all(self) -> None:
        """Make the spans of all that is rolled up."""
        while self._open:
            self._close(self._open.popitem(last=False)[1])

    def _close(self, counts: dict[str, _RolledUp]) -> None:
        for rolled_up in list(counts.values()):
            if rolled_up.count:
                attempt(self._emit, rolled_up)  # somebody's span is ending: it is not to fail because of ours
        counts.clear()

    def _counts_under(self, parent: Span) -> dict[str, _RolledUp]:
        context = parent.get_span_context()
        key = (context.trace_id, context.span_id)
        if key not in self._open and len(self._open) >= _OPEN_PARENTS:
            self._close(self._open.popitem(last=False)[1])
        return self._open.setdefault(key, {})

    def _listen_for_ends(self) -> None:
        provider = self._provider()
        if provider is self._told_by or not hasattr(provider, "add_span_processor"):
            return
        self._told_by = provider
        provider.add_span_processor(_EndListener(self))
        # Registered after the provider's own, so it runs before: while somebody still exports.
        atexit.register(self.close_all)


class _EndListener(SpanProcessor):
    """A span processor of the SDK that tells when spans end. Silent once its roll-ups are gone."""

    def __init__(self, roll_ups: _RollUps) -> None:
        self._roll_ups = roll_ups

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is not None:
            self._roll_ups.close(context)

    def shutdown(self) -> None:
        self._roll_ups.close_all()
