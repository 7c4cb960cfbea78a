"""The fan-out as rows of a tree: request or send, signal, receivers, and what these sent in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from heliograph.report import model
from heliograph.report.text import number, plain, seconds, shorten

__all__ = ["Look", "Row", "rows"]


@dataclass(frozen=True, slots=True)
class Look:
    """How rows are drawn.

    Attributes:
        width: Cells of the terminal.
        signals: The words for signals, by their dotted names.
        ascii: Whether the terminal may know no others than ASCII's characters.
    """

    width: int
    signals: Mapping[str, str]
    ascii: bool = False

    @property
    def numbers(self) -> int:
        """Cells of the columns on the right."""
        return 26 + (11 if self.bars else 0)

    @property
    def bars(self) -> bool:
        """Whether there is room to draw shares as bars."""
        return self.width >= 100

    @property
    def guides(self) -> tuple[str, str, str, str]:
        """What stands before a line: a branch, the last branch, a stem beside others, nothing."""
        return ("|- ", "`- ", "|  ", "   ") if self.ascii else ("├─ ", "└─ ", "│  ", "   ")

    def mark(self, unicode: str, ascii: str) -> str:
        """Return the one of two marks that the terminal knows."""
        return ascii if self.ascii else unicode


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what is named, and its numbers. A note has no numbers."""

    label: Text
    total: str = ""
    worst: str = ""
    part: float | None = None
    style: str = ""


def rows(groups: Sequence[model.Group], look: Look) -> Iterator[Row]:
    """Return the rows of *groups*, with an empty one between."""
    for index, group in enumerate(groups):
        if index:
            yield Row(Text(""))
        yield from _Group(group, look).rows()


class _Group:
    def __init__(self, group: model.Group, look: Look) -> None:
        self.group = group
        self.look = look
        self.names = look.width - look.numbers - 1

    def rows(self) -> Iterator[Row]:
        group = self.group
        timed = bool(group.request)
        yield Row(
            self._title(),
            total=seconds(group.total) if timed else "",
            worst=seconds(group.worst) if timed and group.count > 1 else "",
        )
        whole = group.total if timed else None
        yield from self._branch(group.lines, "", whole)
        if group.left_out:
            note = f"{self.look.guides[1]}and {number(group.left_out, 'more dispatch')} that have no line of their own"
            yield Row(Text(note, "dim"))

    def _title(self) -> Text:
        group, look = self.group, self.look
        if not group.request:
            return Text("outside of requests", "bold")
        title = Text(f"request {group.request}", "bold")
        if group.count > 1:
            title.append(f"  {look.mark('×', 'x')}{group.count:,}", "bold cyan")
            title.append(" with this fan-out", "dim")
        return title

    def _branch(self, lines: Iterable[model.DispatchLine], stem: str, whole: float | None) -> Iterator[Row]:
        lines = list(lines)
        branch, last_branch, beside, nothing = self.look.guides
        for index, line in enumerate(lines):
            last = index == len(lines) - 1 and not (stem == "" and self.group.left_out)
            yield self._dispatch(line, stem + (last_branch if last else branch), whole)
            yield from self._receivers(line, stem + (nothing if last else beside), whole or line.total)

    def _receivers(self, line: model.DispatchLine, stem: str, whole: float) -> Iterator[Row]:
        branch, last_branch, beside, nothing = self.look.guides
        if not line.known:
            yield Row(Text(f"{stem}{last_branch}receivers unknown: this release's dispatcher is new here", "dim"))
        for receiver in line.receivers:
            last = receiver is line.receivers[-1]
            below = stem + (nothing if last else beside)
            yield self._receiver(receiver, stem + (last_branch if last else branch), whole)
            if receiver.failed:
                yield self._failure(receiver, below + (beside if receiver.lines else nothing))
            yield from self._branch(receiver.lines, below, whole)

    def _dispatch(self, line: model.DispatchLine, guide: str, whole: float | None) -> Row:
        label = Text(guide, "dim")
        marks = self._count(line.count)
        sender = plain(line.sender or "")
        signal = plain(self.look.signals.get(line.signal, line.signal))
        room = self.names - cell_len(guide) - marks.cell_len
        self._append_signal(label, shorten(signal, room, ellipsis=self._ellipsis))
        left = room - label.cell_len + cell_len(guide) - 2
        if sender and left >= 8:
            label.append("  ")
            label.append(shorten(sender, left, ellipsis=self._ellipsis), "green")
        label.append_text(marks)
        if not line.count:
            return Row(label, total="unfinished")
        part = None if whole is None else _part(line.total, whole)
        return Row(label, *self._times(line), part=part)

    @property
    def _ellipsis(self) -> str:
        return self.look.mark("…", "..")

    def _append_signal(self, label: Text, name: str) -> None:
        head, dot, last = name.rpartition(".")
        label.append(head + dot, "cyan")
        label.append(last, "bold cyan")

    def _receiver(self, receiver: model.ReceiverLine, guide: str, whole: float) -> Row:
        style = "bold red" if receiver.failed else "yellow" if receiver.slow else ""
        if not receiver.count and receiver.skipped:
            return self._skipped(receiver, guide)
        marks = self._count(receiver.count)
        if receiver.mode == "async":
            marks.append("  async", "dim")
        if receiver.skipped:
            marks.append(f"  skipped {receiver.skipped:,}{self.look.mark('×', 'x')}", "magenta")
        if receiver.slow:
            often = "" if receiver.slow == receiver.count else f" {receiver.slow:,}{self.look.mark('×', 'x')}"
            marks.append(f"  SLOW{often}", "bold yellow")
        label = Text(guide, "dim")
        label.append(self._name(receiver, guide, marks), style)
        label.append_text(marks)
        if not receiver.count:
            return Row(label, total="unfinished")
        return Row(label, *self._times(receiver), part=_part(receiver.total, whole), style=style)

    def _skipped(self, receiver: model.ReceiverLine, guide: str) -> Row:
        marks = self._count(receiver.skipped)
        marks.append("  skipped", "magenta")
        label = Text(guide, "dim")
        label.append(self._name(receiver, guide, marks), "dim")
        label.append_text(marks)
        return Row(label)

    def _name(self, receiver: model.ReceiverLine, guide: str, marks: Text) -> str:
        room = max(12, self.names - cell_len(guide) - marks.cell_len)
        return shorten(plain(receiver.receiver), room, ellipsis=self._ellipsis)

    def _failure(self, receiver: model.ReceiverLine, guide: str) -> Row:
        label = Text(guide, "dim")
        label.append(f"{self.look.mark('✗', 'x')} FAILED", "bold red")
        if receiver.failed < receiver.count:
            label.append(f" {receiver.failed:,} of {receiver.count:,}", "red")
        label.append(f" {plain(receiver.error or 'error')}".replace(" builtins.", " "), "bold red")
        label.append(f"  {plain(receiver.place)}" if receiver.place else "", "dim")
        label.append("  captured" if receiver.captured else "", "yellow")
        label.truncate(self.look.width, overflow="ellipsis" if not self.look.ascii else "crop")
        return Row(label)

    def _count(self, count: int) -> Text:
        return Text(f" {self.look.mark('×', 'x')}{count:,}" if count > 1 else "", "bold")

    def _times(self, line: model.DispatchLine | model.ReceiverLine) -> tuple[str, str]:
        return seconds(line.total), seconds(line.worst) if line.count > 1 else ""


def _part(total: float, whole: float) -> float | None:
    return total / whole if whole > 0 else None
