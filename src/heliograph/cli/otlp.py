"""Exports spans and metrics by OTLP over HTTP. All that the command line has to do with OpenTelemetry is here.

The providers are not made the global ones: the program may set its own, and OpenTelemetry lets only the first
one be set.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from heliograph.cli.options import Options
from heliograph.instrumentor import instrument

__all__ = ["Export"]

SECONDS_FOR_A_REQUEST = 3
SECONDS_TO_FINISH = 5
MOST_WAITING = 16_384

R = TypeVar("R")


class Export:
    """Sends spans and metrics of a run to one address.

    Args:
        url: The address, such as ``http://127.0.0.1:4318``.
        service: The service's name, unless the environment has another.
    """

    def __init__(self, url: str, service: str) -> None:
        self._url = url
        self._delivery = _Delivery()
        resource = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
        self._tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracer_provider.add_span_processor(_Spans(f"{url}/v1/traces", self._delivery))
        reader = PeriodicExportingMetricReader(_MetricExporter(f"{url}/v1/metrics", self._delivery))
        self._meter_provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)

    def begin(self, options: Options) -> Callable[[], None]:
        """Instrument all libraries; return a function that undoes it."""
        _be_quiet_within(self._delivery)
        return instrument(
            tracer_provider=self._tracer_provider,
            meter_provider=self._meter_provider,
            logger=_NoLogger(),
            level=options.level,
            slow=options.slow,
            exception_messages=options.exception_messages,
        )

    def finish(self) -> str | None:
        """Send what is left, in a few seconds at most; return what to complain about."""
        self._delivery.hurry(SECONDS_TO_FINISH)
        self._tracer_provider.shutdown()
        self._meter_provider.shutdown(timeout_millis=SECONDS_TO_FINISH * 1000)
        delivery = self._delivery
        if not delivery.failed and delivery.arrived == delivery.ended:
            return None
        lost = f"{delivery.ended - delivery.arrived:,} of {delivery.ended:,} spans"
        what = lost if delivery.arrived < delivery.ended else "metrics"
        return f"could not export to {self._url}: {what} did not arrive; the program was not affected"


class _Delivery:
    """What became of what was to be sent."""

    def __init__(self) -> None:
        self.ended = 0
        self.arrived = 0
        self.failed = False
        self._deadline: float | None = None
        self._state = threading.local()

    @property
    def busy(self) -> bool:
        """Whether this thread is sending just now."""
        return getattr(self._state, "busy", False)

    def hurry(self, seconds: float) -> None:
        """Give up at the next failure, or when *seconds* have passed."""
        self.failed = False
        self._deadline = monotonic() + seconds

    def send(self, do: Callable[..., R], *arguments: Any, failure: R) -> R:
        """Call *do*; return what it returns, or *failure* when it fails or there is no time left."""
        if self._deadline is not None and (self.failed or monotonic() > self._deadline):
            self.failed = True
            return failure
        result = self.quietly(do, *arguments, failure=failure)
        self.failed = self.failed or result is failure
        return result

    def quietly(self, do: Callable[..., R], *arguments: Any, failure: R) -> R:
        """Call *do*; what OpenTelemetry logs meanwhile is not shown."""
        self._state.busy = True
        try:
            return do(*arguments)
        except Exception:  # noqa: BLE001  # a backend's faults are reported at the end, in one line
            return failure
        finally:
            self._state.busy = False


class _SpanExporter(OTLPSpanExporter):
    def __init__(self, endpoint: str, delivery: _Delivery) -> None:
        super().__init__(endpoint=endpoint, timeout=SECONDS_FOR_A_REQUEST)
        self._delivery = delivery

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._delivery.send(super().export, spans, failure=SpanExportResult.FAILURE)
        if result is SpanExportResult.SUCCESS:
            self._delivery.arrived += len(spans)
        return result


class _MetricExporter(OTLPMetricExporter):
    def __init__(self, endpoint: str, delivery: _Delivery) -> None:
        super().__init__(endpoint=endpoint, timeout=SECONDS_FOR_A_REQUEST)
        self._delivery = delivery

    def export(self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **_: Any) -> MetricExportResult:
        return self._delivery.send(super().export, metrics_data, timeout_millis, failure=MetricExportResult.FAILURE)


class _Spans(BatchSpanProcessor):
    def __init__(self, endpoint: str, delivery: _Delivery) -> None:
        room = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else MOST_WAITING
        super().__init__(_SpanExporter(endpoint, delivery), max_queue_size=room)
        self._delivery = delivery
        self._counting = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            with self._counting:
                self._delivery.ended += 1
        self._delivery.quietly(super().on_end, span, failure=None)


class _NoLogger:
    """A structlog logger that says nothing: the report says it, and the program's output stays what it is."""

    def warning(self, *_: object, **__: object) -> None:
        """Say nothing."""

    def error(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _be_quiet_within(delivery: _Delivery) -> None:
    """Keep what OpenTelemetry logs about our deliveries, and only about ours, out of the program's output."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("opentelemetry.", "urllib3.")):
            logging.getLogger(name).addFilter(lambda _: not delivery.busy)
