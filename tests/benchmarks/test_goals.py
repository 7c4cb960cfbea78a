"""How goals are judged, and that they speak of what is measured."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.goals import GOALS, Goal, Verdict
from benchmarks.plan import FULL, ONCE
from benchmarks.results import Cell, Results, Term
from benchmarks.rungs import RUNGS


def measured(**ratios: list[float]) -> Results:
    """Return results in which rung *ours* has so many times the cost of rung *theirs*, at sizes 1, 2, 3."""
    results = Results()
    for size, ratio in enumerate(ratios["ours"], start=1):
        results.add(Cell("thread", "ours", size), 0, ratio * 100)
        results.add(Cell("thread", "theirs", size), 0, 100)
    return results


def goal(**bound: Any) -> Goal:
    """Return a goal for *ours* over *theirs*."""
    return Goal("ours / theirs", Term("ours"), Term("theirs"), (1, 2, 3), **bound)


def test_the_largest_ratio_is_held_against_an_upper_bound():
    """The worst size decides."""
    verdict = goal(at_most=0.5).verdict(measured(ours=[0.25, 0.75, 0.5]))

    assert verdict == Verdict(worst=0.75, bound=0.5, excess=1.5)
    assert not verdict.met


def test_the_smallest_ratio_is_held_against_a_lower_bound():
    """The worst size decides here too."""
    verdict = goal(at_least=10).verdict(measured(ours=[40, 5, 20]))

    assert verdict == Verdict(worst=5, bound=10, excess=2)
    assert not verdict.met


@pytest.mark.parametrize("bound", [{"at_most": 2.0}, {"at_least": 2.0}])
def test_a_ratio_at_the_bound_meets_it(bound):
    """Bounds are inclusive."""
    verdict = goal(**bound).verdict(measured(ours=[2]))

    assert verdict is not None
    assert verdict.met


def test_an_infinite_advantage_meets_any_lower_bound():
    """Ours is lost in the noise."""
    infinite = Results()
    infinite.add(Cell("thread", "ours", 1), 0, 100)
    infinite.add(Cell("thread", "theirs", 1), 0, 0)

    assert goal(at_least=10).verdict(infinite) == Verdict(worst=math.inf, bound=10, excess=0)


def test_without_a_bound_or_a_reading_there_is_no_verdict():
    """Ratios for comparison are shown, not judged; and what was not measured is neither."""
    assert goal().verdict(measured(ours=[2])) is None
    assert goal(at_most=2).verdict(Results()) is None


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.name)
def test_a_full_run_measures_what_the_goal_speaks_of(goal):
    """A goal for a rung or a size that is never measured would silently be no goal."""
    rungs = {*goal.over.rungs, *goal.under.rungs}
    sizes = {*goal.sizes, goal.under_size or goal.sizes[0]}

    assert rungs <= RUNGS.keys()
    if goal.measure == "thread":
        assert sizes <= set(FULL.sizes)
    else:
        assert goal.measure in FULL.besides
        suitable, size = ONCE[goal.measure]
        assert rungs <= set(suitable)
        assert sizes == {size}


def test_goals_have_at_most_one_bound():
    """A ratio is to be small or large."""
    assert [goal.name for goal in GOALS if goal.at_most is not None and goal.at_least is not None] == []
