"""What hostile names and messages can do: to a log, to a terminal, to what else is exported."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import heliograph
from tests.security.conftest import OutOfStock

HOSTILE = [
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "gone\r2026-01-01 [info] all is well",
    "first\n2026-01-01 [info] all is well",
    "\u2028\u2029\x85\x0b\x0c\x00\x7f",
    "\u202eexe.gnp\u2066\u200b",
    "\udcff\ud800",
    "<script>alert('1')</script><img src=x onerror=alert(1)>",
    "[bold red]markup[/] :boom: {event} %s",
    "x" * 10_000,
]


def fail_as(text: str) -> tuple[Callable[..., None], type]:
    """Return a receiver whose names, exception and message all are *text*, and a sender called so."""

    def receiver(**_):
        raise type("Error", (Exception,), {"__module__": text})(text)

    receiver.__code__ = receiver.__code__.replace(co_name=text)
    receiver.__module__, receiver.__qualname__ = "shop", text
    return receiver, type("Sender", (), {"__module__": text})


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_name_or_message_forges_a_line_of_the_log(instrument, written, text):
    """In JSON one event is one line of ASCII; on a console no control character arrives, and no line at the margin."""
    instrument("heliograph")
    receiver, sender = fail_as(text)
    signal = heliograph.Signal(name=text)
    signal.connect(receiver)
    signal.send_robust(sender=sender)
    printed = written.getvalue()

    assert [char for char in printed if not char.isprintable() and char != "\n"] == []
    if printed.startswith("{"):
        [line] = printed.splitlines()
        event = json.loads(line)
        assert line.isascii()
        assert (event["event"], event["operation"]) == ("signal_receiver_failed", "send_robust")
    else:
        at_the_margin = [line for line in printed.split("\n") if line and not line.startswith(" ")]
        assert len(at_the_margin) == 3
        assert at_the_margin[0].startswith("[error    ] signal_receiver_failed ")
        assert at_the_margin[1] == "Traceback (most recent call last):"
        assert at_the_margin[2].startswith(ascii_of(text.partition("\n")[0]))


def ascii_of(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_message_is_lost_on_its_way(monkeypatch, instrument, spans, otel_logs, text):
    """Names of files may hold what no exporter can encode: it is spelled out, so that the exception arrives whole."""
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup")
    instrument("heliograph", extra_attributes=["heliograph.receiver.dispatch_uid", "heliograph.signal.argument_names"])
    signal = heliograph.Signal(name="shop.paid")

    def receiver(**_):
        raise OutOfStock(text)

    signal.connect(receiver, dispatch_uid=text)
    signal.send_robust(sender=None, **{text: 1})
    encoded = encode_spans(spans.finished).resource_spans[0].scope_spans[0].spans

    handle, send = sorted(encoded, key=lambda span: span.name)
    message = text.encode("utf-8", "backslashreplace").decode()
    told = {one.key: one.value.string_value for one in handle.events[0].attributes}
    assert told["exception.message"] == message == otel_logs.records[0].attributes["exception.message"]
    assert told["exception.stacktrace"].startswith("Traceback (most recent call last):\n")
    assert ascii_of(text) in [one.value.string_value for one in handle.attributes]
    assert [ascii_of(text)] in [[name.string_value for name in one.value.array_value.values] for one in send.attributes]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_name_steers_the_terminal(reported, text):
    """The report has the lines that it has for harmless names, and no control character; saved, it is ASCII."""
    for name in ("harmless", text):
        receiver, sender = fail_as(name)
        signal = heliograph.Signal(name=name)
        signal.connect(receiver)
        signal.send_robust(sender=sender)
    saved, _, printed = reported().partition("\n}\n")

    assert saved.isascii()
    assert [char for char in printed if not char.isprintable() and char != "\n"] == []
    lines = printed.splitlines()
    assert sum("FAILED" in line for line in lines) == 4  # two in the tree, two in the table
    assert not [line for line in lines if line.startswith("2026")]
    assert max(map(len, lines)) <= 200


def test_there_is_no_page_for_a_script_to_run_in(reported):
    """The report is text: tags are the characters that they are, and markup of the terminal's library is too."""
    for text in ("<script>alert(1)</script>", "[bold]x[/bold]"):
        receiver, _ = fail_as(text)
        signal = heliograph.Signal(name="shop.paid")
        signal.connect(receiver)
        signal.send_robust(sender=None)
    printed = reported().partition("\n}\n")[2]

    assert "shop.<script>alert(1)</script>" in printed
    assert "shop.[bold]x[/bold]" in printed


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_name_keeps_other_spans_from_arriving(spans, text):
    """One that no exporter can encode would cost the batch it is in: names are of visible characters everywhere."""
    with heliograph.instrument("heliograph", tracer_provider=spans.provider):
        receiver, sender = fail_as(text)
        signal = heliograph.Signal(name=text)
        signal.connect(receiver)
        signal.send_robust(sender=sender)
    arrived = encode_spans(spans.finished).resource_spans[0].scope_spans[0].spans

    found = {one.value.string_value for span in arrived for one in span.attributes}
    assert {ascii_of(text), f"shop.{ascii_of(text)}", f"{ascii_of(text)}.Sender", f"{ascii_of(text)}.Error"} <= found
