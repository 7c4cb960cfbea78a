"""What people do by hand: OpenTelemetry's own spans and histogram in each receiver of a Django signal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.backend import Backend
from benchmarks.rung import Dispatcher, Prepared, Receiver, Rung, Send
from benchmarks.rungs.dispatchers import OWN_SIGNAL, django
from benchmarks.rungs.observed import not_sampled

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["OPENTELEMETRY"]

Attributes = dict[str, Any]

# What heliograph says by default of a dispatch and of a receiver, so that both traces tell a reader the same.
SEND_ATTRIBUTES: Attributes = {
    "heliograph.system.name": "django",
    "heliograph.signal.name": OWN_SIGNAL,
    "heliograph.operation.name": "send",
    "heliograph.error.policy": "propagate",
    "heliograph.sender.name": "benchmarks.rung.Shop",
    "heliograph.dispatch.receiver.count": 20,
}
RECEIVER_ATTRIBUTES: Attributes = {
    "heliograph.system.name": "django",
    "heliograph.signal.name": OWN_SIGNAL,
    "code.function.name": "benchmarks.rung.empty_receivers.<locals>.empty.<locals>.receiver",
    "heliograph.receiver.mode": "sync",
}
SEND_NAME = "send order_paid"
RECEIVER_NAME = f"handle {RECEIVER_ATTRIBUTES['code.function.name']}"
HISTOGRAM_ATTRIBUTES = {
    name: RECEIVER_ATTRIBUTES[name]
    for name in ("heliograph.system.name", "heliograph.signal.name", "code.function.name")
}


def _traced(tracer: Tracer, *, bare: bool) -> Dispatcher:
    """Django's dispatcher with a span round the send and one in each receiver."""
    of_receiver = None if bare else RECEIVER_ATTRIBUTES
    of_send = None if bare else SEND_ATTRIBUTES
    start = tracer.start_as_current_span

    def receiver_with_span() -> Receiver:
        def receiver(sender: object, **kwargs: object) -> None:
            with start(RECEIVER_NAME, attributes=of_receiver):
                pass

        return receiver

    stock = django()

    def send(signal: Any) -> Send:
        plain = stock.send(signal)

        def send_with_span(sender: object) -> None:
            with start(SEND_NAME, attributes=of_send):
                plain(sender)

        return send_with_span

    return dataclasses.replace(stock, send=send, receivers=lambda count: [receiver_with_span() for _ in range(count)])


def _timed(histogram: Histogram) -> Dispatcher:
    """Django's dispatcher with receivers that record how long they took."""

    def receiver_with_histogram() -> Receiver:
        def receiver(sender: object, **kwargs: object) -> None:
            began = perf_counter()
            histogram.record(perf_counter() - began, HISTOGRAM_ATTRIBUTES)

        return receiver

    return dataclasses.replace(django(), receivers=lambda count: [receiver_with_histogram() for _ in range(count)])


def _tracer_of(provider: TracerProvider | None) -> Tracer:
    from opentelemetry import trace

    return trace.get_tracer("benchmarks", tracer_provider=provider)


def _spans(backend: Backend) -> Prepared:
    return Prepared(_traced(_tracer_of(backend.tracer_provider()), bare=False), traced=True)


def _bare_spans(backend: Backend) -> Prepared:
    return Prepared(_traced(_tracer_of(backend.tracer_provider()), bare=True), traced=True)


def _unsampled_spans(backend: Backend) -> Prepared:
    return Prepared(_traced(_tracer_of(backend.tracer_provider()), bare=False), around=not_sampled)


def _no_provider(backend: Backend) -> Prepared:
    return Prepared(_traced(_tracer_of(None), bare=False))


def _histogram(backend: Backend) -> Prepared:
    meter = backend.meter_provider().get_meter("benchmarks")
    return Prepared(_timed(meter.create_histogram("receiver.duration", "s")))


def _rung(name: str, title: str, prepare: Callable[[Backend], Prepared]) -> Rung:
    return Rung(name, f"Django with {title}", prepare)


OPENTELEMETRY = (
    _rung("otel-no-provider", "OpenTelemetry's spans, no provider", _no_provider),
    _rung("otel-unsampled", "OpenTelemetry's spans, sampled out", _unsampled_spans),
    _rung("otel-bare", "OpenTelemetry's spans, without attributes", _bare_spans),
    _rung("otel", "OpenTelemetry's spans, with heliograph's attributes", _spans),
    _rung("histogram", "`Histogram.record` in each receiver", _histogram),
)
