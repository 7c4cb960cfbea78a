"""Words and numbers for a terminal: safe to print, and as long as there is room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rich.cells import cell_len, set_cell_size

from heliograph.fanout.plain import plain

__all__ = ["number", "per_cent", "plain", "seconds", "short_signals", "shorten"]


def seconds(value: float) -> str:
    """Return a duration with three digits and its unit, such as ``12.3 ms``."""
    if value >= 0.9995:
        return f"{_three_digits(value)} s"
    if value >= 0.0009995:
        return f"{_three_digits(value * 1e3)} ms"
    return f"{_three_digits(value * 1e6)} µs"


def _three_digits(value: float) -> str:
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}"


def per_cent(part: float) -> str:
    """Return a *part* of one in per cent."""
    percent = min(100.0, 100 * part)
    return f"{percent:.0f}%" if percent >= 1 or percent == 0 else "<1%"


def number(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 dispatch`` or ``2,000 dispatches``."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def shorten(name: str, room: int, *, ellipsis: str = "…") -> str:
    """Return a dotted *name* in at most *room* cells: without its middle, without its beginning, or cut."""
    if cell_len(name) <= room:
        return name
    first, *rest = name.split(".")
    for start in range(1, len(rest)):
        end = ".".join(rest[start:])
        for short in (f"{first}{ellipsis}{end}", f"{ellipsis}{end}"):
            if cell_len(short) <= room:
                return short
    return _cut(rest[-1] if rest else name, room, ellipsis)


def _cut(name: str, room: int, ellipsis: str) -> str:
    if cell_len(name) <= room:
        return name
    return set_cell_size(name, max(0, room - cell_len(ellipsis))).rstrip() + ellipsis


def short_signals(names: Iterable[str]) -> Mapping[str, str]:
    """Return for each signal's dotted name as many of its last segments as tell it from the others."""
    short = {name: name.rpartition(".")[2] for name in names}
    while True:
        taken = Counter(short.values())
        longer = {name: _one_more(name, word) for name, word in short.items() if taken[word] > 1}
        if all(short[name] == word for name, word in longer.items()):
            return short
        short.update(longer)


def _one_more(name: str, word: str) -> str:
    head = name[: len(name) - len(word)].removesuffix(".")
    return f"{head.rpartition('.')[2]}.{word}" if head else word
