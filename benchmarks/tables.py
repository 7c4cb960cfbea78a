"""Results in tables, for the terminal and for the documentation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.goals import Goal, Verdict
from benchmarks.plan import REFERENCE
from benchmarks.results import Cell, Results, Spread, Term

__all__ = ["Table", "all_tables"]

NOT_MEASURED = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A title, what the columns mean, and rows of words.

    Attributes:
        title: One line.
        note: What is shown and how to read it.
        header: The names of the columns.
        rows: As many words as there are columns, each.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def as_text(self) -> str:
        """Return the table for a terminal: columns aligned, numbers to the right."""
        lines = [tuple(word.replace("`", "") for word in row) for row in (self.header, *self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        body = "\n".join(
            "  ".join(word.rjust(width) if column else word.ljust(width) for column, (word, width) in enumerate(pairs))
            for pairs in (list(zip(line, widths, strict=True)) for line in lines)
        )
        return f"{self.title}\n{self.note.replace('`', '')}\n\n{body}\n"

    def as_markdown(self) -> str:
        """Return the table for the documentation."""
        ruler = ("---", *("--:" for _ in self.header[1:]))
        lines = "\n".join(f"| {' | '.join(row)} |" for row in (self.header, ruler, *self.rows))
        return f"### {self.title}\n\n{self.note}\n\n{lines}\n"


def all_tables(results: Results, goals: Iterable[Goal], titles: Mapping[str, str]) -> list[Table]:
    """Return the tables of a run; *titles* has the rungs by name, in order."""
    sizes = sorted({cell.size for cell in results.cells() if cell.measure == "thread"})
    tables = [
        _goals(results, goals),
        *_ladder(results, titles, sizes),
        _besides(results, titles),
    ]
    return [table for table in tables if table.rows]


def _goals(results: Results, goals: Iterable[Goal]) -> Table:
    measured = [(goal, goal.ratios(results)) for goal in goals]
    sizes = sorted({size for _, ratios in measured for size in ratios})
    rows = [
        (
            goal.name,
            *(_ratio(ratios.get(size)) for size in sizes),
            _bound(goal),
            _words(goal.verdict(results)),
        )
        for goal, ratios in measured
        if ratios
    ]
    return Table(
        "Goals",
        "Medians of ratios, quartiles in brackets, by number of receivers. The worst size decides.",
        ("ratio", *(f"{size:,}" for size in sizes), "goal", "met?"),
        rows,
    )


def _ladder(results: Results, titles: Mapping[str, str], sizes: Sequence[int]) -> Iterator[Table]:
    for title, note, show in (
        (
            "As a multiple of Django's send",
            "Processor time of the calling thread, by number of receivers: medians of ratios, quartiles in brackets.",
            _multiple,
        ),
        (
            "Nanoseconds a receiver",
            "The same in nanoseconds, medians. They depend on the machine and the hour.",
            _nanoseconds,
        ),
    ):
        rows = [
            (words, *(show(results, name, size) for size in sizes))
            for name, words in titles.items()
            if any(Cell("thread", name, size) in results for size in sizes)
        ]
        yield Table(title, note, ("rung", *(f"{size:,}" for size in sizes)), rows)


def _multiple(results: Results, rung: str, size: int) -> str:
    return _ratio(results.ratio("thread", (Term(rung), size), (Term(REFERENCE), size)))


def _nanoseconds(results: Results, rung: str, size: int) -> str:
    spread = results.spread(Cell("thread", rung, size))
    return f"{spread.median:,.0f}" if spread else NOT_MEASURED


def _besides(results: Results, titles: Mapping[str, str]) -> Table:
    measures = ("process", "memory", "connect")
    sizes = {cell.measure: cell.size for cell in results.cells()}
    rows = []
    for name, words in titles.items():
        spreads = [results.spread(Cell(measure, name, sizes.get(measure, 0))) for measure in measures]
        if any(spreads):
            rows.append((words, *(_amount(spread) for spread in spreads)))
    return Table(
        "Besides",
        "Processor time: of all threads until everything is exported to an OTLP receiver in another process, nanoseconds "
        "a receiver, 20 receivers. Memory: bytes a receiver call while it waits for export, 20 receivers. "
        "Connecting: nanoseconds a receiver until there are 10,000.",
        ("rung", "processor time", "memory", "connecting"),
        rows,
    )


def _ratio(spread: Spread | None) -> str:
    if spread is None:
        return NOT_MEASURED
    return f"{_number(spread.median)} ({_number(spread.low)}-{_number(spread.high)})"


def _number(value: float) -> str:
    if math.isinf(value):
        return "∞"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _amount(spread: Spread | None) -> str:
    return f"{spread.median:,.0f} ({spread.low:,.0f}-{spread.high:,.0f})" if spread else NOT_MEASURED


def _bound(goal: Goal) -> str:
    if goal.bound is None:
        return NOT_MEASURED
    return f"{'≥' if goal.at_most is None else '≤'} {goal.bound:g}"


def _words(verdict: Verdict | None) -> str:
    if verdict is None:
        return NOT_MEASURED
    return "met" if verdict.met else f"missed by × {_number(verdict.excess)}"
