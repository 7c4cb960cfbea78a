"""Where a rung's telemetry goes: OpenTelemetry's SDK with a sink that drops all, or an OTLP receiver.

OpenTelemetry is imported only when a rung asks for a provider: the others run in processes that know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["Backend"]

# Room for all spans of one measurement. With the default of 2,048 most spans of a send to 10,000 receivers would be
# thrown away, and what is measured would be the throwing away.
QUEUE_SIZE = 2**17
BATCH_SIZE = 512  # the SDK's default: the export thread wakes as often as it does in production
NEVER = 10**9  # milliseconds until the export thread wakes by itself: it is told to flush instead


class Backend:
    """Makes providers and knows what came out of them.

    Args:
        otlp: The address of an OTLP/HTTP receiver; None drops everything.
        held: Whether spans stay in the queue until :meth:`flush`, so that the memory they take can be seen.
    """

    def __init__(self, otlp: str | None = None, *, held: bool = False) -> None:
        self.exported = 0
        self._otlp = otlp
        self._batch_size = QUEUE_SIZE if held else BATCH_SIZE
        self._flushes: list[Callable[[], object]] = []

    def tracer_provider(self, sampler: Sampler | None = None) -> TracerProvider:
        """Return a provider with a BatchSpanProcessor, as it is set up in production."""
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(sampler=sampler, resource=_resource())
        provider.add_span_processor(
            BatchSpanProcessor(
                self._span_exporter(),
                max_queue_size=QUEUE_SIZE,
                schedule_delay_millis=NEVER,
                max_export_batch_size=self._batch_size,
            )
        )
        self._flushes.append(provider.force_flush)
        return provider

    def meter_provider(self) -> MeterProvider:
        """Return a provider that is collected when it is flushed."""
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(self._metric_exporter(), export_interval_millis=math.inf)
        provider = MeterProvider(metric_readers=[reader], resource=_resource())
        self._flushes.append(provider.force_flush)
        return provider

    def logger_provider(self) -> LoggerProvider:
        """Return a provider for log records, which healthy receivers never need."""
        from opentelemetry.sdk._logs import LoggerProvider

        return LoggerProvider(resource=_resource())

    def flush(self) -> None:
        """Export all that waits."""
        for flush in self._flushes:
            flush()

    def _count(self, spans: int) -> None:
        self.exported += spans

    def _span_exporter(self) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

        count = self._count

        class DropAll(SpanExporter):
            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                count(len(spans))
                return SpanExportResult.SUCCESS

        if self._otlp is None:
            return DropAll()

        # Spans that are not heliograph's it encodes with OpenTelemetry's own encoder.
        from heliograph.telemetry.otlp import SpanExporter as OtlpSpanExporter

        class Counting(OtlpSpanExporter):
            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                result = super().export(spans)
                if result is SpanExportResult.SUCCESS:
                    count(len(spans))
                return result

        return Counting(endpoint=f"{self._otlp}/v1/traces")

    def _metric_exporter(self) -> Any:
        from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

        class DropAll(MetricExporter):
            def export(
                self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
            ) -> MetricExportResult:
                return MetricExportResult.SUCCESS

            def force_flush(self, timeout_millis: float = 10_000) -> bool:
                return True

            def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
                pass

        if self._otlp is None:
            return DropAll()

        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(endpoint=f"{self._otlp}/v1/metrics")


def _resource() -> Resource:
    """What is traced; given, because the SDK starts threads to find it out."""
    from opentelemetry.sdk.resources import Resource

    return Resource({"service.name": "benchmarks"})
