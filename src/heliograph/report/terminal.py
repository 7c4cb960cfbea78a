"""A report for a terminal: the tree of what was sent, then who was slow, who failed, and who was not heard.

Whatever comes from the program is put into ``Text`` as plain characters, never into markup.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from rich.console import Console
from rich.text import Text

from heliograph.report import model
from heliograph.report.choice import ROWS_BESIDE_REQUESTS, ROWS_FOR_A_GROUP, chosen_groups, folded
from heliograph.report.layout import Look, draw, heading
from heliograph.report.tables import TABLES
from heliograph.report.text import number, short_signals
from heliograph.report.tree import rows

__all__ = ["print_report"]

_WIDTH_OF_FILES = 100
_WIDEST = 140
_UNKNOWN = (
    "receivers unknown: the signal has a send of its own, and Python before 3.12",
    "does not tell what that calls; or the release of its library is new here",
)


def print_report(report: model.Report, file: TextIO, *, width: int | None = None, everything: bool = False) -> None:
    """Print *report* to *file*, in colour if that is a terminal which shows any.

    Args:
        report: What to print.
        file: Where to.
        width: Columns to fill; as many as the terminal has unless given.
        everything: Whether to show all there is, however long.
    """
    console = _Console(file=file, width=width or _width(file), highlight=False, markup=False, emoji=False)
    look = Look(min(console.width, _WIDEST), {}, everything=everything, ascii=console.options.ascii_only)
    if not look.whole:
        look = replace(look, signals=short_signals(_signal_names(report)))
    for line in _lines(report, look):
        console.print(line, overflow="crop", no_wrap=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would end the process, which is not ours to end: it is the observed program's.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _width(file: TextIO) -> int | None:
    return None if file.isatty() or os.environ.get("COLUMNS", "").isdigit() else _WIDTH_OF_FILES


def _signal_names(report: model.Report) -> set[str]:
    names = {name for group in report.groups for line in group.lines for name in _signals(line)}
    for table in (report.receivers, report.failures, report.never_called):
        names.update(one.signal for one in table)
    return names


def _signals(line: model.DispatchLine) -> Iterator[str]:
    yield line.signal
    for receiver in line.receivers:
        for inner in receiver.lines:
            yield from _signals(inner)


def _lines(report: model.Report, look: Look) -> Iterator[Text]:
    yield Text("")
    yield heading(f"heliograph {look.dot} {look.plain(report.program)}", look)
    yield _summary(report, look)
    shown, hidden = (report.groups, []) if look.everything else chosen_groups([folded(one) for one in report.groups])
    for index, group in enumerate(shown):
        yield Text("") if index else heading("fan-out", look, "total", "worst", "share")
        beside_requests = index and not group.request
        room = ROWS_BESIDE_REQUESTS if beside_requests else ROWS_FOR_A_GROUP
        yield from (draw(row, look) for row in rows(group, look, room))
    yield from _not_shown(hidden, report.left_out, look)
    for table in TABLES:
        for index, line in enumerate(table(report, look)):
            if not index:
                yield Text("")
            yield line
    yield from _remarks(report, look)


def _summary(report: model.Report, look: Look) -> Text:
    totals = report.totals
    text = Text()
    facts = [
        (number(totals.requests, "request") if totals.requests else "", ""),
        (number(totals.dispatches, "dispatch"), ""),
        (number(totals.calls, "receiver call"), ""),
        (f"{totals.failed:,} failed" if totals.failed else "", "bold red"),
        (f"{totals.slow:,} slow" if totals.slow else "", "bold yellow"),
        (look.seconds(report.duration), ""),
    ]
    for words, style in facts:
        if words:
            text.append(f" {look.dot} " if text else "", "dim")
            text.append(words, style)
    return text


def _not_shown(hidden: Sequence[model.Group], left_out: model.LeftOut, look: Look) -> Iterator[Text]:
    if hidden:
        requests = number(sum(group.count for group in hidden), "more request")
        took = look.seconds(sum(group.total for group in hidden))
        yield Text("")
        yield Text(f"{look.ellipsis} and {requests} in {took}: save the report and print it with --all", "dim")
    counts = [
        (left_out.requests, "request"),
        (left_out.calls, "call"),
        (left_out.failures, "failure"),
        (left_out.sends, "send"),
    ]
    words = ", ".join(number(count, noun) for count, noun in counts if count)
    if words:
        yield Text("")
        yield Text(f"{look.ellipsis} and {words} more, counted but not kept: a report has a size", "dim")


def _remarks(report: model.Report, look: Look) -> Iterator[Text]:
    if not report.totals.dispatches:
        yield Text(
            "The level is off: nothing was observed."
            if report.level == "off"
            else "No signals were seen: none were sent, or filters left them out.",
            "dim",
        )
    if any(_is_unknown(line) for group in report.groups for line in group.lines):
        yield Text("")
        yield from (Text(look.plain(line), "dim") for line in _UNKNOWN)
    for remark in report.unmatched:
        yield Text(look.plain(remark), "yellow")


def _is_unknown(line: model.DispatchLine) -> bool:
    return not line.known or any(_is_unknown(inner) for one in line.receivers for inner in one.lines)
