"""The spans of one dispatch while they are not made: what is current in receivers, and what becomes of whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import trace
from opentelemetry.context import Context
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
from heliograph.telemetry.plans import ReceiverPlan, SignalPlan
from heliograph.telemetry.sdk import SPAN_KEY, SdkTracer

if TYPE_CHECKING:
    from heliograph.telemetry.late_spans import LateSpans

__all__ = ["DispatchTrace", "ReceiverSpan", "started"]


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
        plans: What is said about each receiver, once the dispatch is over.
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
        "plans",
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
        self.plans: Sequence[ReceiverPlan] | None = None

    @property
    def outer(self) -> Context:
        """The context in which the signal was sent; its span may have left it since (see :func:`_pass_on`)."""
        if self._outer.get(SPAN_KEY) is self._parent:
            return self._outer
        return Context({**self._outer, SPAN_KEY: self._parent})

    @property
    def is_talkative(self) -> bool:
        """Whether everything is said about its signal."""
        return self._signal.level is Level.ALL

    @property
    def asked_for(self) -> bool:
        """Whether anybody has asked for one of its spans, which then has to be there."""
        return self.own is not None

    def claim_parent(self) -> None:
        """Ask for the span that these will be under, if it is one of ours that might else be left out."""
        parent = self._parent
        if type(parent) is ReceiverSpan and not parent.is_sure:
            parent.get_span_context()

    def start(self) -> SpanContext:
        """Return the dispatch's span context, made now unless it was before."""
        with self._starting:  # asked by a receiver's thread and by the exporter's
            if self.own is None:
                self.own, self.sampled = started(self._tracer, self.outer, self._signal.name)
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

    def foreign_parent(self) -> SpanContext | None:
        """Return the context of the span around the send, unless that is one of ours."""
        span: Any = trace.get_current_span(self.outer)
        return None if type(span) is ReceiverSpan else span.get_span_context()

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
            return self.plans is not None and self.plans[position].level is not Level.OFF
        return self._signal.plan(self._dispatch, position).level is not Level.OFF


def started(tracer: SdkTracer, outer: Context, name: str) -> tuple[SpanContext, bool]:
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

    @property
    def is_sure(self) -> bool:
        """Whether it will be exported even if nobody asks for it."""
        return self._trace.is_talkative

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
