"""heliograph's own signals and Django's, instrumented in place, at each level."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from benchmarks.backend import Backend
from benchmarks.rung import Dispatcher, Prepared, Rung
from benchmarks.rungs.dispatchers import django, heliograph

__all__ = ["OBSERVED", "not_sampled"]

# A budget that no measurement reaches: dispatches that are rolled up would make level all look cheap. And an hour
# until anything is slow: a send to 10,000 receivers takes long without being ill.
SETTINGS: dict[str, Any] = {"budget": 10**9, "slow": 3600}


@contextmanager
def not_sampled() -> Iterator[None]:
    """Stand in a span that was not sampled, as below a request whose trace is not kept."""
    from opentelemetry import context, trace

    parent = trace.SpanContext(trace_id=0xA11, span_id=0xB0, is_remote=True, trace_flags=trace.TraceFlags.get_default())
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    try:
        yield
    finally:
        context.detach(token)


def _tracer(backend: Backend) -> dict[str, Any]:
    return {"tracer_provider": backend.tracer_provider()}


def _tracer_always_off(backend: Backend) -> dict[str, Any]:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    return {"tracer_provider": backend.tracer_provider(ALWAYS_OFF)}


def _tracer_and_meter(backend: Backend) -> dict[str, Any]:
    return {**_tracer(backend), "meter_provider": backend.meter_provider()}


def _tracer_meter_and_logger(backend: Backend) -> dict[str, Any]:
    os.environ["OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"] = "logs/dup"
    return {**_tracer_and_meter(backend), "logger_provider": backend.logger_provider()}


@dataclass(frozen=True, slots=True)
class State:
    """A state in which signals are instrumented.

    Attributes:
        name: The rung's name, after that of the library.
        title: The same in words.
        providers: Makes the providers.
        settings: Settings besides ``SETTINGS``.
        around: What the sends stand in.
        traced: Whether receiver calls become spans.
    """

    name: str
    title: str
    providers: Callable[[Backend], dict[str, Any]] = _tracer
    settings: dict[str, Any] = field(default_factory=dict)
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    traced: bool = False


STATES = (
    State("off", "level off", settings={"level": "off"}),
    State("no-provider", "no provider", providers=lambda _: {}),
    State("unsampled", "sampled out: parent span not sampled", around=not_sampled),
    State("unsampled-root", "sampled out: ALWAYS_OFF", providers=_tracer_always_off),
    State("errors", "level errors", settings={"level": "errors"}),
    State("slow", "level slow", settings={"level": "slow"}),
    State("all", "level all", traced=True),
    State("all-metrics", "level all, metrics", providers=_tracer_and_meter, traced=True),
    State("all-metrics-logs", "level all, metrics, logs", providers=_tracer_meter_and_logger, traced=True),
)


def _rung(library: str, title: str, dispatcher: Callable[[], Dispatcher], state: State) -> Rung:
    def prepare(backend: Backend) -> Prepared:
        from heliograph import instrument

        made = dispatcher()
        instrument(library, **SETTINGS, **state.settings, **state.providers(backend))
        return Prepared(made, state.around, state.traced)

    return Rung(f"{library}-{state.name}", f"{title}, {state.title}", prepare)


OBSERVED = (
    *(_rung("heliograph", "heliograph", heliograph, state) for state in STATES),
    *(_rung("django", "Django instrumented", django, state) for state in STATES),
)
