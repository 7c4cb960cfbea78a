"""The APIs of the backends, as their own user interfaces read them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from dashboards.backends.servers import Jaeger, Prometheus
from tests.end_to_end.backends.wire import WireSpan, read_spans

Labels = tuple[tuple[str, str], ...]


def get(url: str, /, **parameters: Any) -> Any:
    """Return what is at *url*, which is JSON. An underscore in a parameter stands for itself, two for a dot."""
    query = urlencode({name.replace("__", "."): value for name, value in parameters.items()}, doseq=True)
    with urlopen(f"{url}?{query}" if query else url, timeout=30) as response:
        return json.load(response)


# -------------------------------------------------------------------------------------------------------------- Prometheus


def query(prometheus: Prometheus, promql: str) -> dict[Labels, float]:
    """Return the value of each series that *promql* gives now, by its labels."""
    answer = get(f"{prometheus.url}/api/v1/query", query=promql)["data"]
    assert answer["resultType"] == "vector", answer
    return {_labels(one["metric"]): float(one["value"][1]) for one in answer["result"]}


def exemplars(prometheus: Prometheus, promql: str, *, began: float, ended: float) -> list[dict[str, Any]]:
    """Return the exemplars of the series that *promql* names, each with ``labels``, ``value`` and ``timestamp``."""
    series = get(f"{prometheus.url}/api/v1/query_exemplars", query=promql, start=began, end=ended)["data"]
    return [exemplar for one in series for exemplar in one["exemplars"]]


def _labels(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


# ------------------------------------------------------------------------------------------------------------------ Jaeger


def services(jaeger: Jaeger) -> list[str]:
    """Return the names of all services that Jaeger has heard of."""
    return list(get(f"{jaeger.url}/api/services")["data"] or [])


def all_spans(jaeger: Jaeger, service: str, *, began: float, ended: float) -> list[WireSpan]:
    """Return every span of *service* that began in that time, through the API that speaks OTLP."""
    found = get(
        f"{jaeger.url}/api/v3/traces",
        query__service_name=service,
        query__start_time_min=_instant(began),
        query__start_time_max=_instant(ended),
        query__num_traces=100_000,
    )
    return list(read_spans(found["result"]))


def search(jaeger: Jaeger, service: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the traces that Jaeger's search page would list."""
    return list(get(f"{jaeger.url}/api/traces", service=service, limit=1_500, **parameters)["data"])


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def trace(jaeger: Jaeger, trace_id: str) -> dict[str, Any]:
    """Return one trace, as its page shows it."""
    [found] = get(f"{jaeger.url}/api/traces/{trace_id}")["data"]
    return dict(found)


@dataclass(slots=True)
class Shown:
    """A span, as the page of its trace shows it: tags that are Jaeger's own among those of the span.

    Attributes:
        microseconds: How long it took.
        below: Its children, in the order in which they began.
    """

    span_id: str
    name: str
    microseconds: int
    tags: dict[str, Any]
    below: list[Shown]

    def outline(self) -> Any:
        """Return its name and, if it has children, theirs."""
        return {self.name: [child.outline() for child in self.below]} if self.below else self.name

    def walk(self) -> Iterator[Shown]:
        """Yield it and all below it."""
        yield self
        for child in self.below:
            yield from child.walk()


def shown(trace: dict[str, Any]) -> list[Shown]:
    """Return the spans of a *trace* that have no parent in it, with all others below them."""
    children: dict[str | None, list[Shown]] = defaultdict(list)
    spans = sorted(trace["spans"], key=lambda span: span["startTime"])  # stable: equal ones stay as they came
    ids = {span["spanID"] for span in spans}
    for span in spans:
        parents = [reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"]
        assert len(parents) <= 1, span
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        one = Shown(span["spanID"], span["operationName"], span["duration"], tags, children[span["spanID"]])
        children[parents[0] if parents and parents[0] in ids else None].append(one)
    return children[None]
