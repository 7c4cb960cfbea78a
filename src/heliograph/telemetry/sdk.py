"""What heliograph uses of the inside of OpenTelemetry's SDK, in one place, each with a check.

Where anything is not as it is known to be, :func:`sdk_tracer` returns None, and spans are made through the API alone.
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Mapping, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace import Tracer as SdkTracerClass
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, SpanContext

__all__ = ["SPAN_KEY", "FirstProcessor", "SdkTracer", "context_variable", "put_first", "sdk_tracer"]

_INTERNAL_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


def context_variable() -> ContextVar[Context] | None:
    """Return the variable that holds OpenTelemetry's current context, or None when it is kept elsewhere."""
    try:
        otel_context.get_current()  # loads the runtime context
        variable = otel_context._RUNTIME_CONTEXT._current_context  # type: ignore[attr-defined]
    except Exception:  # another runtime context, or another release
        return None
    return variable if isinstance(variable, ContextVar) else None


SPAN_KEY: str = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
"""The key of the current span in a context."""


@dataclass(frozen=True, slots=True)
class SdkTracer:
    """A tracer of the SDK, taken apart.

    Attributes:
        sampler: Decides which spans are recorded.
        follows_parent: Whether a span is sampled as its parent is, if it has one.
        starts_no_trace: Whether no span without a parent is ever sampled.
        ids: Makes ids.
        resource: Whose spans these are.
        scope: Who makes them.
        on_end: Hands a finished span to all processors.
        immediate: Whether a processor exports each span as it ends, and so must be told at once.
        is_current: Returns whether its processors still are those it was found with.
        is_enabled: Returns whether it makes spans at all.
        start_with_ids: Starts a span of the SDK's own: a function of name, context, attributes, start time and ids.
    """

    sampler: Sampler
    follows_parent: bool
    starts_no_trace: bool
    ids: IdGenerator
    resource: Resource
    scope: InstrumentationScope
    on_end: Callable[[ReadableSpan], None]
    immediate: bool
    is_current: Callable[[], bool]
    is_enabled: Callable[[], bool]
    start_with_ids: Callable[[str, Context, Mapping[str, Any], int, SpanContext], Span]


def sdk_tracer(provider: Any, scope: str, version: str) -> SdkTracer | None:
    """Return the parts of the SDK's tracer, or None where making spans without it could be noticed."""
    try:
        return _sdk_tracer(provider, scope, version)
    except Exception:  # an SDK whose inside is another
        return None


def _sdk_tracer(provider: Any, scope: str, version: str) -> SdkTracer | None:
    if type(provider) is not TracerProvider or os.environ.get(_INTERNAL_METRICS, "").strip().lower() == "true":
        return None
    tracer: Any = provider.get_tracer(scope, version)
    processors = _known_processors(tracer.span_processor)
    is_enabled = getattr(tracer, "_is_enabled", _always)  # older SDKs cannot disable a tracer
    if type(tracer) is not SdkTracerClass or processors is None or not is_enabled():
        return None
    if not _are_default(tracer._span_limits) or not _is_known(tracer.sampler):
        return None
    return SdkTracer(
        tracer.sampler,
        type(tracer.sampler) is ParentBased,
        getattr(tracer.sampler, "_root", tracer.sampler) is ALWAYS_OFF,
        tracer.id_generator,
        tracer.resource,
        tracer._instrumentation_scope,
        tracer.span_processor.on_end,
        any(type(one) is SimpleSpanProcessor for one in processors),
        functools.partial(_has, tracer.span_processor, processors),
        is_enabled,
        functools.partial(_start_with_ids, tracer),
    )


def _always() -> bool:
    return True


def _has(multi: Any, processors: tuple[SpanProcessor, ...]) -> bool:
    return multi._span_processors is processors


class _Ids(IdGenerator):
    """Gives the ids of one span that have been handed out already."""

    def __init__(self, context: SpanContext) -> None:
        self._context = context

    def generate_span_id(self) -> int:
        return self._context.span_id

    def generate_trace_id(self) -> int:
        return self._context.trace_id

    def is_trace_id_random(self) -> bool:
        return bool(int(self._context.trace_flags) & 2)


def _start_with_ids(
    tracer: Any, name: str, context: Context, attributes: Mapping[str, Any], start_time: int, ids: SpanContext
) -> Span:
    sure = copy.copy(tracer)
    sure.sampler, sure.id_generator = ALWAYS_ON, _Ids(ids)
    span: Span = sure.start_span(name, context, attributes=attributes, start_time=start_time)
    return span


def _known_processors(multi: Any) -> tuple[SpanProcessor, ...] | None:
    if type(multi) is not SynchronousMultiSpanProcessor:
        return None
    processors: tuple[SpanProcessor, ...] = multi._span_processors
    known = (BatchSpanProcessor, SimpleSpanProcessor, FirstProcessor)  # they do nothing as a span starts
    return processors if all(type(one) in known for one in processors) else None


def put_first(provider: Any, processor: SpanProcessor) -> Callable[[], None]:
    """Make *provider* tell *processor* before all others; return a function that takes it out again.

    A provider that is not the SDK's is told nothing; one whose inside is another tells it last, and for good.
    """
    multi: Any = getattr(provider, "_active_span_processor", None)
    if not isinstance(getattr(multi, "_span_processors", None), tuple) or not hasattr(multi, "_lock"):
        if hasattr(provider, "add_span_processor"):
            provider.add_span_processor(processor)
        return lambda: None
    with multi._lock:
        multi._span_processors = (processor, *multi._span_processors)

    def take_out() -> None:
        with multi._lock:
            multi._span_processors = tuple(one for one in multi._span_processors if one is not processor)

    return take_out


def global_providers() -> tuple[Any, Any]:
    """Return the global tracer provider and the global meter provider, None for one that is not there yet.

    Asked at each send, so it reads what OpenTelemetry's own functions read, which also look into the
    environment each time. An API that keeps its providers elsewhere is asked the long way.
    """
    try:
        return trace._TRACER_PROVIDER, metrics._internal._METER_PROVIDER  # pyright: ignore[reportAttributeAccessIssue]
    except AttributeError:
        tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
        return (
            None if isinstance(tracers, trace.ProxyTracerProvider) else tracers,
            None if type(meters).__name__ == "_ProxyMeterProvider" else meters,
        )


def is_any_provider_set() -> bool:
    """Return whether there is a global provider. Asked at each send of a signal that waits for one."""
    tracers, meters = global_providers()
    return tracers is not None or meters is not None


def _are_default(limits: SpanLimits) -> bool:
    """Return whether no span of ours can reach a limit."""
    counts = (limits.max_span_attributes, limits.max_events, limits.max_event_attributes)
    lengths = (limits.max_span_attribute_length, limits.max_attribute_length)
    return all(count is not None and count >= 128 for count in counts) and lengths == (None, None)


def _is_known(sampler: Sampler) -> bool:
    if type(sampler) is ParentBased:
        inner = (
            sampler._remote_parent_sampled,
            sampler._remote_parent_not_sampled,
            sampler._local_parent_sampled,
            sampler._local_parent_not_sampled,
        )
        return inner == (ALWAYS_ON, ALWAYS_OFF, ALWAYS_ON, ALWAYS_OFF)
    return sampler in (ALWAYS_ON, ALWAYS_OFF) or type(sampler) is TraceIdRatioBased


class FirstProcessor(SpanProcessor):
    """Told before all other processors of a provider, so that what it hands over on a flush is flushed too.

    Args:
        flush: Hands over all that waits.
        parents: Empty while it does not matter which spans end.
        ended: Hears of each span that ends meanwhile.
    """

    def __init__(
        self, flush: Callable[[], None], parents: Sized = (), ended: Callable[[trace.SpanContext], None] | None = None
    ) -> None:
        self._flush = flush
        self._parents = parents
        self._ended = ended

    def on_end(self, span: ReadableSpan) -> None:
        if self._parents and self._ended is not None and span.context is not None:
            self._ended(span.context)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self._flush()
        return True

    def shutdown(self) -> None:
        self._flush()
