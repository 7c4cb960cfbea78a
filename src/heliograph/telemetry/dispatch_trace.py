"""The spans of one dispatch while they are not made: what is current in receivers, and what becomes of whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

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
from heliograph.telemetry.plans import ReceiverPlan
from heliograph.telemetry.sdk import SPAN_KEY, SdkTracer

if TYPE_CHECKING:
    from heliograph.telemetry.finished import Finished
    from heliograph.telemetry.late_spans import LateSpans

__all__ = ["DispatchTrace", "PendingSpan", "ReceiverSpan", "started"]


class PendingSpan:
    """What is current while a receiver runs: a span to whoever asks, a few words until then.

    Attributes:
        homes: Other contexts than the one made for it in which it has come to be current.
        kept_at: The position of the receiver that it stands for; None while it stands for whichever runs.
    """

    __slots__ = ("__weakref__", "homes", "kept_at")

    homes: tuple[Context, ...]
    kept_at: int | None

    @property
    def trace(self) -> DispatchTrace:
        """The trace of the receiver's dispatch."""
        raise NotImplementedError

    @property
    def outer(self) -> Context:
        """The context around the receiver: what an earlier one attached and left is in it."""
        raise NotImplementedError

    @property
    def position(self) -> int:
        """The receiver's place among the dispatch's receivers."""
        running = self.trace.running  # before the question: on another thread, it may be kept in between
        return running if self.kept_at is None else self.kept_at

    @property
    def is_sure(self) -> bool:
        """Whether it will be exported even if nobody asks for it."""
        return self.trace.is_sure_at(self.position)

    def get_span_context(self) -> SpanContext:
        return self.trace.context_at(self.position, self.outer)

    def is_recording(self) -> bool:
        return self.trace.is_recording_at(self.position, self.outer)

    def end(self, end_time: int | None = None) -> None:
        self._written.end(end_time)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._written.set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._written.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._written.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self._written.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self._written.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self._written.set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        self._written.record_exception(exception, attributes, timestamp, escaped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._written.__exit__(kind, error, traceback)

    @property
    def _written(self) -> Span:
        return self.trace.span_at(self.position, self.outer)


Span.register(PendingSpan)  # not derived from it: its instances would each have a dictionary


class ReceiverSpan(PendingSpan):
    """The span of one receiver, or, until somebody keeps it, of whichever plain receiver runs."""

    __slots__ = ("_outer", "_trace")

    def __init__(self, dispatch_trace: DispatchTrace, kept_at: int | None, outer: Context) -> None:
        self._trace = dispatch_trace
        self._outer = outer
        self.kept_at = kept_at
        self.homes = ()

    @property
    def trace(self) -> DispatchTrace:
        return self._trace

    @property
    def outer(self) -> Context:
        return self._outer


_NOTHING: dict[int, Any] = {}  # never written to: what most traces know of ids and of spans


class DispatchTrace(PendingSpan):
    """What is known of the spans of one dispatch while they are not made.

    Most dispatches end before anybody has asked for a span of theirs, so that one object is all they cost: it
    is itself the span that is current in the plain receivers, until somebody keeps it.

    Attributes:
        maker: Makes the spans.
        own: The dispatch's span context, once anybody has asked for it or for a receiver's.
        sampled: Whether its spans are recorded; False until then.
        ids: Receivers' span contexts that were asked for, by position.
        spans: Receivers' spans of the SDK's own, by position.
        waiting: By position of async receivers: the context made for it, and the one it stopped to wait in.
        exported: The positions of the receivers that have a span, once that is decided; None before.
        current: The span that is current in the plain receivers; None when the next one needs another.
        place: The context made for it.
        plans: What is said about each receiver, once the dispatch is over.
    """

    __slots__ = (
        "_dispatch",
        "_outer",
        "_parent",
        "_sent_in",
        "_site",
        "current",
        "exported",
        "ids",
        "maker",
        "own",
        "place",
        "plans",
        "sampled",
        "spans",
        "waiting",
    )

    asking: ClassVar[threading.RLock] = threading.RLock()  # one for all: a parent starts while its child does

    def __init__(self, maker: LateSpans, dispatch: Dispatch, outer: Context) -> None:
        self.maker = maker
        self._dispatch: Dispatch | None = dispatch
        self._site = dispatch.site
        self._outer = self._sent_in = outer
        self._parent = outer.get(SPAN_KEY) if outer else None
        self.own: SpanContext | None = None
        self.sampled = False
        self.ids: dict[int, SpanContext] = _NOTHING
        self.spans: dict[int, Span] = _NOTHING
        self.waiting: dict[int, tuple[Context, Context]] = _NOTHING
        self.exported: Container[int] | None = None
        self.current: PendingSpan | None = None
        self.place: Context | None = None
        self.plans: Sequence[ReceiverPlan] | None = None
        self.kept_at = None
        self.homes = ()

    @property
    def trace(self) -> DispatchTrace:
        return self

    @property
    def running(self) -> int:
        """The position of the plain receiver that runs now."""
        dispatch = self._dispatch  # let go on another thread, maybe
        return 0 if dispatch is None else dispatch.running

    @property
    def outer(self) -> Context:
        return self._outer

    @property
    def sent_in(self) -> Context:
        """The context in which the signal was sent; its span may have left it since (see ``_pass_on``)."""
        if self._sent_in.get(SPAN_KEY) is self._parent:
            return self._sent_in
        return Context({**self._sent_in, SPAN_KEY: self._parent})

    @property
    def asked_for(self) -> bool:
        """Whether anybody has asked for one of its spans, which then has to be there."""
        return self.own is not None

    def is_sure_at(self, position: int) -> bool:
        """Return whether the span of the receiver at *position* is exported even if nobody asks for it."""
        return self._level_at(position) is Level.ALL

    def claim_parent(self, finished: Finished) -> None:
        """Ask for the span that those of *finished* will be under, if it is one of ours that might else be left out."""
        parent = self._parent
        if parent is None or not isinstance(parent, PendingSpan):
            return
        if not parent.is_sure and (finished.level is Level.ALL or finished.spoken(())):
            parent.get_span_context()

    def adopt(self, left: Context) -> None:
        """Take *left*, which a receiver leaves attached, for the context in which the signal was sent.

        A receiver may open the trace that everything after it belongs to (OpenTelemetry's instrumentation of Celery does, in
        ``task_prerun``); then the dispatch, sent outside of any trace, belongs to it too. Not once anybody has its ids.
        """
        parent: Any = left.get(SPAN_KEY)
        if isinstance(parent, PendingSpan) or not _is_in_a_trace(parent):
            return
        with self.asking:
            if self.own is None and not _is_in_a_trace(self._parent):
                self._sent_in, self._parent = left, parent

    def begin_trace(self) -> SpanContext:
        """Return the dispatch's span context, made now unless it was before."""
        if self.own is None:
            with self.asking:
                if self.own is None:
                    self.ids, self.spans = {}, {}
                    self.own, self.sampled = started(self.maker.tracer, self.sent_in, self._site.name)
        return self.own

    def context_at(self, position: int, outer: Context) -> SpanContext:
        """Return the span context of the receiver at *position*: that of *outer* if it shall have no span."""
        found = self.ids.get(position)
        if found is not None:
            return found
        with self.asking:
            if self._is_spoken_of(position):
                return self.ids_of((position,))[position]
        return trace.get_current_span(outer).get_span_context()

    def span_at(self, position: int, outer: Context) -> Span:
        """Return a span of the receiver at *position* that can be written to, as long as it can be, or that of *outer*."""
        if position in self.spans:
            return self.spans[position]
        if not self._is_spoken_of(position):
            return trace.get_current_span(outer)
        context = self.context_at(position, outer)
        dispatch = self._dispatch
        if not self.sampled or dispatch is None:
            return NonRecordingSpan(context)
        plan = self.maker.signal_of(self._site).plan(dispatch, position)
        start_time = dispatch.at(dispatch.begans[position] or dispatch.began)
        with self.asking:  # a receiver's threads may write at the same time
            if position not in self.spans:
                self.spans[position] = self.span_of(plan, context, start_time)
            return self.spans[position]

    def span_of(self, plan: ReceiverPlan, context: SpanContext, start_time: int) -> Span:
        """Start a span of the SDK's own for a receiver."""
        parent = trace.set_span_in_context(NonRecordingSpan(self.begin_trace()), self.sent_in)
        return self.maker.tracer.start_with_ids(plan.span_name, parent, plan.span_attributes, start_time, context)

    def is_recording_at(self, position: int, outer: Context) -> bool:
        """Return whether the span of the receiver at *position* can be written to, or that of *outer*."""
        if position in self.spans:
            return self.spans[position].is_recording()
        if not self._is_spoken_of(position):
            return trace.get_current_span(outer).is_recording()
        self.context_at(position, outer)  # who asks may speak of it: it shall be there
        return self.sampled and self._dispatch is not None

    def foreign_parent(self) -> SpanContext | None:
        """Return the context of the span around the send, unless that is one of ours."""
        span = trace.get_current_span(self.sent_in)
        return None if isinstance(span, PendingSpan) else span.get_span_context()

    def exported_context(self, position: int | None) -> SpanContext | None:
        """Return the context of a receiver's span, or of the dispatch's own, if it is exported, else None."""
        if not self.sampled or self.exported is None:
            return None
        if position is None:
            return self.own
        return self.ids.get(position) if position in self.exported else None

    def keep(self, position: int) -> None:
        """Let the span that was current in the receiver at *position* be its own from now on: somebody may have kept it."""
        if self.current is not None:
            self.current.kept_at = position
        self.current = self.place = None

    def drop(self) -> bool:
        """Let go of everything, unless anybody has asked for one of its spans; return whether nobody has."""
        if self.kept_at is None and self.waiting is _NOTHING:  # nobody could ask on another thread, or later
            dropped = self.own is None
        else:
            with self.asking:
                dropped = self.own is None
                if dropped:
                    self.exported = ()
        if dropped:
            self.let_go()
        return dropped

    def let_go(self) -> None:
        """Let go of the dispatch, which is over; its contexts may live on in tasks."""
        self._dispatch = self.current = self.place = None
        self.waiting = _NOTHING

    def ids_of(self, positions: Iterable[int]) -> Mapping[int, SpanContext]:
        """Return the span contexts by position, those of the receivers at *positions* among them, made now if need be."""
        with self.asking:
            own, ids, make_id = self.begin_trace(), self.ids, self.maker.tracer.ids.generate_span_id
            trace_id, flags, state = own.trace_id, own.trace_flags, own.trace_state
            for position in positions:
                if position not in ids:
                    ids[position] = SpanContext(trace_id, make_id(), False, flags, state)
            return ids

    def _is_spoken_of(self, position: int) -> bool:
        if self.exported is not None:
            return position in self.exported
        return self._level_at(position) is not Level.OFF  # what is asked for before its export will be exported

    def _level_at(self, position: int) -> Level:
        dispatch = self._dispatch  # before the plans: these are there when it is let go
        if self.plans is not None:
            return self.plans[position].level
        if dispatch is None:  # over, and nothing will be said of it
            return Level.OFF
        return self.maker.signal_of(self._site).plan(dispatch, position).level


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


def _is_in_a_trace(span: Any) -> bool:
    # One of ours is not asked, for it would be exported then.
    return isinstance(span, PendingSpan) or (isinstance(span, Span) and span.get_span_context().is_valid)


def _is_random(tracer: SdkTracer) -> int:
    is_random = getattr(tracer.ids, "is_trace_id_random", None)  # not in older SDKs
    return 2 if is_random is not None and is_random() else 0
