"""What is measured when."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.measure import Effort
from benchmarks.plan import ONCE, Plan, chosen
from benchmarks.results import Cell
from benchmarks.rungs import RUNGS

EFFORT = Effort(1, 1)


def test_each_round_asks_each_rung_once_for_each_size():
    """Rounds are complete, so that every ratio of a round has both its sides."""
    plan = Plan({1: 2, 20: 2}, EFFORT)

    for number in range(plan.length):
        assert Counter(plan.cells(number, ["a", "b", "c"])) == Counter(
            Cell("thread", rung, size) for rung in "abc" for size in (1, 20)
        )


def test_all_rungs_are_asked_for_one_size_before_any_for_the_next():
    """The two sides of a ratio are measured close to each other."""
    assert [cell.size for cell in Plan({1: 1, 20: 1}, EFFORT).cells(0, ["a", "b"])] == [1, 1, 20, 20]


def test_the_order_of_rungs_changes_from_round_to_round():
    """No rung always follows the same one."""
    plan = Plan({1: 3}, EFFORT)
    orders = ["".join(cell.rung for cell in plan.cells(number, list("abcde"))) for number in range(3)]

    assert orders == ["abcde", "baedc", "eabcd"]


def test_a_size_may_have_fewer_rounds():
    """Ten thousand receivers take long. The rounds that there are lie evenly among all."""
    plan = Plan({1: 6, 200: 3, 10_000: 2}, EFFORT)

    assert [[cell.size for cell in plan.cells(number, ["a"])] for number in range(6)] == [
        [1, 200, 10_000],
        [1],
        [1, 200],
        [1, 10_000],
        [1, 200],
        [1],
    ]


@pytest.mark.parametrize("rounds", range(1, 13))
def test_each_size_has_as_many_rounds_as_were_asked_for(rounds):
    """However they fall among the others."""
    plan = Plan({1: 12, 20: rounds}, EFFORT)

    assert sum(Cell("thread", "a", 20) in plan.cells(number, ["a"]) for number in range(12)) == rounds


def test_processes_are_started_afresh_for_every_few_rounds():
    """The last may live through fewer."""
    assert Plan({1: 5}, EFFORT, rounds_together=2).generations() == [range(2), range(2, 4), range(4, 5)]


def test_other_measures_are_made_of_those_rungs_that_they_suit():
    """Memory until export is a question only to rungs that export."""
    plan = Plan({1: 1}, EFFORT, {"memory": 1})
    suitable, size = ONCE["memory"]

    cells = [cell for cell in plan.cells(0, list(RUNGS)) if cell.measure == "memory"]

    assert Counter(cells) == Counter(Cell("memory", rung, size) for rung in suitable)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["loop", "django", "django-slow", "psygnal"]),
        (["psygnal"], ["django", "psygnal"]),
        (["django-*"], ["django", "django-slow"]),
    ],
)
def test_rungs_are_chosen_by_pattern(patterns, names):
    """What all are compared with is always among them."""
    assert chosen(["loop", "django", "django-slow", "psygnal"], patterns) == names


def test_a_pattern_that_matches_nothing_is_refused():
    """It is misspelled; the answer says what there is."""
    with pytest.raises(ValueError, match=r"No rung is called 'psignal'\. There are: loop, psygnal\."):
        chosen(["loop", "psygnal"], ["psignal"])
