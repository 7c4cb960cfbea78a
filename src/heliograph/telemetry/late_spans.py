"""Spans made late, for the SDK's own provider: while receivers run, nothing is made that nobody asks for.

What is current in a receiver's context is a :class:`ReceiverSpan`: two words that say which receiver of which
dispatch. It gets its ids when somebody asks for them (a child span, a log line, the exporter), and a span of the
SDK's own is made for it only when somebody writes to it, or when the receiver failed. All others are made as
:class:`FactSpan`, off the hot path, from what the dispatch has noted.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from heliograph.config import Level
from heliograph.fanout.facts import Dispatch
from heliograph.telemetry import semconv
from heliograph.telemetry.attributes import (
    Attributes,
    dispatch_attributes,
    outcome_attributes,
    record_exception,
    rolled_up_attributes,
)
from heliograph.telemetry.finished import Finished
from heliograph.telemetry.plans import Choices, ReceiverPlan, SignalPlan
from heliograph.telemetry.roll_up import RolledUp
from heliograph.telemetry.sdk import SPAN_KEY, SdkTracer

__all__ = ["DispatchTrace", "FactSpan", "LateSpans", "ReceiverSpan"]

_UNSET = Status(StatusCode.UNSET)
_ERROR = Status(StatusCode.ERROR)

# A context and a span that nobody else refers to are used for the next receiver. The numbers: the pair that holds
# them and the argument, and for the span the context besides. Where references are not counted, none is used twice.
_COUNTS_REFERENCES = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
_OWN_REFERENCES = 2
_references = sys.getrefcount if _COUNTS_REFERENCES else lambda _: _OWN_REFERENCES + 2


class DispatchTrace:
    """What is known of the spans of one dispatch while they are not made.

    Attributes:
        maker: Makes them.
        own: The dispatch's span context, once anybody has asked for it or for a receiver's.
        sampled: Whether its spans are recorded; False until then.
        ids: Receivers' span contexts that were asked for, by position.
        spans: Receivers' spans of the SDK's own, by position.
        waiting: By position of async receivers: the context made for it, and the one it stopped to wait in.
        exported: The positions of the receivers that have a span, once that is decided; None before.
        pair: A context and its span, for the next plain receiver.
    """

    __slots__ = (
        "_dispatch",
        "_outer",
        "_parent",
        "_signal",
        "_tracer",
        "exported",
        "ids",
        "maker",
        "own",
        "pair",
        "sampled",
        "spans",
        "waiting",
    )

    _starting = threading.RLock()  # a parent starts while its child does

    def __init__(self, maker: LateSpans, dispatch: Dispatch, outer: Context, signal: SignalPlan) -> None:
        self.maker = maker
        self._dispatch: Dispatch | None = dispatch
        self._signal = signal
        self._tracer = maker.tracer
        self._outer = outer
        self._parent = outer.get(SPAN_KEY)
        self.own: SpanContext | None = None
        self.sampled = False
        self.ids: dict[int, SpanContext] = {}
        self.spans: dict[int, Span] = {}
        self.waiting: dict[int, tuple[Context, Context]] = {}
        self.exported: Collection[int] | None = None
        self.pair: tuple[Context, ReceiverSpan] | None = None

    @property
    def outer(self) -> Context:
        """The context in which the signal was sent; its span may have left it since (see :func:`_pass_on`)."""
        if self._outer.get(SPAN_KEY) is self._parent:
            return self._outer
        return Context({**self._outer, SPAN_KEY: self._parent})

    @property
    def asked_for(self) -> bool:
        """Whether anybody has asked for one of its spans, which then has to be there."""
        return self.own is not None

    def start(self) -> SpanContext:
        """Return the dispatch's span context, made now unless it was before."""
        with self._starting:  # asked by a receiver's thread and by the exporter's
            if self.own is None:
                self.own, self.sampled = _started(self._tracer, self.outer, self._signal.name)
            return self.own

    def context_at(self, position: int, outer: Context) -> SpanContext:
        """Return the span context of the receiver at *position*: that of *outer* if it shall have no span."""
        found = self.ids.get(position)
        if found is not None:
            return found
        if not self._is_spoken_of(position):
            return trace.get_current_span(outer).get_span_context()
        own = self.start()
        made = SpanContext(own.trace_id, self._tracer.ids.generate_span_id(), False, own.trace_flags, own.trace_state)
        return self.ids.setdefault(position, made)

    def span_at(self, position: int, outer: Context) -> Span:
        """Return a span of the receiver at *position* that can be written to, as long as it can be, or that of *outer*."""
        if position in self.spans:
            return self.spans[position]
        if not self._is_spoken_of(position):
            return trace.get_current_span(outer)
        context = self.context_at(position, outer)
        if not self.sampled or self._dispatch is None:
            return NonRecordingSpan(context)
        plan = self._signal.plan(self._dispatch, position)
        start_time = self._dispatch.at(self._dispatch.begans[position] or self._dispatch.began)
        with self._starting:  # a receiver's threads may write at the same time
            if position not in self.spans:
                self.spans[position] = self.span_of(plan, context, start_time)
            return self.spans[position]

    def span_of(self, plan: ReceiverPlan, context: SpanContext, start_time: int) -> Span:
        """Start a span of the SDK's own for a receiver."""
        parent = trace.set_span_in_context(NonRecordingSpan(self.start()), self.outer)
        return self._tracer.start_with_ids(plan.span_name, parent, plan.span_attributes, start_time, context)

    def is_recording_at(self, position: int, outer: Context) -> bool:
        """Return whether the span of the receiver at *position* can be written to, or that of *outer*."""
        if position in self.spans:
            return self.spans[position].is_recording()
        if not self._is_spoken_of(position):
            return trace.get_current_span(outer).is_recording()
        self.context_at(position, outer)  # who asks may speak of it: it shall be there
        return self.sampled and self._dispatch is not None

    def end(self, exported: Collection[int]) -> None:
        """Note which receivers have spans. Who asks for another's only now gets the parent's."""
        self.exported = exported

    def exported_context(self, position: int | None) -> SpanContext | None:
        """Return the context of a receiver's span, or of the dispatch's own, if it is exported, else None."""
        if not self.sampled or self.exported is None:
            return None
        if position is None:
            return self.own
        return self.ids.get(position) if position in self.exported else None

    def drop(self) -> None:
        """Make no spans, and let go of the dispatch."""
        self.exported = ()
        self._dispatch = self.pair = None
        if self.waiting:
            self.waiting.clear()

    def let_go(self) -> None:
        """Let go of the dispatch, which is over; its contexts may live on in tasks."""
        self._dispatch = self.pair = None
        self.waiting.clear()

    def _is_spoken_of(self, position: int) -> bool:
        if self.exported is not None:
            return position in self.exported
        if self._dispatch is None:  # over, and about to be exported: what is asked for now will be
            return True
        return self._signal.plan(self._dispatch, position).level is not Level.OFF


def _started(tracer: SdkTracer, outer: Context, name: str) -> tuple[SpanContext, bool]:
    """Return what the SDK would give a span that starts in *outer*, and whether it is recorded."""
    parent = trace.get_current_span(outer).get_span_context()
    if not tracer.is_enabled():
        same = SpanContext(parent.trace_id, parent.span_id, parent.is_remote, parent.trace_flags, parent.trace_state)
        return same, False
    if not parent.is_valid:
        trace_id, random = tracer.ids.generate_trace_id(), _is_random(tracer)
    else:
        trace_id, random = parent.trace_id, int(parent.trace_flags) & 2
    if parent.is_valid and tracer.follows_parent:
        sampled, trace_state = parent.trace_flags.sampled, parent.trace_state
    else:
        result = tracer.sampler.should_sample(outer, trace_id, name, SpanKind.INTERNAL)
        sampled, trace_state = result.decision is Decision.RECORD_AND_SAMPLE, result.trace_state or TraceState()
    flags = TraceFlags((TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT) | random)
    return SpanContext(trace_id, tracer.ids.generate_span_id(), False, flags, trace_state), sampled


def _is_random(tracer: SdkTracer) -> int:
    is_random = getattr(tracer.ids, "is_trace_id_random", None)  # not in older SDKs
    return 2 if is_random is not None and is_random() else 0


class ReceiverSpan:
    """What is current while a receiver runs: a span to whoever asks, two words until then."""

    __slots__ = ("__weakref__", "_trace", "homes", "outer", "position")

    def __init__(self, dispatch_trace: DispatchTrace, position: int, outer: Context) -> None:
        self._trace = dispatch_trace
        self.position = position
        self.outer = outer  # the context around the receiver: what an earlier one attached and left is in it
        self.homes: tuple[Context, ...] = ()  # other contexts in which it has come to be current

    def get_span_context(self) -> SpanContext:
        return self._trace.context_at(self.position, self.outer)

    def is_recording(self) -> bool:
        return self._trace.is_recording_at(self.position, self.outer)

    def end(self, end_time: int | None = None) -> None:
        self._trace.span_at(self.position, self.outer).end(end_time)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._trace.span_at(self.position, self.outer).set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._trace.span_at(self.position, self.outer).set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._trace.span_at(self.position, self.outer).add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self._trace.span_at(self.position, self.outer).add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self._trace.span_at(self.position, self.outer).update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self._trace.span_at(self.position, self.outer).set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        self._trace.span_at(self.position, self.outer).record_exception(exception, attributes, timestamp, escaped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._trace.span_at(self.position, self.outer).__exit__(kind, error, traceback)


Span.register(ReceiverSpan)  # not derived from it: its instances would each have a dictionary


class FactSpan(ReadableSpan):
    """A finished span made from facts. Its attributes may be shared with others, and are never changed."""

    def __init__(
        self,
        tracer: SdkTracer,
        plan: ReceiverPlan | None,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Attributes,
        times: tuple[int, int],
        status: Status = _UNSET,
    ) -> None:
        super().__init__(
            name,
            context,
            parent,
            tracer.resource,
            attributes,
            status=status,
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=tracer.scope,
        )
        self.plan = plan


class LateSpans:
    """Stands inside receivers, and makes the spans of finished dispatches.

    Args:
        tracer: The SDK's tracer, taken apart.
        variable: Holds OpenTelemetry's current context.
        choices: What is decided elsewhere.
    """

    def __init__(self, tracer: SdkTracer, variable: ContextVar[Context], choices: Choices) -> None:
        self.tracer = tracer
        self._opening = threading.Lock()
        self._get, self._set, self._reset = variable.get, variable.set, variable.reset
        self._signal_of, self._roll_up, self._record_exceptions = choices

    def enter(self, dispatch: Dispatch, position: int) -> Any:
        """Make the receiver's span current; or what the receiver had made current when it last stopped to wait."""
        opened = dispatch.inside or self.open(dispatch)
        if position >= dispatch.first_async:
            return self._enter_async(opened, position)
        pair = opened.pair
        if pair is None:
            pair = opened.pair = _pair(opened, position, self._get())
        else:
            pair[1].position = position
        return self._set(pair[0])

    def leave(self, dispatch: Dispatch, position: int, entered: Any) -> None:
        """Make current again what was before, but for what the receiver leaves attached for good."""
        opened: DispatchTrace = dispatch.inside
        if position >= dispatch.first_async:
            self._leave_async(opened, position, entered, ended=dispatch.endeds[position] is not None)
            return
        pair: Any = opened.pair
        if self._get() is not pair[0]:
            opened.pair = None
            self._leave_attached(pair[1], pair[0])
            return
        self._reset(entered)
        if pair[1].homes:
            opened.pair = None
            _pass_on(pair[1])
        # Also a copy of the context, such as a task takes, counts here: it refers to what was set.
        if _references(pair[0]) > _OWN_REFERENCES or _references(pair[1]) > _OWN_REFERENCES + 1:
            opened.pair = None

    def open(self, dispatch: Dispatch) -> DispatchTrace:
        """Return what is to be known of the dispatch's spans."""
        signal = self._signal_of(dispatch.site)
        if dispatch.first_async == len(dispatch.begans):
            opened = dispatch.inside = DispatchTrace(self, dispatch, self._get(), signal)
            return opened
        with self._opening:  # under asend, receivers begin on two threads
            opened = dispatch.inside or DispatchTrace(self, dispatch, self._get(), signal)
            dispatch.inside = opened
            return opened

    def export(self, finished: Finished, errors: Mapping[int, BaseException]) -> str | None:
        """Hand the spans that *finished* is worth to the processors; return why it has none, if so."""
        opened: DispatchTrace = finished.inside
        spoken = finished.spoken(opened.ids)
        reason = None
        if not spoken and not finished.deserves_span:
            reason = semconv.FILTERED
        elif not opened.asked_for:
            reason = self._roll_up(finished, opened.outer)
        if reason is not None:
            opened.end(())
            return reason
        own = opened.start()
        opened.end(spoken)
        if opened.sampled:
            self._export_calls(finished, spoken, opened, errors)
            self._export_dispatch(finished, opened.outer, own)
        return None

    def export_rolled_up(self, rolled_up: RolledUp) -> None:
        """Hand the span of a roll-up to the processors."""
        first = rolled_up.first
        parent = trace.get_current_span(rolled_up.parent).get_span_context()
        context, sampled = _started(self.tracer, rolled_up.parent, first.signal.name)
        if not sampled:
            return
        attributes = {**dispatch_attributes(first), **rolled_up_attributes(rolled_up)}
        times = (first.started_at, rolled_up.end)
        self.tracer.on_end(FactSpan(self.tracer, None, _name(first), context, parent, attributes, times))

    def _enter_async(self, opened: DispatchTrace, position: int) -> Token[Context]:
        if position not in opened.waiting:
            made = _pair(opened, position, self._get())[0]
            opened.waiting[position] = made, made
        return self._set(opened.waiting[position][1])

    def _leave_async(self, opened: DispatchTrace, position: int, token: Token[Context], *, ended: bool) -> None:
        made, _ = opened.waiting[position]
        current = self._get()
        if ended:
            del opened.waiting[position]
        else:
            opened.waiting[position] = made, current
        if ended and current is not made:
            self._leave_attached(made[SPAN_KEY], made)  # type: ignore[arg-type]  # it was put there
        else:
            self._reset(token)

    def _leave_attached(self, span: ReceiverSpan, ours: Context) -> None:
        """The receiver ended with another context attached, or detached one that it had not attached itself.

        What it did stays done. Our span has ended, so it may not be current in what stays, nor become
        current again when what stays is detached: the context that we attached turns into the outer one, and
        so does each that turned into ours before.
        """
        span.homes = (ours, *span.homes)
        _pass_on(span)
        current = self._get()
        if current.get(SPAN_KEY) is span:
            self._set(trace.set_span_in_context(trace.get_current_span(span.outer), current))

    def _export_calls(
        self, finished: Finished, spoken: Collection[int], opened: DispatchTrace, errors: Mapping[int, BaseException]
    ) -> None:
        plans = finished.receivers or []
        begans, endeds, at = finished.begans, finished.endeds, finished.at
        for position in spoken:
            plan, times = plans[position], (at(begans[position]), at(endeds[position]))
            written = opened.spans.get(position)
            if written is None and position not in finished.failures and position not in finished.uids:
                context = opened.context_at(position, opened.outer)
                span = FactSpan(self.tracer, plan, plan.span_name, context, opened.own, plan.span_attributes, times)
                self.tracer.on_end(span)
            else:
                written = written or opened.span_of(plan, opened.context_at(position, opened.outer), times[0])
                self._end_written(written, finished, position, times[1], errors.get(position))

    def _end_written(
        self, span: Span, finished: Finished, position: int, end_time: int, error: BaseException | None
    ) -> None:
        if position in finished.uids:
            span.set_attribute(semconv.RECEIVER_DISPATCH_UID, finished.uids[position])
        failure = finished.failures.get(position)
        if failure is not None:
            span.set_attribute(semconv.ERROR_TYPE, failure.type)
            span.set_status(StatusCode.ERROR)
            if self._record_exceptions and error is not None:
                record_exception(span, error, failure, end_time)
        if span.is_recording():
            span.end(end_time)

    def _export_dispatch(self, finished: Finished, outer: Context, own: SpanContext) -> None:
        parent = trace.get_current_span(outer).get_span_context()
        self.tracer.on_end(
            FactSpan(
                self.tracer,
                None,
                _name(finished),
                own,
                parent if parent.is_valid else None,
                {**dispatch_attributes(finished), **outcome_attributes(finished)},
                (finished.started_at, finished.at(finished.ended)),
                _ERROR if finished.failed else _UNSET,
            )
        )


def _pair(opened: DispatchTrace, position: int, outer: Context) -> tuple[Context, ReceiverSpan]:
    span = ReceiverSpan(opened, position, outer)
    return Context({**outer, SPAN_KEY: span}), span


def _pass_on(span: ReceiverSpan) -> None:
    """Turn all contexts in which *span* has come to be current into the one around it, until that one's span ends too."""
    outer_span = trace.get_current_span(span.outer)
    for home in span.homes:
        dict.clear(home)
        dict.update(home, span.outer)
    if isinstance(outer_span, ReceiverSpan):
        outer_span.homes = (*outer_span.homes, *span.homes)


def _name(finished: Finished) -> str:
    return semconv.dispatch_span_name(finished.operation, finished.signal.name)
