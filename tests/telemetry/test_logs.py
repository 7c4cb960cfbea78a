"""What is logged: structlog's events, and OpenTelemetry's for exceptions."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import structlog
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import NoOpTracerProvider
from structlog.testing import capture_logs

from heliograph.errors import ConfigurationError

HERE = __name__
OPT_IN = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"


class OutOfStock(Exception):
    """Raised by receivers on purpose."""


class Shop:
    """Sends signals."""


def send_receipt(**_):
    return None


def update_stock(**_):
    secret = "a local variable"
    if secret:
        raise OutOfStock("no basil")


def ids(span):
    context = span.get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def test_a_captured_error_is_logged_as_an_error(instrument, spans, order_paid):
    """One event with exactly these fields; the traceback has no local variables."""
    instrument("heliograph")
    order_paid.connect(update_stock)
    order_paid.connect(send_receipt)
    with capture_logs() as logs:
        order_paid.send_robust(sender=Shop)

    [event] = logs
    traceback = event.pop("exception")
    duration = event.pop("duration_s")
    assert event == {
        "event": "signal_receiver_failed",
        "log_level": "error",
        "system": "heliograph",
        "signal": "shop.signals.order_paid",
        "sender": f"{HERE}.Shop",
        "receiver": f"{HERE}.update_stock",
        "operation": "send_robust",
        "error_type": f"{HERE}.OutOfStock",
        **ids(spans.named("handle update_stock")),
    }
    assert 0 < duration < 10
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert "in update_stock\n" in traceback
    assert traceback.endswith(f"{HERE}.OutOfStock: no basil\n")
    assert "a local variable" not in traceback.replace('secret = "a local variable"', "")


def test_an_error_that_propagates_is_logged_as_a_warning(instrument, order_paid):
    """It is its caller's to judge."""
    instrument("heliograph")
    order_paid.connect(update_stock)
    with capture_logs() as logs, pytest.raises(OutOfStock):
        order_paid.send(sender=None)

    [event] = logs
    assert (event["event"], event["log_level"], event["operation"]) == ("signal_receiver_failed", "warning", "send")
    assert event["sender"] is None


def test_a_slow_receiver_is_logged_as_a_warning(instrument, spans, order_paid):
    """With the same fields, but for those of an error."""
    instrument("heliograph", slow=0)
    order_paid.connect(send_receipt)
    with capture_logs() as logs:
        order_paid.send(sender=None)

    [event] = logs
    assert isinstance(event.pop("duration_s"), float)
    assert event == {
        "event": "signal_receiver_slow",
        "log_level": "warning",
        "system": "heliograph",
        "signal": "shop.signals.order_paid",
        "sender": None,
        "receiver": f"{HERE}.send_receipt",
        "operation": "send",
        **ids(spans.named("handle send_receipt")),
    }


def test_nothing_is_logged_of_a_receiver_that_is_well(instrument, order_paid):
    """Logs are for what somebody should look at."""
    instrument("heliograph", slow=1000)
    order_paid.connect(send_receipt)
    with capture_logs() as logs:
        order_paid.send(sender=None)

    assert logs == []


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("off", []),
        ("errors", ["signal_receiver_failed"]),
        ("slow", ["signal_receiver_slow", "signal_receiver_failed", "signal_receiver_slow"]),
        ("all", ["signal_receiver_slow", "signal_receiver_failed", "signal_receiver_slow"]),
    ],
)
def test_levels_decide_about_logs(instrument, order_paid, level, events):
    """Errors at every level but off; what is slow at slow and all."""
    instrument("heliograph", level=level, slow=0)
    order_paid.connect(send_receipt)
    order_paid.connect(update_stock)
    with capture_logs() as logs:
        order_paid.send_robust(sender=None)

    assert [event["event"] for event in logs] == events


def test_where_nothing_is_traced_events_have_no_ids(instrument, order_paid):
    """Nothing is made up."""
    instrument("heliograph", slow=0, tracer_provider=NoOpTracerProvider())
    order_paid.connect(send_receipt)
    with capture_logs() as logs:
        order_paid.send(sender=None)

    [event] = logs
    assert event["event"] == "signal_receiver_slow"
    assert not {"trace_id", "span_id"} & set(event)


def test_a_cancelled_receiver_is_not_logged_as_failed(instrument, order_paid):
    """To be cancelled is not to fail."""
    instrument("heliograph", slow=1000)

    async def main():
        waits, never = asyncio.Event(), asyncio.Event()

        async def waiting(**_):
            waits.set()
            await never.wait()

        order_paid.connect(waiting)
        task = asyncio.create_task(order_paid.asend(sender=None))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture_logs() as logs:
        asyncio.run(main())

    assert logs == []


def test_a_logger_of_ones_own_is_used(instrument, order_paid):
    """Structlog is never configured here; a logger may be given."""
    said = []

    class Logger:
        def error(self, event, **fields):
            said.append((event, fields["receiver"]))

    instrument("heliograph", logger=Logger())
    order_paid.connect(update_stock)
    configuration = structlog.get_config()
    order_paid.send_robust(sender=None)

    assert said == [("signal_receiver_failed", f"{HERE}.update_stock")]
    assert structlog.get_config() == configuration


@pytest.mark.parametrize(
    ("opt_in", "span_events", "log_events"),
    [(None, 1, 0), ("", 1, 0), ("logs", 0, 1), ("logs/dup", 1, 1), (" logs ", 0, 1)],
)
def test_exceptions_are_span_events_or_log_events(
    monkeypatch, instrument, spans, otel_logs, order_paid, opt_in, span_events, log_events
):
    """As OpenTelemetry's variable has it; the span is an error in any case."""
    if opt_in is None:
        monkeypatch.delenv(OPT_IN, raising=False)
    else:
        monkeypatch.setenv(OPT_IN, opt_in)
    instrument("heliograph")
    order_paid.connect(update_stock)
    order_paid.send_robust(sender=None)

    span = spans.named("handle update_stock")
    assert len(span.events) == span_events
    assert len(otel_logs.records) == log_events
    assert span.attributes["error.type"] == f"{HERE}.OutOfStock"


@pytest.mark.parametrize(
    ("operation", "policy", "severity"),
    [("send", "propagate", SeverityNumber.WARN), ("send_robust", "capture", SeverityNumber.ERROR)],
)
def test_the_log_event_of_an_exception_says_all(
    monkeypatch, instrument, spans, otel_logs, order_paid, operation, policy, severity
):
    """Its name, its ids, its attributes: exactly these."""
    monkeypatch.setenv(OPT_IN, "logs")
    instrument("heliograph")
    order_paid.connect(update_stock)
    with contextlib.suppress(OutOfStock):
        getattr(order_paid, operation)(sender=None)

    [record] = otel_logs.records
    span = spans.named("handle update_stock")
    found = dict(record.attributes)
    stacktrace = found.pop("exception.stacktrace")
    assert record.event_name == "heliograph.receiver.exception"
    assert record.severity_number is severity
    assert (record.trace_id, record.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)
    assert record.timestamp == span.end_time
    assert found == {
        "heliograph.system.name": "heliograph",
        "heliograph.signal.name": "shop.signals.order_paid",
        "heliograph.operation.name": operation,
        "heliograph.error.policy": policy,
        "code.function.name": f"{HERE}.update_stock",
        "error.type": f"{HERE}.OutOfStock",
        "exception.type": f"{HERE}.OutOfStock",
        "exception.message": "no basil",
    }
    assert "in update_stock\n" in stacktrace


def test_a_wrong_opt_in_is_an_error(monkeypatch, instrument):
    """It names the variable, the value and what is valid, and nothing is instrumented."""
    monkeypatch.setenv(OPT_IN, "log")
    with pytest.raises(ConfigurationError) as caught:
        instrument("heliograph")

    assert str(caught.value) == f"{OPT_IN} cannot be 'log'. Valid: logs, logs/dup, or nothing."
