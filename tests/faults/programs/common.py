"""What the programs share: the way they are told what to do, the ledger of their sends, and telemetry that fails."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.conf import settings

if not settings.configured:
    settings.configure()

import django.dispatch  # Django wants its settings first
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import heliograph

__all__ = ["SIGNALS", "Case", "Counting", "Ledger", "batch", "blocks", "instrument", "run"]

SIGNALS: dict[str, Callable[[], Any]] = {"django": django.dispatch.Signal, "heliograph": heliograph.Signal}


class Case:
    """What a program is told.

    Attributes:
        variant: What is sent how, where a program knows several ways.
        fault: What is to go wrong with telemetry.
        times: How often to send, roughly.
        observed: Whether to observe.
    """

    def __init__(self, variant: str, fault: str, times: int, limit: float, *, observed: bool) -> None:
        self.variant = variant
        self.fault = fault
        self.times = times
        self.observed = observed
        faulthandler.dump_traceback_later(limit, exit=True)  # a program that hangs says where


def run(program: Callable[[Case], dict[str, Any]]) -> None:
    """Run *program* as the command line says, and print what it returns."""
    case = Case(**json.loads(sys.argv[1]))
    logging.disable(logging.CRITICAL)  # captured errors are logged as they should be, thousands of times
    print(json.dumps(program(case)), flush=True)


class Ledger:
    """What came of each send, in order, as a number of each kind and one digest over all."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._kinds: Counter[str] = Counter()

    def send(self, signal: Any, operation: str, sender: Any = None, **named: Any) -> None:
        """Send, and write down what came of it."""
        try:
            responses = getattr(signal, operation)(sender=sender, **named)
        except BaseException as error:  # whatever a receiver raises is what is compared
            self.note(f"raised {_words(error)}")
        else:
            self.note(", ".join(f"{one.__name__}: {_words(response)}" for one, response in responses))

    def note(self, entry: str) -> None:
        """Write down *entry*."""
        self._kinds[entry] += 1
        self._digest.update(f"{entry}\n".encode())

    def add(self, other: Ledger) -> None:
        """Add what another has written down, after what is here."""
        self._kinds.update(other._kinds)
        self._digest.update(other._digest.digest())

    def figures(self) -> dict[str, Any]:
        """Return what is compared: how many, how many of each kind, and the digest over all in order."""
        total = sum(self._kinds.values())
        return {"sends": total, "kinds": dict(sorted(self._kinds.items())), "digest": self._digest.hexdigest()}


def _words(response: Any) -> str:
    if isinstance(response, BaseException):
        return f"{type(response).__name__}{[one for one in response.args if type(one) in (int, str)]}"
    return str(response) if type(response) in (int, str, bool) else type(response).__name__


class Counting(SpanExporter):
    """Counts the spans it is given."""

    def __init__(self) -> None:
        self.count = 0

    def export(self, spans: Any) -> SpanExportResult:
        """Count."""
        self.count += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to do."""


def batch(exporter: SpanExporter, **options: Any) -> TracerProvider:
    """Return a provider with the SDK's own batch processor, as applications have it."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, **options))
    return provider


def instrument(
    provider: TracerProvider, *, meters: Any = None, log_processor: Any = None, **settings: Any
) -> heliograph.instrumentor.Instrumentation:
    """Observe both libraries, with metrics, and with logs that are made and go nowhere."""
    processors = [log_processor or structlog.processors.JSONRenderer()]
    structlog.configure(processors=processors, logger_factory=structlog.ReturnLoggerFactory())
    meters = meters or MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return heliograph.instrument("django", "heliograph", tracer_provider=provider, meter_provider=meters, **settings)


def blocks() -> int:
    """Return how many blocks of memory are in use once there is no garbage."""
    gc.collect()
    return sys.getallocatedblocks()
