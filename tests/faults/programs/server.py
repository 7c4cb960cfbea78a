"""A WSGI application for gunicorn: instrumented before the workers are forked, a few sends for each request.

Spans go, as lines of process and name, to the file that ``SPANS`` names; without it nobody observes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tests.faults.programs.common import SIGNALS, Ledger, instrument


class ToFile(SpanExporter):
    """Appends to a file that all workers share; a line is written whole."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def export(self, spans: Any) -> SpanExportResult:
        os.write(self._file, "".join(f"{os.getpid()} {span.name}\n" for span in spans).encode())
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to do: the file is closed with the process."""


if "SPANS" in os.environ:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ToFile(os.environ["SPANS"])))
    instrument(provider)

for name in ("django.dispatch", "heliograph.dispatch"):  # captured errors are logged as they should be, at each request
    logging.getLogger(name).disabled = True

stock, own = signals = [make() for make in SIGNALS.values()]


def value_of(value: int, **_: Any) -> int:
    """Return what was sent."""
    return value


def fails(value: int, **_: Any) -> None:
    """Raise it."""
    raise ValueError(value)


for each in signals:
    each.connect(value_of)
    each.connect(fails)
    each.send_robust(sender=None, value=-1)  # before the fork: a thread of ours runs already


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Send on both dispatchers, and answer with what came of it."""
    ledger = Ledger()
    for signal in signals:
        for operation in ("send", "send_robust"):
            ledger.send(signal, operation, value=int(environ["PATH_INFO"].strip("/")))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [ledger.figures()["digest"].encode()]
