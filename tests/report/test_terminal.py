"""The report as it is read: the same words with and without colour, at any width, and nothing that steers a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from heliograph.fanout.facts import Mode
from heliograph.report.model import Report
from heliograph.report.terminal import print_report
from tests.report.conftest import Call, Sent, Stage, function

STARTED, FINISHED = "django.core.signals.request_started", "django.core.signals.request_finished"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """What the surroundings say about colour and width must not decide what is tested."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)


class Stream(io.TextIOWrapper):
    """A stream with an encoding, and maybe a terminal behind it."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


def printed(report: Report, *, encoding: str = "utf-8", terminal: bool = False, **arguments: object) -> str:
    stream = Stream(encoding, terminal=terminal)
    print_report(report, stream, **arguments)  # type: ignore[arg-type]
    return stream.text


@pytest.fixture
def report(stage: Stage) -> Report:
    """A small day at a shop: two requests alike, one that fails, and something before them."""
    stage.play(Sent("shop.signals.opened", [Call("shop.receivers.light_up", 4)], sender="shop.management.Opening"))
    for took in (150, 50):
        saved = Sent("django.db.models.signals.post_save", [Call("shop.search.reindex", 0.5)], sender="shop.Item")
        calls = [
            Call("shop.receivers.print_receipt", took),
            Call("shop.receivers.restock", 10, sends=[saved] * 20),
            Call("shop.receivers.credit_points", 2, error=ConnectionError("canary") if took == 50 else None),
            Call("shop.receivers.ring", 1, mode=Mode.ASYNC),
        ]
        stage.play(Sent(STARTED))
        stage.play(Sent("shop.signals.paid", calls, sender="shop.Order", robust=True))
        stage.play(Sent(FINISHED))
    refusal = Call("shop.stock.check", 3, error=ValueError("canary"))
    stage.play(Sent(STARTED))
    stage.play(Sent("shop.signals.placed", [refusal], due=["shop.stock.check", "shop.kitchen.cook"]))
    stage.play(Sent("shop.signals.lost"), Sent(FINISHED))
    connected = [("shop.signals.refunded", stage.function("shop.receivers.pay_back")), ("shop.signals.paid", re.purge)]
    return replace(stage.collector.report("shop.py --day 1", connected=connected), duration=0.5)


AT_80 = """
heliograph · shop.py --day 1 ───────────────────────────────────────────────────
3 requests · 51 dispatches · 50 receiver calls · 2 failed · 1 slow · 500 ms
fan-out ──────────────────────────────────────────────     total    worst  share
request 1  ×2  all with this fan-out                      246 ms   173 ms
└─ paid  shop.Order  ×2  send_robust                      246 ms   173 ms   100%
   ├─ shop.receivers.print_receipt  ×2  SLOW ×1           200 ms   150 ms    81%
   ├─ shop.receivers.restock  ×2                         40.0 ms  20.0 ms    16%
   │  └─ post_save  shop.Item  ×40                       20.0 ms   500 µs     8%
   │     └─ shop.search.reindex  ×40                     20.0 ms   500 µs     8%
   ├─ shop.receivers.credit_points  ×2                   4.00 ms  2.00 ms     2%
   │  ✗ FAILED ×1 ConnectionError  captured
   └─ shop.receivers.ring  ×2  async                     2.00 ms  1.00 ms    <1%

request 3                                                3.00 ms
└─ placed                                                3.00 ms            100%
   ├─ shop.stock.check                                   3.00 ms            100%
   │  ✗ FAILED ValueError
   └─ shop.kitchen.cook  skipped

outside of requests
└─ opened  Opening                                       4.00 ms
   └─ shop.receivers.light_up                            4.00 ms            100%

slowest receivers ────────────────────────────────────     total    worst of run
shop.receivers.print_receipt  paid  ×2                    200 ms   150 ms    40%
shop.receivers.restock  paid  ×2                         40.0 ms  20.0 ms     8%
shop.search.reindex  post_save  ×40                      20.0 ms   500 µs     4%
shop.receivers.credit_points  paid  ×2                   4.00 ms  2.00 ms    <1%
shop.receivers.light_up  opened                          4.00 ms  4.00 ms    <1%
shop.stock.check  placed                                 3.00 ms  3.00 ms    <1%
shop.receivers.ring  paid  ×2                            2.00 ms  1.00 ms    <1%

failed receivers ─────────────────────────────────────    failed of calls
shop.receivers.credit_points  paid                             1        2
  ✗ FAILED ConnectionError  captured
shop.stock.check  placed                                       1        1
  ✗ FAILED ValueError

sent, and nobody heard ───────────────────────────────   unheard of sends
django.core.signals.request_finished                           3        3
django.core.signals.request_started                            3        3
shop.signals.lost                                              1        1

receivers never called ─────────────────────────────────────────────────────────
shop.receivers.pay_back  refunded  tests/report/conftest.py:24
… 1 receiver of installed libraries
"""


def test_a_report_at_80_columns(report):
    """All of it, line by line."""
    assert printed(report, width=80) == AT_80


def test_the_words_are_the_same_in_colour(report, monkeypatch):
    """Colour adds nothing that has to be seen to be understood."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    coloured = printed(report, terminal=True)

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == AT_80
    assert "\x1b[1;31m✗ FAILED" in coloured
    assert "\x1b[1;33m  SLOW" in coloured


def test_no_color_is_respected(report, monkeypatch):
    """https://no-color.org: no colour whatever the terminal could show; bold and dim are none."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    assert set(re.findall(r"\x1b\[([0-9;]*)m", printed(report, terminal=True))) == {"0", "1", "2"}


def test_a_file_gets_no_colour_and_bars(report):
    """What is no terminal is a file or a build's log: 100 columns, as plain text."""
    lines = printed(report).splitlines()

    assert "\x1b" not in "".join(lines)
    assert max(map(cell_len, lines)) == 100
    assert lines[6].endswith("200 ms   150 ms    81% ████████▏")


def test_ascii_is_enough(report):
    """Where nothing but ASCII can be shown, everything is still said."""
    text = printed(replace(report, program="größe.py"), encoding="ascii", width=80)

    assert text.isascii()
    assert text.splitlines()[1] == r"heliograph | gr\xf6\xdfe.py " + "-" * 52
    assert "|- shop.receivers.print_receipt  x2  SLOW x1" in text
    assert "|  x FAILED ValueError" in text
    assert " 500 us " in text


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 99, 100, 139, 140, 200])
def test_no_line_is_wider_than_the_terminal(report, width):
    """Lines are cut, never wrapped."""
    lines = printed(report, width=width).splitlines()

    assert max(map(cell_len, lines)) <= width
    assert len(lines) == len(AT_80.splitlines())


def test_wide_terminals_have_whole_names(report):
    """From 140 columns on nothing is shortened."""
    text = printed(report, width=140)

    assert "└─ django.db.models.signals.post_save  shop.Item  ×40" in text
    assert "└─ shop.signals.opened  shop.management.Opening" in text


HOSTILE = "shop.\x1b[2J\x1b]0;owned\x07[bold red]x[/bold red]\r\n:boom:"


def test_names_cannot_steer_the_terminal(stage):
    """Escape sequences, new lines and markup in names are printed as what they are."""
    error = type(HOSTILE, (Exception,), {"__module__": "shop"})()
    stage.play(Sent(HOSTILE, [Call(HOSTILE, 200, error=error)], sender=HOSTILE, robust=True), Sent(HOSTILE))
    connected = [(HOSTILE, function(f"{HOSTILE}.other"))]
    report = stage.collector.report(HOSTILE, connected=connected, unmatched=[HOSTILE])

    text = printed(report, width=140)

    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert r"shop.\x1b[2J\x1b]0;owned\x07[bold red]x[/bold red]\r\n:boom:" in text
    assert len(text.splitlines()) == 22


def test_long_trees_are_folded_and_cut(stage):
    """What failed is shown, then what took long; what is quick is folded, and the rest is counted."""
    quick = Sent("shop.noted", [Call("shop.note", 0.001)])
    for number in range(200):
        error = ValueError() if number == 150 else None
        calls = [Call("shop.work", number, sends=[quick]), Call("shop.may_fail", 1, error=error)]
        stage.play(Sent(STARTED), Sent(f"shop.s{number}", calls, robust=True), Sent(FINISHED))
    report = stage.collector.report("program")

    short, long = printed(report, width=80), printed(report, width=80, everything=True)

    assert "FAILED ValueError" in short
    assert "request 200 " in short
    assert "request 1 " not in short
    assert "… and 183 more requests in 16.9 s: save the report and print it with --all" in short
    assert "request 1 " in long
    assert "more requests" not in long


def test_an_empty_report_says_so(stage):
    """A program without signals is told from one that was not observed."""
    empty = stage.collector.report("program")
    off = Stage(level="off").collector.report("program")

    assert printed(empty).splitlines()[-1] == "No signals were seen: none were sent, or filters left them out."
    assert printed(off).splitlines()[-1] == "The level is off: nothing was observed."


def test_remarks_come_last(report):
    """What is wrong with the settings is read where the prompt comes back."""
    assert printed(replace(report, unmatched=("excluded_signals: 'pre_sav' matches nothing",))).endswith(
        "\nexcluded_signals: 'pre_sav' matches nothing\n"
    )
