"""Readings by round, and the arithmetic of ratios. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["Cell", "Results", "Spread", "Term"]


class Cell(NamedTuple):
    """What one reading is of.

    Attributes:
        measure: ``thread``, ``wall`` or ``process`` (nanoseconds), ``connect`` (nanoseconds), ``memory`` (bytes).
        rung: The rung's name.
        size: How many receivers were connected.
    """

    measure: str
    rung: str
    size: int


class Term(NamedTuple):
    """One side of a ratio: what a rung costs, or what it adds to another.

    Attributes:
        rung: The rung's name.
        above: The rung whose cost in the same round is taken off; None takes nothing off.
    """

    rung: str
    above: str | None = None

    @property
    def rungs(self) -> tuple[str, ...]:
        """The rungs that must have been measured."""
        return (self.rung,) if self.above is None else (self.rung, self.above)


class Spread(NamedTuple):
    """The median of some values and the quartiles round it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value.

        Raises:
            ValueError: If there is no value.
        """
        if not values:
            raise ValueError("a spread needs at least one value, got none")
        ordered = sorted(values)
        return cls(_quantile(ordered, 0.25), _quantile(ordered, 0.5), _quantile(ordered, 0.75))


class Results:
    """All readings of one run: for each cell, at most one a round."""

    def __init__(self) -> None:
        self._readings: dict[Cell, dict[int, float]] = {}

    def add(self, cell: Cell, number: int, reading: float) -> None:
        """Note the *reading* of a cell in round *number*."""
        self._readings.setdefault(cell, {})[number] = reading

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._readings

    def cells(self) -> Iterator[Cell]:
        """Return what has been measured, in the order in which it first was."""
        return iter(self._readings)

    def readings(self, cell: Cell) -> list[float]:
        """Return the readings of a cell, by round."""
        return list(self._readings.get(cell, {}).values())

    def spread(self, cell: Cell) -> Spread | None:
        """Return the spread of a cell's readings, or None when it was not measured."""
        readings = self.readings(cell)
        return Spread.of(readings) if readings else None

    def ratio(self, measure: str, over: tuple[Term, int], under: tuple[Term, int]) -> Spread | None:
        """Return the spread of a ratio, each side a term and a size; None when a side was never measured.

        The ratio is taken round by round, between readings made right after each other, and the median is that
        of the ratios: what slows a whole round down slows both sides of its ratio.
        """
        tops, bottoms = self._values(measure, *over), self._values(measure, *under)
        ratios = [_divided(tops[number], bottoms[number]) for number in tops if number in bottoms]
        return Spread.of(ratios) if ratios else None

    def _values(self, measure: str, term: Term, size: int) -> dict[int, float]:
        readings = self._readings.get(Cell(measure, term.rung, size), {})
        if term.above is None:
            return readings
        base = self._readings.get(Cell(measure, term.above, size), {})
        return {number: reading - base[number] for number, reading in readings.items() if number in base}

    def as_data(self) -> list[dict[str, Any]]:
        """Return all readings in a form that JSON takes."""
        return [
            {**cell._asdict(), "rounds": {str(number): round(value, 2) for number, value in rounds.items()}}
            for cell, rounds in self._readings.items()
        ]

    @classmethod
    def from_data(cls, data: Iterable[dict[str, Any]]) -> Results:
        """Return the results that :meth:`as_data` has written."""
        results = cls()
        for entry in data:
            cell = Cell(entry["measure"], entry["rung"], entry["size"])
            for number, reading in entry["rounds"].items():
                results.add(cell, int(number), reading)
        return results


def _divided(over: float, under: float) -> float:
    """Divide two costs. One that is lost in the noise, zero or less, is infinitely cheaper than any other."""
    return over / under if under > 0 else math.inf


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """Return a quantile, between two values by the line that joins them; infinite values are allowed."""
    place = fraction * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below if below == above else below + (above - below) * (place - math.floor(place))
