"""Spans made late, for the SDK's own provider: while receivers run, nothing is made that nobody asks for.

What is current in a receiver's context is a :class:`~heliograph.telemetry.dispatch_trace.PendingSpan`: it knows which
receiver of which dispatch it stands for. It gets its ids when somebody asks for them (a child span, a log line, the
exporter), and a span of the SDK's own is made for it only when somebody writes to it, or when the receiver failed. All
others are made as :class:`FactSpan`, off the hot path, from what the dispatch has noted.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Container, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import (
    Span,
    SpanContext,
    Status,
    StatusCode,
)

from heliograph.fanout.facts import Dispatch
from heliograph.telemetry import semconv
from heliograph.telemetry.attributes import (
    Attributes,
    dispatch_attributes,
    outcome_attributes,
    record_exception,
    rolled_up_attributes,
)
from heliograph.telemetry.dispatch_trace import DispatchTrace, PendingSpan, ReceiverSpan, started
from heliograph.telemetry.finished import Finished
from heliograph.telemetry.plans import Choices, ReceiverPlan
from heliograph.telemetry.roll_up import RolledUp
from heliograph.telemetry.sdk import SPAN_KEY, SdkTracer

__all__ = ["FactSpan", "LateSpans"]

_UNSET = Status(StatusCode.UNSET)
_ERROR = Status(StatusCode.ERROR)

# A context and a span that nobody else refers to serve the next receiver too. The numbers are of those who do anyway,
# the call that asks among them. Where references are not counted, each receiver has a pair of its own.
_COUNTS_REFERENCES = (
    sys.implementation.name == "cpython"
    and sys.version_info < (3, 15)  # not known to be counted in the same way
    and getattr(sys, "_is_gil_enabled", lambda: True)()
)
_references = sys.getrefcount if _COUNTS_REFERENCES else lambda _: 1_000
_TO_PLACE = 2  # the trace
_TO_TRACE = 6  # the dispatch, the context, itself, two variables here
_TO_SPAN = 4  # the trace, the context, a variable here


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
        self.signal_of, self._roll_up, self._record_exceptions = choices

    def enter(self, dispatch: Dispatch, position: int) -> Any:
        """Make the receiver's span current; or what the receiver had made current when it last stopped to wait."""
        opened = dispatch.inside or self.open(dispatch)
        if position >= dispatch.first_async:
            return self._enter_async(opened, position)
        return self._set(opened.place or self._make_place(opened))

    def leave(self, dispatch: Dispatch, position: int, entered: Any) -> None:
        """Make current again what was before, but for what the receiver leaves attached for good."""
        opened: DispatchTrace = dispatch.inside
        if position >= dispatch.first_async:
            self._leave_async(opened, position, entered, ended=dispatch.endeds[position] is not None)
            return
        current: Any = opened.current
        if self._get() is not opened.place:
            self._leave_attached(current, opened.place)  # type: ignore[arg-type]  # it is there since enter
            opened.keep(position)
            opened.adopt(self._get())
            return
        self._reset(entered)
        # Also a copy of the context, such as a task takes, counts here: it refers to what was set.
        most = _TO_TRACE if current is opened else _TO_SPAN
        if (
            _references(opened.place) > _TO_PLACE
            or _references(opened.current) > most
            or current.__weakref__ is not None
            or current.homes
        ):
            _pass_on(current)
            opened.keep(position)

    def open(self, dispatch: Dispatch) -> DispatchTrace:
        """Return what is to be known of the dispatch's spans."""
        if dispatch.first_async == len(dispatch.begans):
            opened = dispatch.inside = DispatchTrace(self, dispatch, self._get())
            return opened
        with self._opening:  # under asend, receivers begin on two threads
            if dispatch.inside is None:
                opened = DispatchTrace(self, dispatch, self._get())
                opened.waiting = {}
                dispatch.inside = opened
            return dispatch.inside  # type: ignore[no-any-return]

    def export(self, finished: Finished, errors: Mapping[int, BaseException]) -> str | None:
        """Hand the spans that *finished* is worth to the processors; return why it has none, if so."""
        opened: DispatchTrace = finished.inside
        with (
            opened.asking
        ):  # who asks for a span before this is decided gets it; after, the parent's if it is not to be
            spoken = finished.spoken(opened.ids)
            reason = self._reason_for_none(finished, opened, spoken)
            opened.exported = () if reason else _positions(spoken)
        if reason is not None:
            return reason
        own = opened.begin_trace()
        if opened.sampled:
            self._export_calls(finished, spoken, opened, errors)
            self._export_dispatch(finished, opened.sent_in, own)
        return None

    def export_rolled_up(self, rolled_up: RolledUp) -> None:
        """Hand the span of a roll-up to the processors."""
        first = rolled_up.first
        parent = trace.get_current_span(rolled_up.parent).get_span_context()
        context, sampled = started(self.tracer, rolled_up.parent, first.signal.name)
        if not sampled:
            return
        attributes = {**dispatch_attributes(first), **rolled_up_attributes(rolled_up)}
        times = (first.started_at, rolled_up.end)
        self.tracer.on_end(FactSpan(self.tracer, None, _name(first), context, parent, attributes, times))

    def _reason_for_none(self, finished: Finished, opened: DispatchTrace, spoken: Collection[int]) -> str | None:
        if not spoken and not finished.deserves_span:
            return semconv.FILTERED
        return None if opened.asked_for else self._roll_up(finished, opened.sent_in)

    def _make_place(self, opened: DispatchTrace) -> Context:
        """Return the context for the next plain receivers, with the trace itself for a span if nobody has kept that."""
        outer = self._get()
        opened.current = opened if opened.kept_at is None else ReceiverSpan(opened, None, outer)
        opened.place = Context({**outer, SPAN_KEY: opened.current})
        return opened.place

    def _enter_async(self, opened: DispatchTrace, position: int) -> Token[Context]:
        if position not in opened.waiting:
            outer = self._get()
            made = Context({**outer, SPAN_KEY: ReceiverSpan(opened, position, outer)})
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

    def _leave_attached(self, span: PendingSpan, ours: Context) -> None:
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
        # Once a span, in a thread that takes the interpreter from the program's: so nothing is looked up twice here.
        plans, begans, endeds = finished.receivers or [], finished.begans, finished.endeds
        usual = not (opened.spans or finished.failures or finished.uids)
        tracer, on_end, own, shift = self.tracer, self.tracer.on_end, opened.own, finished.started_at - finished.began
        contexts = opened.ids_of(spoken)
        for position in spoken:
            plan, context = plans[position], contexts[position]
            times = (begans[position] + shift, endeds[position] + shift)  # type: ignore[operator]  # it has begun and ended
            if usual or self._is_usual(finished, opened, position):
                on_end(FactSpan(tracer, plan, plan.span_name, context, own, plan.span_attributes, times))
            else:
                written = opened.spans.get(position) or opened.span_of(plan, context, times[0])
                self._end_written(written, finished, position, times[1], errors.get(position))

    @staticmethod
    def _is_usual(finished: Finished, opened: DispatchTrace, position: int) -> bool:
        return position not in opened.spans and position not in finished.failures and position not in finished.uids

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


def _positions(spoken: Sequence[int]) -> Container[int]:
    """Return *spoken*, positions in rising order, as what is quick to ask: all of them are a range, as they most often are."""
    count = len(spoken)
    return range(count) if not count or spoken[-1] == count - 1 else frozenset(spoken)


def _pass_on(span: PendingSpan) -> None:
    """Turn all contexts in which *span* has come to be current into the one around it, until that one's span ends too."""
    outer_span = trace.get_current_span(span.outer)
    for home in span.homes:
        dict.clear(home)
        dict.update(home, span.outer)
    if isinstance(outer_span, PendingSpan):
        outer_span.homes = (*outer_span.homes, *span.homes)


def _name(finished: Finished) -> str:
    return semconv.dispatch_span_name(finished.operation, finished.signal.name)
