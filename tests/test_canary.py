"""No payload leaves the process by default: a canary in it is seen nowhere."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import django.dispatch
import pytest
import structlog

import heliograph

CANARY = "drib-wolley"[::-1]  # made at run time, so that no line of source in a traceback shows it


class OutOfStock(Exception):
    """Says nothing of what it is about."""


class Canary:
    """Shows the canary when it is described, and has it in its state."""

    def __init__(self) -> None:
        self.bird = CANARY

    def __repr__(self) -> str:
        return f"<{self.bird}>"

    __str__ = __repr__

    def receiver(self, **_):
        return self.bird

    def failing(self, **_):
        bird = self.bird
        raise OutOfStock if bird else AssertionError

    async def concurrent(self, bird, **_):
        local = bird
        await asyncio.sleep(0)
        raise OutOfStock if local else AssertionError

    def __call__(self, bird, **_):
        return {"bird": bird}


@pytest.fixture(params=["console", "json"])
def written(request):
    """What structlog writes, as the application has configured it."""
    output = io.StringIO()
    renderer: Any = {
        "console": structlog.dev.ConsoleRenderer(colors=False),
        "json": structlog.processors.JSONRenderer(),
    }[request.param]
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, renderer],
        logger_factory=structlog.PrintLoggerFactory(output),
    )
    yield output
    structlog.reset_defaults()


@pytest.mark.parametrize("opt_in", ["", "logs/dup"])
@pytest.mark.parametrize("Signal", [heliograph.Signal, django.dispatch.Signal])
def test_a_canary_is_seen_nowhere(monkeypatch, instrument, spans, metrics, otel_logs, written, caplog, opt_in, Signal):
    """As an argument, as a receiver's local, in the repr of sender, receiver and payload: in no span, metric or log."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", opt_in)
    instrument(
        slow=0,
        budget=3,
        extra_attributes=[
            "code.file.path",
            "code.line.number",
            "heliograph.sender.name",
            "heliograph.signal.argument_names",
        ],
    )
    signal, canary = Signal(), Canary()
    knows_async = hasattr(signal, "asend")
    signal.connect(canary.receiver)
    signal.connect(canary)
    signal.connect(canary.failing)
    if knows_async:
        signal.connect(canary.concurrent)

    with spans.tracer.start_as_current_span("request"), caplog.at_level(logging.DEBUG):
        for _ in range(5):
            signal.send_robust(sender=canary, bird=CANARY, canary=canary, birds=[CANARY], keyed={CANARY: CANARY})
            with pytest.raises(OutOfStock):
                signal.send(sender=canary, bird=CANARY, canary=canary)
            if knows_async:
                asyncio.run(signal.asend_robust(sender=canary, bird=CANARY))

    everything = {
        "spans": "\n".join(span.to_json() for span in spans.finished),
        "metrics": metrics.reader.get_metrics_data().to_json(),
        "OpenTelemetry's logs": otel_logs.as_json(),
        "structlog": written.getvalue(),
        "logging": caplog.text,
    }
    assert {name: text for name, text in everything.items() if CANARY in text} == {}
    # And there was something to be seen in each.
    assert "Canary" in everything["spans"]
    assert "Canary" in everything["metrics"]
    assert ("OutOfStock" in everything["OpenTelemetry's logs"]) is (opt_in == "logs/dup")
    assert "signal_receiver_failed" in everything["structlog"]
    assert "signal_receiver_slow" in everything["structlog"]
    assert json.loads(spans.finished[0].to_json())["attributes"]
