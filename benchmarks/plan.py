"""What is measured in which round, and how long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from benchmarks.measure import Effort
from benchmarks.results import Cell

__all__ = ["FULL", "QUICK", "REFERENCE", "Plan", "chosen"]

REFERENCE = "django"  # the rung that the others are compared with

CALLS = 4_000  # receiver calls of one measurement of processor time or memory

ONCE = {
    "process": (
        (
            "django",
            "heliograph",
            "otel-bare",
            "otel",
            "heliograph-all",
            "django-all",
            "histogram",
            "heliograph-all-metrics",
        ),
        20,
    ),
    "memory": (("otel-bare", "otel", "heliograph-all", "django-all"), 20),
    "connect": (("django", "heliograph"), 10_000),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is made.

    Attributes:
        rounds: How many rounds there are for each number of receivers.
        effort: How long one measurement of time on the calling thread takes.
        besides: How many rounds of the other measures there are.
        rounds_together: How many rounds the same processes live through.
    """

    rounds: dict[int, int]
    effort: Effort
    besides: dict[str, int] = field(default_factory=dict)
    rounds_together: int = 2

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of receivers."""
        return tuple(self.rounds)

    @property
    def length(self) -> int:
        """How many rounds there are."""
        return max([*self.rounds.values(), *self.besides.values()])

    def generations(self) -> list[range]:
        """Return the rounds, in groups for which processes are started afresh."""
        starts = range(0, self.length, self.rounds_together)
        return [range(start, min(start + self.rounds_together, self.length)) for start in starts]

    def cells(self, number: int, rungs: Sequence[str]) -> list[Cell]:
        """Return what is measured in round *number*, neighbours in a ratio next to each other.

        Each round begins with another rung, and every other one goes backwards, so that no rung always
        follows the same one.
        """
        turn = number * 7 % len(rungs)
        order = [*rungs[turn:], *rungs[:turn]][:: -1 if number % 2 else 1]
        cells = [
            Cell("thread", rung, size)
            for size, rounds in self.rounds.items()
            if self._is_due(number, rounds)
            for rung in order
        ]
        for measure, rounds in self.besides.items():
            suitable, size = ONCE[measure]
            cells += [Cell(measure, rung, size) for rung in order if rung in suitable and self._is_due(number, rounds)]
        return cells

    def _is_due(self, number: int, rounds: int) -> bool:
        """Tell whether what has so many rounds has one now: they are spread evenly over all."""
        return number * rounds % self.length < rounds


FULL = Plan({1: 10, 5: 10, 20: 10, 200: 10, 10_000: 5}, Effort(5, 6_000_000), {"process": 5, "memory": 1, "connect": 3})
QUICK = Plan({1: 6, 20: 6}, Effort(5, 5_000_000), {"process": 1, "memory": 1})


def chosen(names: Iterable[str], patterns: Collection[str]) -> list[str]:
    """Return the rungs that match a pattern, such as ``django*``, and the one all are compared with.

    Raises:
        ValueError: If a pattern matches nothing.
    """
    names = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"No rung is called {pattern!r}. There are: {', '.join(names)}.")
    wanted = [*patterns, REFERENCE] if patterns else ["*"]
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in wanted)]
