"""The tables under the tree: who took the time, who failed, what nobody heard, and who heard nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.text import Text

from heliograph.report import model
from heliograph.report.layout import Look, Row, draw, heading
from heliograph.report.text import number
from heliograph.report.tree import failure_row

__all__ = ["TABLES"]

_MOST = 10

Table = Callable[[model.Report, Look], Iterator[Text]]


def slowest(report: model.Report, look: Look) -> Iterator[Text]:
    """Return the receivers with the most time in all their calls together, and their share of the run."""
    if not report.receivers:
        return
    yield heading("slowest receivers", look, "total", "worst", "of run")
    for one in report.receivers[:_MOST]:
        style = "bold red" if one.failed else "bold yellow" if one.slow else ""
        part = one.total / report.duration if report.duration else None
        label = _label(one.receiver, one.signal, look, often=one.count, style=style)
        yield draw(Row(label, look.seconds(one.total), look.seconds(one.worst), part, style), look)
    yield from _more(len(report.receivers), "receiver", look)


def failed(report: model.Report, look: Look) -> Iterator[Text]:
    """Return the receivers that failed: how often, with which error, and where."""
    if not report.failures:
        return
    yield heading("failed receivers", look, "failed", "of calls")
    for one in report.failures[:_MOST]:
        label = _label(one.receiver, one.signal, look, style="bold red")
        yield draw(Row(label, f"{one.count:,}", f"{one.calls:,}", style="bold red"), look)
        yield draw(failure_row("  ", "", one.error, one.place, captured=one.captured, look=look), look)
    yield from _more(len(report.failures), "failure", look)


def orphans(report: model.Report, look: Look) -> Iterator[Text]:
    """Return the signals that were sent while nobody listened."""
    if not report.orphans:
        return
    yield heading("sent, and nobody heard", look, "unheard", "of sends")
    for one in report.orphans[:_MOST]:
        label = Text().append(look.shorten(look.plain(one.signal), look.names), "cyan")
        yield draw(Row(label, f"{one.count:,}", f"{one.sends:,}"), look)
    yield from _more(len(report.orphans), "signal", look)


def never_called(report: model.Report, look: Look) -> Iterator[Text]:
    """Return the program's own receivers that were never called; those of libraries are only counted."""
    if not report.never_called:
        return
    own = [one for one in report.never_called if not one.installed]
    others = len(report.never_called) - len(own)
    yield heading("receivers never called", look)
    for one in own[:_MOST]:
        label = _label(one.receiver, one.signal, look, room=look.width - len(look.plain(one.place or "")) - 2)
        label.append(f"  {look.plain(one.place or '')}", "dim")
        yield draw(Row(label), look)
    yield from _more(len(own), "receiver", look)
    if others:
        yield Text(f"{look.ellipsis if own else ''} {number(others, 'receiver')} of installed libraries".strip(), "dim")


TABLES: tuple[Table, ...] = (slowest, failed, orphans, never_called)
"""Each yields its lines, heading first; nothing when there is nothing to say."""


def _label(receiver: str, signal: str, look: Look, *, often: int = 1, style: str = "", room: int = 0) -> Text:
    signal = look.plain(look.signal(signal))
    tail = f"  {look.times(often)}" if often > 1 else ""
    left = (room or look.names) - len(tail)
    signal = look.shorten(signal, max(8, min(len(signal), left - 2 - min(len(receiver), left * 2 // 3))))
    label = Text().append(look.shorten(look.plain(receiver), left - len(signal) - 2), style)
    label.append(f"  {signal}", "cyan")
    label.append(tail, "bold")
    return label


def _more(count: int, noun: str, look: Look) -> Iterator[Text]:
    if count > _MOST:
        yield Text(f"{look.ellipsis} and {number(count - _MOST, f'more {noun}')}", "dim")
