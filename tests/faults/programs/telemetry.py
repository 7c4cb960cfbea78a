"""Telemetry that raises, hangs, is slow or full, on both dispatchers."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from typing import Any

from opentelemetry.sdk import _logs as sdk_logs
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Sampler

from tests.faults.programs.common import SIGNALS, Case, Counting, Ledger, batch, blocks, instrument, run

# Old releases of the SDK warn of themselves, in their own `Logger.emit`.
warnings.filterwarnings("ignore", "LogRecord init with")

released = threading.Event()


class Unwell(Exception):
    """What telemetry raises."""


class FailingExporter(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise Unwell

    def shutdown(self) -> None:
        raise Unwell


class HangingExporter(Counting):
    def export(self, spans: Any) -> SpanExportResult:
        released.wait()
        return super().export(spans)


class SlowExporter(Counting):
    def export(self, spans: Any) -> SpanExportResult:
        released.wait(0.02)
        return super().export(spans)


class FailingProcessor(SpanProcessor):
    def on_start(self, *_: Any, **__: Any) -> None:
        raise Unwell

    def on_end(self, *_: Any) -> None:
        raise Unwell

    def shutdown(self) -> None:
        raise Unwell

    def force_flush(self, *_: Any) -> bool:
        raise Unwell


class FailingSampler(Sampler):
    def should_sample(self, *_: Any, **__: Any) -> Any:
        raise Unwell

    def get_description(self) -> str:
        raise Unwell


class FailingLogProcessor(sdk_logs.LogRecordProcessor):
    def on_emit(self, *_: Any) -> None:
        raise Unwell

    def emit(self, *_: Any) -> None:  # as older releases call it
        raise Unwell

    def shutdown(self) -> None:
        raise Unwell

    def force_flush(self, *_: Any) -> bool:
        raise Unwell


def failing_structlog(*_: Any) -> Any:
    raise Unwell


class Unspeakable:
    """A sender, a payload and a receiver that nothing can be made to say of."""

    __name__ = "Unspeakable"

    def _fail(self, *_: Any) -> Any:
        raise Unwell

    __repr__ = __str__ = __format__ = _fail

    def __call__(self, **_: Any) -> str:
        return "heard"


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise Unwell

    __repr__ = __str__


def simple(processor: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


def failing_logs() -> Any:
    provider = sdk_logs.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(FailingLogProcessor())
    return provider


PROVIDERS: dict[str, Any] = {
    "exporter raises": lambda: batch(FailingExporter(), schedule_delay_millis=10),
    "exporter raises at once": lambda: simple(SimpleSpanProcessor(FailingExporter())),
    "exporter hangs": lambda: batch(HangingExporter(), schedule_delay_millis=10),
    "exporter is slow": lambda: batch(SlowExporter(), schedule_delay_millis=10),
    "queue is full": lambda: batch(HangingExporter(), max_queue_size=8, max_export_batch_size=1),
    "processor raises": lambda: simple(FailingProcessor()),
    "sampler raises": lambda: TracerProvider(FailingSampler(), shutdown_on_exit=False),
}

LASTING = ("exporter hangs", "queue is full")  # what waits there is never exported, and never more than the queue holds


def observe(fault: str) -> TracerProvider:
    provider: TracerProvider = PROVIDERS.get(fault, lambda: batch(Counting()))()
    options: dict[str, Any] = {}
    if fault == "log processor raises":
        os.environ["OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"] = "logs/dup"  # exceptions are log events too
        options = {"logger_provider": failing_logs()}
    if fault == "structlog raises":
        options = {"log_processor": failing_structlog}
    instrument(provider, extra_attributes=["heliograph.sender.name"], **options)
    return provider


def returns(value: int, **_: Any) -> int:
    return value


def fails(value: int, **_: Any) -> None:
    raise ValueError(value)


def unspeakable(**_: Any) -> None:
    raise UnspeakableError(1)


def program(case: Case) -> dict[str, Any]:
    """Send to receivers that return and that raise, and see that memory is bounded."""
    provider = observe(case.fault) if case.observed else None
    ledger, speechless = Ledger(), Unspeakable()
    signals = [make() for make in SIGNALS.values()]
    for signal in signals:
        for one in (returns, speechless, unspeakable, fails):
            signal.connect(one, weak=False)

    def send(times: int) -> int:
        for number in range(times // 4):
            for signal in signals:
                ledger.send(signal, "send_robust", sender=speechless, value=number % 7, payload=speechless)
                ledger.send(signal, "send", sender=speechless, value=number % 7, payload=speechless)
        if provider is not None and case.fault not in LASTING:
            with contextlib.suppress(Unwell):
                provider.force_flush()
        return blocks()

    before = send(case.times)
    grown = send(case.times) - before
    released.set()
    return {**ledger.figures(), "grown": grown}


if __name__ == "__main__":
    run(program)
