"""The interpreter ends while spans wait: nothing has been flushed, and a signal is sent in the last moments too.

What came of the sends and which spans were exported is written to files, since the process is over when it can be told.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import heliograph
from tests.faults.programs.common import SIGNALS, Case, Ledger, run


class ToFile(SpanExporter):
    """Appends the name of each span to a file, without Python's buffers."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def export(self, spans: Any) -> SpanExportResult:
        os.write(self._file, "".join(f"{span.name}\n" for span in spans).encode())
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to do: the file is closed with the process."""


class SendsWhenItDies:
    def __init__(self, send: Callable[[int], None]) -> None:
        self._send = send

    def __del__(self) -> None:
        self._send(-1)


def value_of(value: int, **_: Any) -> int:
    return value


def program(case: Case) -> dict[str, Any]:
    """Send, and end in the way of the variant."""
    how, _, path = case.variant.partition(" -> ")
    if case.observed:
        observe(path)
    ledger = Ledger()
    signals = [make() for make in SIGNALS.values()]
    for signal in signals:
        signal.connect(value_of)

    def send(value: int) -> None:
        for signal in signals:
            ledger.send(signal, "send", value=value)

    def tell() -> None:
        Path(path).with_suffix(f".{case.observed}").write_text(json.dumps({**ledger.figures(), "grown": 0}))

    for number in range(case.times // 2):
        send(number % 5)
    atexit.register(tell)  # the last of ours to run
    prepare_end(how, send, signals[0])
    return {**ledger.figures(), "grown": 0}


def observe(path: str) -> None:
    """Export the names of spans to a file, in the end only, as the SDK's own exit handler has it."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ToFile(path), schedule_delay_millis=3_600_000))
    heliograph.instrument("django", "heliograph", tracer_provider=provider, budget=1 << 30, slow=1000)


def prepare_end(how: str, send: Callable[[int], None], signal: Any) -> None:
    """Arrange for something to be sent while the interpreter ends."""
    if how == "an exit handler sends":
        atexit.register(send, -2)
    elif how == "a thread sends after the main one":
        threading.Thread(target=send, args=(-2,)).start()
    elif how == "an object sends when it dies":
        sys.modules["dies_last"] = SendsWhenItDies(send)  # type: ignore[assignment]
    elif how == "daemon threads send to the end":
        for _ in range(4):
            threading.Thread(target=_forever, args=(signal,), daemon=True).start()
    elif how == "sys.exit":
        sys.exit(0)


def _forever(signal: Any) -> None:
    while True:
        signal.send(sender=None, value=0)


if __name__ == "__main__":
    run(program)
