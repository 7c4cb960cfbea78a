"""The fan-out as rows of a tree: request or send, signal, receivers, and what these sent in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from heliograph.report import model
from heliograph.report.choice import chosen_lines
from heliograph.report.layout import Look, Row
from heliograph.report.text import number

__all__ = ["failure_row", "rows"]

_LEAST_NAME = 12


def rows(group: model.Group, look: Look, room: int) -> Iterator[Row]:
    """Return the rows of *group*: its title, then its tree, without the least of it beyond *room* rows."""
    yield _title(group, look)
    shown, hidden = (group.lines, []) if look.everything else chosen_lines(group.lines, room)
    yield from _branch(shown, "", group.total if group.request else None, look)
    if hidden:
        took = look.seconds(sum(line.total for line in hidden))
        yield _note(f"and {number(len(hidden), 'more signal')} in {took}", look)
    if group.left_out:
        yield _note(f"and {number(group.left_out, 'more dispatch')} that have no line of their own", look)


def _note(words: str, look: Look) -> Row:
    return Row(Text(f"{look.ellipsis} {words}", "dim"))


def _title(group: model.Group, look: Look) -> Row:
    if not group.request:
        return Row(Text("outside of requests", "bold"))
    title = Text().append(f"request {group.request}", "bold")
    if group.count == 1:
        return Row(title, look.seconds(group.total))
    title.append(f"  {look.times(group.count)}", "bold")
    title.append("  all with this fan-out", "dim")
    return Row(title, look.seconds(group.total), look.seconds(group.worst))


def _branch(lines: Sequence[model.DispatchLine], stem: str, whole: float | None, look: Look) -> Iterator[Row]:
    """Return the rows of *lines*, with shares of *whole* seconds, or else of each line's own."""
    for index, line in enumerate(lines):
        here, below = _guides(stem, look, last=index == len(lines) - 1)
        yield _dispatch(line, here, whole, look)
        yield from _receivers(line, below, line.total if whole is None else whole, look)


def _receivers(line: model.DispatchLine, stem: str, whole: float, look: Look) -> Iterator[Row]:
    if not line.known:
        yield Row(Text(f"{stem}{look.guides[1]}receivers unknown", "dim"))
    for index, receiver in enumerate(line.receivers):
        here, below = _guides(stem, look, last=index == len(line.receivers) - 1)
        yield _receiver(receiver, here, whole, look)
        if receiver.failed:
            yield _failure(receiver, below + (look.guides[2] if receiver.lines else ""), look)
        yield from _branch(receiver.lines, below, whole, look)


def _guides(stem: str, look: Look, *, last: bool) -> tuple[str, str]:
    branch, last_branch, beside, nothing = look.guides
    return stem + (last_branch if last else branch), stem + (nothing if last else beside)


def _dispatch(line: model.DispatchLine, guide: str, whole: float | None, look: Look) -> Row:
    marks = _often(line.count, look)
    if line.operation != "send":
        marks.append(f"  {look.plain(line.operation)}", "dim")
    if line.known and not line.receivers:  # folded
        marks.append(f"  {look.ellipsis}", "dim")
    label = Text().append(guide, "dim")
    room = look.names - label.cell_len - marks.cell_len
    head, dot, last = look.shorten(look.plain(look.signal(line.signal)), room).rpartition(".")
    label.append(head + dot, "cyan")
    label.append(last, "bold cyan")
    room -= label.cell_len - cell_len(guide)
    if line.sender and room >= _LEAST_NAME:
        label.append("  " + look.shorten(_sender(line.sender, look), room - 2), "green")
    label.append_text(marks)
    return _timed(label, line, look, None if whole is None else line.total / whole if whole else None)


def _sender(name: str, look: Look) -> str:
    # A model's label is short; of a class the last segment says enough where there is little room.
    return look.plain(name if look.whole or name.count(".") < 2 else name.rpartition(".")[2])


def _receiver(line: model.ReceiverLine, guide: str, whole: float, look: Look) -> Row:
    marks, style = _marks(line, look), _style(line)
    label = Text().append(guide, "dim")
    room = max(_LEAST_NAME, look.names - label.cell_len - marks.cell_len)
    label.append(look.shorten(look.plain(line.receiver), room), style)
    label.append_text(marks)
    if line.skipped and not line.count:
        return Row(label)
    return _timed(label, line, look, line.total / whole if whole else None, "" if style == "dim" else style)


def _timed(
    label: Text, line: model.DispatchLine | model.ReceiverLine, look: Look, part: float | None, style: str = ""
) -> Row:
    if not line.count:
        return Row(label, "unfinished")
    return Row(label, look.seconds(line.total), look.seconds(line.worst) if line.count > 1 else "", part, style)


def _style(line: model.ReceiverLine) -> str:
    if line.failed:
        return "bold red"
    if line.slow:
        return "bold yellow"
    return "" if line.count else "dim"


def _marks(line: model.ReceiverLine, look: Look) -> Text:
    marks = _often(line.count, look)
    if line.mode == "async":
        marks.append("  async", "dim")
    if line.slow:
        marks.append("  SLOW" if line.slow == line.count else f"  SLOW {look.times(line.slow)}", "bold yellow")
    if line.skipped:
        marks.append("  skipped" if line.skipped == 1 else f"  skipped {look.times(line.skipped)}", "magenta")
    return marks


def _often(count: int, look: Look) -> Text:
    return Text().append(f"  {look.times(count)}" if count > 1 else "", "bold")


def _failure(line: model.ReceiverLine, stem: str, look: Look) -> Row:
    often = "" if line.failed == line.count else f" {look.times(line.failed)}"
    return failure_row(stem, often, line.error or "an error", line.place, captured=line.captured, look=look)


def failure_row(stem: str, often: str, error: str, place: str | None, *, captured: bool, look: Look) -> Row:
    """Return the row that says how a receiver failed: with which error, where, and whether it became a response."""
    label = Text().append(stem, "dim")
    label.append(f"{look.mark('✗', 'x')} FAILED{often} ", "bold red")
    label.append(look.plain(error), "red")
    if place:
        label.append(f"  {look.plain(place)}")
    if captured:
        label.append("  captured", "yellow")
    return Row(label)
