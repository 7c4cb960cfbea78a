"""OpenTelemetry's SDK, kept in memory, with questions that tests ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from opentelemetry.sdk import _logs as sdk_logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as sdk_logs_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, Tracer

__all__ = ["Logs", "Metrics", "Spans", "Tree", "short"]

Tree = list[tuple[str, "Tree"]]

# Its name changed between releases of the SDK.
_InMemoryLogs: Any = getattr(sdk_logs_export, "InMemoryLogRecordExporter", None) or getattr(
    sdk_logs_export, "InMemoryLogExporter", None
)


class Spans:
    """A tracer provider that keeps the spans it ends."""

    def __init__(
        self, processor: Callable[[SpanExporter], SpanProcessor] = SimpleSpanProcessor, **provider: Any
    ) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**provider)
        self.provider.add_span_processor(processor(self.exporter))

    @classmethod
    def batched(cls) -> Spans:
        """Return one whose spans wait for their export, as in production; whoever makes it shuts its provider down."""
        return cls(BatchSpanProcessor, shutdown_on_exit=False)

    @property
    def tracer(self) -> Tracer:
        """A tracer for the application's own spans."""
        return self.provider.get_tracer("application")

    @property
    def finished(self) -> list[ReadableSpan]:
        """All spans that have ended, in the order in which they ended."""
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """The names of all spans that have ended, in alphabetical order."""
        return sorted(span.name for span in self.finished)

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of that name; the last segments of a receiver's name will do."""
        [span] = self.all_named(name)
        return span

    def all_named(self, name: str) -> list[ReadableSpan]:
        """Return all spans of that name, in the order in which they began."""
        found = [span for span in self.finished if _is_named(span, name)]
        return sorted(found, key=lambda span: span.start_time or 0)

    def tree(self) -> Tree:
        """Return all spans as nested pairs of a short name and the children, in the order in which they began.

        Each span stands under its parent; one whose parent has not been exported is an orphan, and an error.
        """
        known = {_id(span): span for span in self.finished}
        assert len(known) == len(self.finished)
        for span in self.finished:
            assert span.parent is None or span.parent.is_remote or span.parent.span_id in known, f"orphan: {span.name}"
        return self._below(None)

    def _below(self, parent: int | None) -> Tree:
        children = [one for one in self.finished if (one.parent.span_id if one.parent else None) == parent]
        children.sort(key=lambda span: span.start_time or 0)
        return [(short(span.name), self._below(_id(span))) for span in children]

    def counts(self) -> Counter[str]:
        """Return how many spans there are of each name."""
        return Counter(short(span.name) for span in self.finished)

    def clear(self) -> None:
        """Forget all spans."""
        self.exporter.clear()


def short(name: str) -> str:
    """Shorten ``handle module.function.<locals>.receiver`` to ``handle receiver``."""
    verb, separator, rest = name.partition(" ")
    return f"handle {rest.rpartition('.')[2]}" if separator and verb == "handle" else name


def _is_named(span: ReadableSpan, name: str) -> bool:
    return name in {span.name, short(span.name)}


def _id(span: ReadableSpan) -> int:
    return cast(SpanContext, span.get_span_context()).span_id


class Metrics:
    """A meter provider whose metrics can be read at any time."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def all(self) -> dict[str, Any]:
        """Return the metrics recorded so far, by name."""
        data = self.reader.get_metrics_data()
        resources = data.resource_metrics if data else []
        return {
            metric.name: metric
            for resource in resources
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[Any]:
        """Return the data points of one metric, in a stable order."""
        metric = self.all().get(name)
        points = list(metric.data.data_points) if metric else []
        return sorted(points, key=lambda point: sorted(map(str, dict(point.attributes or {}).items())))

    def total(self, name: str, **attributes: Any) -> int:
        """Return the sum of a counter, or the count of a histogram, over all points with these attributes.

        Dots in names of attributes are written as underscores: the last segment is enough.
        """
        total = 0
        for point in self.points(name):
            short_names = {key.rpartition(".")[2]: value for key, value in dict(point.attributes or {}).items()}
            if all(short_names.get(key) == value for key, value in attributes.items()):
                total += point.count if hasattr(point, "count") else point.value
        return total


class Logs:
    """A logger provider that keeps OpenTelemetry's log records."""

    def __init__(self) -> None:
        self.exporter = _InMemoryLogs()
        self.provider: LoggerProvider = sdk_logs.LoggerProvider()
        self.provider.add_log_record_processor(sdk_logs_export.SimpleLogRecordProcessor(self.exporter))

    @property
    def records(self) -> list[Any]:
        """The records emitted so far, as OpenTelemetry's data model has them."""
        return [one.log_record for one in self.exporter.get_finished_logs()]

    def as_json(self) -> str:
        """Return all that would leave the process."""
        logs = self.exporter.get_finished_logs()
        return "\n".join((one if hasattr(one, "to_json") else one.log_record).to_json() for one in logs)
