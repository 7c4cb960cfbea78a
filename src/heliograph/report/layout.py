"""Rows of a report: a name on the left, up to three numbers and a bar on the right, all in columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from heliograph.report.text import per_cent, plain, seconds, shorten

__all__ = ["Look", "Row", "draw", "heading"]

_WIDTHS = (10, 9, 7)
_BAR = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Look:
    """How rows are drawn.

    Attributes:
        width: Cells of the terminal.
        signals: The words for signals, by their dotted names.
        everything: Whether to show all there is, however long.
        ascii: Whether the terminal may know no characters but ASCII's.
    """

    width: int
    signals: Mapping[str, str]
    everything: bool = False
    ascii: bool = False

    @property
    def bars(self) -> bool:
        """Whether there is room to draw shares as bars."""
        return self.width >= 100

    @property
    def whole(self) -> bool:
        """Whether there is room for whole names."""
        return self.width >= 140

    @property
    def names(self) -> int:
        """Cells for names, left of the numbers."""
        return max(20, self.width - sum(_WIDTHS) - (_BAR + 1 if self.bars else 0))

    @property
    def guides(self) -> tuple[str, str, str, str]:
        """What stands before a line: a branch, the last branch, a stem beside others, nothing."""
        return ("|- ", "`- ", "|  ", "   ") if self.ascii else ("├─ ", "└─ ", "│  ", "   ")

    @property
    def ellipsis(self) -> str:
        """What stands for what is left out of a name."""
        return self.mark("…", "..")

    @property
    def dot(self) -> str:
        """What stands between the items of a list in one line."""
        return self.mark("·", "|")

    def mark(self, unicode: str, ascii: str) -> str:  # noqa: A002  # the name of what it is
        """Return the one of two marks that the terminal knows."""
        return ascii if self.ascii else unicode

    def times(self, count: int) -> str:
        """Return how often, such as ``×150``."""
        return f"{self.mark('×', 'x')}{count:,}"

    def plain(self, text: str) -> str:
        """Return *text* so that it can be printed: on one line, and without what the terminal does not know."""
        text = plain(text)
        return text.encode("ascii", "backslashreplace").decode() if self.ascii else text

    def seconds(self, value: float) -> str:
        """Return a duration with its unit."""
        return seconds(value).replace("µ", self.mark("µ", "u"))

    def shorten(self, name: str, room: int) -> str:
        """Return a dotted *name* in at most *room* cells."""
        return shorten(name, room, ellipsis=self.ellipsis)

    def signal(self, name: str) -> str:
        """Return the word for the signal with this dotted *name*."""
        return self.signals.get(name, name)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a label and what stands in the columns.

    Attributes:
        label: What the row is about. Without numbers it may take the whole width.
        first, second: Numbers, ready to print.
        part: A share of one, for the third column and the bar.
        style: The numbers' style.
    """

    label: Text
    first: str = ""
    second: str = ""
    part: float | None = None
    style: str = ""


def draw(row: Row, look: Look) -> Text:
    """Return *row* as one line of *look*'s width."""
    text = row.label.copy()
    if row.first or row.second or row.part is not None:
        _fit(text, look.names, look)
        text.append(" " * (look.names - text.cell_len))
        text.append(row.first.rjust(_WIDTHS[0]), row.style)
        text.append(row.second.rjust(_WIDTHS[1]), row.style or "dim")
        text.append_text(_part(row, look))
    _fit(text, look.width, look)
    text.rstrip()
    text.no_wrap = True
    return text


def heading(title: str, look: Look, *columns: str) -> Text:
    """Return the line above a section: its *title*, a rule, and the names of its columns."""
    rest = "".join(name.rjust(width) for name, width in zip(columns, _WIDTHS, strict=False))
    text = Text().append(title, "bold")
    end = look.names if columns else look.width
    text.append(" " + look.mark("─", "-") * (end - cell_len(title) - 1), "dim")
    text.append(rest, "dim")
    text.no_wrap = True
    return text


def _part(row: Row, look: Look) -> Text:
    if row.part is None:
        return Text()
    text = Text().append(per_cent(row.part).rjust(_WIDTHS[2]), row.style)
    if look.bars:
        text.append(f" {_bar(row.part, look)}", row.style or "cyan")
    return text


def _bar(part: float, look: Look) -> str:
    eighths = round(min(1.0, part) * _BAR * 8)
    if look.ascii:
        return "#" * (eighths // 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _fit(text: Text, room: int, look: Look) -> None:
    if text.cell_len > room:
        text.truncate(room, overflow="crop" if look.ascii else "ellipsis")
