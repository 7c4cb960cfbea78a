"""What exceptions say: told by default, as OpenTelemetry has it, and nowhere with ``exception_messages=False``."""

from __future__ import annotations

import asyncio
from typing import Any

import django.dispatch
import pytest
from opentelemetry.sdk.trace import SpanProcessor

import heliograph
from heliograph.cli.options import Options
from heliograph.fanout.observer import observe
from tests.security.conftest import CANARY, OutOfStock, python
from tests.support.otlp import OtlpSink

KIND = f"{OutOfStock.__module__}.OutOfStock"


def with_a_message(**_):
    raise OutOfStock(CANARY)


def with_a_cause(**_):
    try:
        raise KeyError(CANARY)
    except KeyError as error:
        raise OutOfStock(CANARY) from error


def in_a_handler(**_):
    try:
        raise KeyError(CANARY)
    except KeyError:
        raise OutOfStock  # noqa: B904  # the point


def with_a_note(**_):
    error = OutOfStock()
    error.add_note(CANARY)
    raise error


def in_a_group(**_):
    raise ExceptionGroup(CANARY, [OutOfStock(CANARY), ExceptionGroup(CANARY, [KeyError(CANARY)])])


def with_text_of_a_program(**_):
    compile(f"{CANARY} = = {CANARY}", "<menu>", "exec")


def with_bytes(**_):
    CANARY.encode().join([b"\xff"] * 2).decode()


def with_a_suggestion(**_):
    getattr(type("Menu", (), {CANARY: 1})(), CANARY[:-1])


FAILING = [
    (with_a_message, OutOfStock),
    (with_a_cause, OutOfStock),
    (in_a_handler, OutOfStock),
    (with_a_note, OutOfStock),
    (in_a_group, ExceptionGroup),
    (with_text_of_a_program, SyntaxError),
    (with_bytes, UnicodeDecodeError),
    (with_a_suggestion, AttributeError),
]


@pytest.mark.parametrize("Signal", [heliograph.Signal, django.dispatch.Signal])
@pytest.mark.parametrize("opt_in", ["", "logs", "logs/dup"])
@pytest.mark.parametrize(("failing", "kind"), FAILING)
def test_messages_of_exceptions_are_told_nowhere(
    monkeypatch, instrument, spans, metrics, otel_logs, written, reported, failing, kind, opt_in, Signal
):
    """With ``exception_messages=False`` all that telemetry says of a failure is its types and its frames."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", opt_in)
    instrument(exception_messages=False)
    signal = Signal()
    signal.connect(failing)

    async def concurrent(**_):
        failing()

    if hasattr(signal, "asend"):
        signal.connect(concurrent)
    signal.send_robust(sender=None)
    with pytest.raises(kind):
        signal.send(sender=None)
    if hasattr(signal, "asend"):
        asyncio.run(signal.asend_robust(sender=None))

    everything = {
        "spans": "\n".join(span.to_json() for span in spans.finished),
        "metrics": metrics.reader.get_metrics_data().to_json(),
        "OpenTelemetry's logs": otel_logs.as_json(),
        "structlog": written.getvalue(),
        "report": reported(),
    }
    name = kind.__qualname__
    heard = {
        key: (CANARY[:-1] in text, name in text, f"in {failing.__name__}" in text) for key, text in everything.items()
    }
    assert heard == {
        "spans": (False, True, opt_in != "logs"),
        "metrics": (False, True, False),
        "OpenTelemetry's logs": (False, opt_in != "", opt_in != ""),
        "structlog": (False, True, True),
        "report": (False, True, False),
    }


def test_messages_are_told_unless_they_are_not_to_be(monkeypatch, instrument, spans, otel_logs, written):
    """The default: OpenTelemetry prescribes them. This is what makes the test above one that can fail."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup")
    instrument("heliograph")
    signal = heliograph.Signal()
    signal.connect(with_a_message)
    signal.send_robust(sender=None)

    [event] = spans.named("handle with_a_message").events
    assert event.attributes["exception.message"] == CANARY
    assert otel_logs.records[0].attributes["exception.message"] == CANARY
    assert f"OutOfStock: {CANARY}" in written.getvalue()


def test_what_is_left_of_an_exception(monkeypatch, instrument, spans, otel_logs):
    """The event of the span and the log event have these attributes alone."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup")
    instrument("heliograph", exception_messages=False)
    signal = heliograph.Signal(name="shop.order_paid")
    signal.connect(with_a_message)
    signal.send_robust(sender=None)

    span = spans.named("handle with_a_message")
    [event], [record] = span.events, otel_logs.records
    said, logged = dict(event.attributes), dict(record.attributes)
    stacktrace = said.pop("exception.stacktrace")
    assert stacktrace.splitlines()[-2:] == [
        f'  File "{__file__}", line {with_a_message.__code__.co_firstlineno + 1}, in with_a_message',
        KIND,
    ]
    assert (event.name, said, event.timestamp) == (
        "exception",
        {"exception.type": KIND},
        span.end_time,
    )
    assert logged.pop("exception.stacktrace") == stacktrace
    assert logged == {
        "heliograph.system.name": "heliograph",
        "heliograph.signal.name": "shop.order_paid",
        "heliograph.operation.name": "send_robust",
        "heliograph.error.policy": "capture",
        "code.function.name": f"{__name__}.with_a_message",
        "error.type": KIND,
        "exception.type": KIND,
    }


@pytest.mark.parametrize("place", ["argument", "framework", "environment"])
def test_messages_can_be_switched_off_in_each_place(monkeypatch, instrument, spans, place):
    """As an argument, in Django's ``HELIOGRAPH``, in the environment."""
    arguments: dict[str, dict[str, Any]] = {
        "argument": {"exception_messages": False},
        "framework": {"framework_settings": {"EXCEPTION_MESSAGES": False}},
        "environment": {},
    }
    if place == "environment":
        monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_EXCEPTION_MESSAGES", "false")
    instrument("heliograph", **arguments[place])
    signal = heliograph.Signal()
    signal.connect(with_a_message)
    signal.send_robust(sender=None)

    [event] = spans.named("handle with_a_message").events
    assert sorted(event.attributes) == ["exception.stacktrace", "exception.type"]


PROGRAM = """
import heliograph

paid = heliograph.Signal(name="shop.paid")

def receipt(**_):
    raise ConnectionError("drib-wolley"[::-1])

paid.connect(receipt)
try:
    paid.send(sender=None)
except ConnectionError:
    pass
"""


@pytest.mark.end_to_end
@pytest.mark.parametrize(("option", "told"), [([], True), (["--no-exception-messages"], False)])
def test_the_command_line_can_keep_messages_to_itself(tmp_path, option, told):
    """``heliograph run --no-exception-messages --otlp``: the backend hears of the failure, and not what it says."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    with OtlpSink() as sink:
        words = ["-m", "heliograph", "run", *option, "--otlp", sink.url, "program.py"]
        ran = python(tmp_path, *words)

    assert ran.returncode == 0, ran.stderr
    [span] = [one for one in sink.spans if one["name"] == "handle __main__.receipt"]
    [event] = span["events"]
    assert event["attributes"]["exception.type"] == "ConnectionError"
    assert event["attributes"].get("exception.message") == (CANARY if told else None)
    assert (CANARY in str(sink.spans)) is told
    assert CANARY not in ran.stderr  # the report has no messages in any case


def test_a_program_that_starts_itself_again_keeps_them_too():
    """The option is among those with which a reloader starts the program once more."""
    options = Options.of(level="slow", slow=None, exception_messages=False, otlp=None, save=None)

    assert options.arguments() == ["--level", "slow", "--no-exception-messages"]


class Careless(SpanProcessor):
    """Fails at the end of each span, after it has failed at something else."""

    def on_end(self, span: Any) -> None:
        try:
            raise KeyError("its own")
        except KeyError as error:
            raise RuntimeError("careless") from error


class CarelessObserver:
    """Fails when it is told of a dispatch."""

    def interested(self, site: Any) -> bool:
        return True

    def finished(self, dispatch: Any) -> None:
        raise RuntimeError("careless")


@pytest.mark.parametrize("careless", [Careless, CarelessObserver])
def test_the_fault_of_an_observer_does_not_quote_the_receivers(spans, caplog, careless):
    """While an error is on its way to the sender, what telemetry fails with is logged without that error."""
    undo = observe(careless()) if careless is CarelessObserver else spans.provider.add_span_processor(careless())
    with heliograph.instrument("heliograph", tracer_provider=spans.provider, exception_messages=False):
        signal = heliograph.Signal()
        signal.connect(with_a_message)
        with pytest.raises(OutOfStock) as caught:
            signal.send(sender=None)
    if undo is not None:
        undo()

    assert caught.value.args == (CANARY,)
    assert "RuntimeError: careless" in caplog.text
    assert ("KeyError: 'its own'" in caplog.text) is (careless is Careless)
    assert CANARY not in caplog.text
