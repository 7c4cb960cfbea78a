"""A report for a terminal: the tree of what was sent, then who was slow, who failed, and who was not heard.

Everything that comes from the program is put into ``Text`` as plain characters, never into markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from heliograph.report import model
from heliograph.report.tables import failed, never_called, orphans, slowest
from heliograph.report.text import number, plain, seconds, share, short_signals
from heliograph.report.tree import Look, Row, rows

__all__ = ["print_report"]

_MOST_GROUPS = 25
_WIDTH_OF_A_FILE = 100


def print_report(report: model.Report, file: TextIO, *, width: int | None = None) -> None:
    """Print *report* to *file*, in colour if that is a terminal which shows any.

    Args:
        report: What to print.
        file: Where to.
        width: Columns to fill; as many as the terminal has unless given.
    """
    console = _console(file, width)
    look = Look(console.width, _signal_words(report, console.width), ascii=console.options.ascii_only)
    console.print()
    for part in _parts(report, look):
        console.print(part)
        console.print()


def _console(file: TextIO, width: int | None) -> Console:
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if width is None and not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001
        console.width = _WIDTH_OF_A_FILE
    return console
