"""The arithmetic of ratios."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.results import Cell, Results, Spread, Term


def results(readings: dict[tuple[str, int], list[float]], measure: str = "thread") -> Results:
    """Return results with the readings of rounds 0, 1, 2 and so on, by rung and size."""
    found = Results()
    for (rung, size), values in readings.items():
        for number, value in enumerate(values):
            found.add(Cell(measure, rung, size), number, value)
    return found


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([3.0], Spread(3, 3, 3)),
        ([4.0, 2.0], Spread(2.5, 3, 3.5)),
        ([5.0, 1.0, 2.0, 4.0, 3.0], Spread(2, 3, 4)),
        ([1.0, 2.0, math.inf], Spread(1.5, 2, math.inf)),
        ([math.inf, math.inf], Spread(math.inf, math.inf, math.inf)),
    ],
)
def test_a_spread_is_the_median_and_the_quartiles_round_it(values, spread):
    """Between two values the line that joins them decides; infinite ones are values too."""
    assert Spread.of(values) == spread


def test_a_spread_of_nothing_is_refused():
    """There is no median of no values."""
    with pytest.raises(ValueError, match="at least one value"):
        Spread.of([])


def test_the_median_is_that_of_the_ratios_not_the_ratio_of_the_medians():
    """A round in which everything is slow has the ratio of any other round."""
    found = results({("slow", 20): [10, 30, 20], ("fast", 20): [5, 15, 4]})

    assert found.ratio("thread", (Term("slow"), 20), (Term("fast"), 20)) == Spread(2, 2, 3.5)


def test_only_rounds_with_both_sides_count():
    """A size that is measured in fewer rounds is compared within these."""
    found = results({("slow", 20): [10, 10, 10], ("slow", 200): [15]})

    assert found.ratio("thread", (Term("slow"), 200), (Term("slow"), 20)) == Spread(1.5, 1.5, 1.5)


def test_what_a_rung_adds_is_its_cost_less_that_of_the_other_in_the_same_round():
    """Differences are taken round by round, before any median."""
    found = results({("otel", 5): [30, 50], ("ours", 5): [12, 14], ("django", 5): [10, 10]})

    assert found.ratio("thread", (Term("otel", "django"), 5), (Term("ours", "django"), 5)) == Spread(10, 10, 10)


def test_what_adds_nothing_measurable_is_infinitely_cheaper():
    """A difference of zero or less is noise; it must not turn a ratio negative."""
    found = results({("otel", 5): [30, 30], ("ours", 5): [10, 9], ("django", 5): [10, 10]})

    ratio = found.ratio("thread", (Term("otel", "django"), 5), (Term("ours", "django"), 5))

    assert ratio == Spread(math.inf, math.inf, math.inf)


@pytest.mark.parametrize("missing", ["otel", "ours", "django"])
def test_there_is_no_ratio_when_a_side_was_not_measured(missing):
    """A rung that was left out leaves its ratios out."""
    found = results({(rung, 5): [30.0] for rung in ("otel", "ours", "django") if rung != missing})

    assert found.ratio("thread", (Term("otel", "django"), 5), (Term("ours"), 5)) is None


def test_results_survive_json():
    """What is written can be read again."""
    found = results({("slow", 20): [10.5, 30], ("fast", 1): [5]}, "process")

    read = Results.from_data(json.loads(json.dumps(found.as_data())))

    assert list(read.cells()) == list(found.cells())
    assert [read.readings(cell) for cell in read.cells()] == [[10.5, 30], [5]]
