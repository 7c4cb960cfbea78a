"""Spans, metrics and logs of one installation as one observer.

A dispatch that nothing ails is put into words and waits in the :class:`~heliograph.telemetry.backlog.Backlog`.
One that failed or was slow is spoken of at once: its exceptions cannot wait, and its log lines should not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext
from structlog import is_configured as structlog_is_configured

from heliograph.config import Level, Settings
from heliograph.fanout.facts import Dispatch, Outcome, Site
from heliograph.fanout.observer import attempt, refresh
from heliograph.telemetry import semconv
from heliograph.telemetry.api_spans import ApiSpans
from heliograph.telemetry.backlog import Backlog
from heliograph.telemetry.finished import Finished
from heliograph.telemetry.late_spans import LateSpans
from heliograph.telemetry.logs import ExceptionEvents, StructuredLogs, exception_signals
from heliograph.telemetry.metrics import Instruments, Metrics
from heliograph.telemetry.plans import Choices, SignalPlan
from heliograph.telemetry.policy import Worth
from heliograph.telemetry.roll_up import RolledUp, RollUps
from heliograph.telemetry.sdk import (
    SPAN_KEY,
    FirstProcessor,
    context_variable,
    global_providers,
    put_first,
    sdk_tracer,
)

__all__ = ["Telemetry"]

# OpenTelemetry's SDK sets the first while it exports, its instrumentations set both.
_SUPPRESSED_BY_SDK: str = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_SUPPRESSED = "suppress_instrumentation"


class Telemetry:
    """Says what is worth saying about the dispatches of one library.

    Args:
        system: The library, as ``heliograph.system.name`` has it.
        settings: What is worth saying.
        tracer_provider: Where spans go; the global one unless given.
        meter_provider: Where metrics go; the global one unless given.
        logger_provider: Where OpenTelemetry's log events go; the global one unless given.
        logger: The structlog logger to use; ``structlog.get_logger("heliograph")`` unless given.

    Raises:
        ConfigurationError: If an environment variable has a value that cannot be used.
    """

    unfailing = True

    def __init__(
        self,
        system: str,
        settings: Settings,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: _logs.LoggerProvider | None = None,
        logger: Any = None,
    ) -> None:
        self._record_exceptions, as_log_events = exception_signals()
        self.system = system
        self.worth = Worth(settings)
        self._slow = self.worth.slow
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._signals: dict[str, SignalPlan] = {}
        self._roll_ups = RollUps(settings.budget, self._emit_rolled_up)
        self._backlog = Backlog(self._say_quietly, self._roll_ups.close_orphans)
        self._is_given_a_logger = logger is not None
        self._logs: list[StructuredLogs | ExceptionEvents] = [StructuredLogs(logger)]
        if as_log_events:
            self._logs.append(ExceptionEvents(_logs.get_logger(semconv.SCOPE, _version(), logger_provider)))
        self._with_sender = semconv.SENDER_NAME in settings.extra_attributes
        self._metrics: Metrics | None = None
        self._spans: LateSpans | ApiSpans | None = None
        self._immediate = False
        self._is_current: Callable[[], bool] = _true
        self._context: Callable[[], Context] = otel_context.get_current
        self._setting_up = threading.RLock()
        self._first: dict[int, Callable[[], None]] = {}
        self._instruments: Instruments | None = None
        self._seen: tuple[Any, Any] = (None, None)
        self._is_incomplete = True
        self._starts_traces = False
        self._unsampled: NonRecordingSpan | None = None
        self.enter: Callable[[Dispatch, int], Any] | None = None
        self.leave: Callable[[Dispatch, int, Any], None] | None = None
        self._set_up(_true)

    def interested(self, site: Site) -> bool:
        """Return whether anything is said about a signal."""
        return site.system == self.system and self.worth.signal_level(site) is not Level.OFF

    def awake(self) -> bool:
        """Return whether there is anybody to speak to, and nobody asked for silence."""
        if self._is_incomplete and global_providers() != self._seen:
            self._set_up(self._providers_have_come)
        is_heard = self._is_given_a_logger or structlog_is_configured()
        if self._spans is None and self._metrics is None and not is_heard:
            return False
        current = self._context()
        if not current:
            return self._starts_traces or self._metrics is not None or is_heard
        if current.get(_SUPPRESSED_BY_SDK) or current.get(_SUPPRESSED):
            return False
        return self._metrics is not None or is_heard or not self._is_unsampled(current)

    def finished(self, dispatch: Dispatch) -> None:
        """Say what is worth saying about *dispatch*, at once or later."""
        site = dispatch.site
        signal = self._signals.get(site.name) or self.signal_of(site)
        opened = dispatch.inside
        took = (dispatch.ended or 0) - dispatch.began
        special = took >= self._slow or dispatch.outcome is _RAISED or bool(dispatch.faults)
        if signal.is_quiet and not special and self._metrics is None and (opened is None or opened.drop()):
            return
        if opened is None and self._spans is not None:
            opened = self._spans.open(dispatch)
        finished = Finished(dispatch, signal)
        if special or self._immediate:
            self._say(finished, dispatch.errors)
            for logs in self._logs:
                attempt(logs.write, finished)
        if opened is not None:
            opened.claim_parent(finished)
            opened.let_go()
        if not (special or self._immediate):
            self._backlog.put(finished)
        if not self._is_current():
            self._set_up(self._processors_have_changed)

    def flush(self) -> None:
        """Say all that waits."""
        self._backlog.say_all()
        self._roll_ups.close_all()

    def close(self) -> None:
        """Say all that waits, and let go of the providers."""
        self._backlog.close()
        self._roll_ups.close_all()
        for take_out in self._first.values():
            take_out()
        if self._instruments is not None:
            self._instruments.before_collection.remove(self._backlog.say_all)

    def _set_up(self, is_needed: Callable[[], bool]) -> None:
        """Choose how to speak to the providers there are now; sends go on meanwhile, spoken of as before."""
        with self._setting_up:
            if not is_needed():  # another thread has done it
                return
            self._seen = global_providers()
            tracer_provider = self._tracer_provider or self._seen[0]
            meter_provider = self._meter_provider or self._seen[1]
            self._choose_metrics(meter_provider)
            self._choose_spans(tracer_provider)
            self._is_incomplete = tracer_provider is None or meter_provider is None
            refresh(self)

    def _providers_have_come(self) -> bool:
        return global_providers() != self._seen

    def _processors_have_changed(self) -> bool:
        return not self._is_current()

    def _choose_metrics(self, provider: metrics.MeterProvider | None) -> None:
        if provider is None or self._instruments is not None or isinstance(provider, NoOpMeterProvider):
            return
        instruments = Instruments.of(provider, semconv.SCOPE, _version())
        instruments.before_collection.append(self._backlog.say_all)
        self._metrics = Metrics(instruments, with_sender=self._with_sender)
        self._instruments = instruments

    def _choose_spans(self, provider: trace.TracerProvider | None) -> None:
        tracer = None if provider is None else provider.get_tracer(semconv.SCOPE, _version())
        if tracer is None or isinstance(tracer, NoOpTracer):
            self._use(None, immediate=False, is_current=_true, context=otel_context.get_current)
            return
        self._listen_to(provider)
        known, variable = sdk_tracer(provider, semconv.SCOPE, _version()), context_variable()
        choices = Choices(self.signal_of, self._roll_up, self._record_exceptions)
        if known is not None and variable is not None:
            late = LateSpans(known, variable, choices)
            self._use(late, immediate=known.immediate, is_current=known.is_current, context=variable.get)
        else:
            self._use(ApiSpans(tracer, choices), immediate=True, is_current=_true, context=otel_context.get_current)

    def _use(
        self,
        spans: LateSpans | ApiSpans | None,
        *,
        immediate: bool,
        is_current: Callable[[], bool],
        context: Callable[[], Context],
    ) -> None:
        self._immediate, self._is_current, self._context = immediate, is_current, context
        self.enter = None if spans is None else spans.enter
        self.leave = None if spans is None else spans.leave
        self._spans = spans
        self._starts_traces = spans is not None and not (isinstance(spans, LateSpans) and spans.tracer.starts_no_trace)
        self._unsampled = None

    def _listen_to(self, provider: Any) -> None:
        """Hear of flushes before anybody else, and of the ends of spans under which something was rolled up."""
        if id(provider) not in self._first:
            processor = FirstProcessor(self.flush, self._roll_ups.parents, self._span_ended)
            self._first[id(provider)] = put_first(provider, processor)

    def signal_of(self, site: Site) -> SignalPlan:
        """Return what is said about a signal."""
        plan = self._signals.get(site.name)
        if plan is None:
            plan = self._signals[site.name] = SignalPlan(site, self.worth)
        return plan

    def _say_quietly(self, finished: Finished) -> None:
        self._say(finished, {})

    def _say(self, finished: Finished, errors: Mapping[int, BaseException]) -> None:
        if finished.inside is not None:
            finished.untraced = attempt(finished.inside.maker.export, finished, errors)
            self._roll_ups.emit_overdue()
        if self._metrics is not None and self._instruments is not None:
            attempt(self._metrics.record, finished)
            if finished.untraced is not None:
                self._instruments.count_untraced(finished)

    def _roll_up(self, finished: Finished, outer: Context) -> str | None:
        return self._roll_ups.take(finished, outer, special=finished.special)

    def _emit_rolled_up(self, rolled_up: RolledUp) -> None:
        attempt(rolled_up.first.inside.maker.export_rolled_up, rolled_up)

    def _span_ended(self, span: SpanContext) -> None:
        if not self._roll_ups.is_open(span):
            return
        if self._immediate:
            self._roll_ups.ended(span)
        else:  # dispatches under it may still wait to be counted
            self._backlog.then_do(partial(self._roll_ups.ended, span))

    def _is_unsampled(self, current: Context) -> bool:
        spans = self._spans
        if type(spans) is not LateSpans:
            return False
        span = current.get(SPAN_KEY)
        if span is None:
            return not self._starts_traces
        if span is self._unsampled:  # of all sends of a request that is not sampled, only the first looks further
            return True
        if type(span) is not NonRecordingSpan or not spans.tracer.follows_parent:
            return False
        context = span.get_span_context()
        if not context.is_valid or context.trace_flags.sampled:
            return False
        self._unsampled = span
        return True


_RAISED = Outcome.RAISED  # looked up once: a member of an enumeration takes longer than a global


def _true() -> bool:
    return True


def _version() -> str:
    try:
        return version("heliograph")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""
