"""How counts of instructions are compared."""

from __future__ import annotations

import pytest

from benchmarks.counts import TIMES, Change, changes, table
from benchmarks.rungs import RUNGS


def test_counts_are_compared_as_multiples_of_the_bare_loop():
    """Another build of the interpreter moves all counts alike, which is no regression."""
    committed = {"loop": 1_000.0, "ours": 5_000.0}

    [_, ours] = changes({"loop": 1_200.0, "ours": 6_000.0}, committed)

    assert ours == Change("ours", count=6_000, multiple=5, committed=5)
    assert (ours.by, ours.regressed) == (0, False)


@pytest.mark.parametrize(("count", "regressed"), [(4_000, False), (5_700, False), (5_800, True)])
def test_more_than_fifteen_per_cent_more_is_a_regression(count, regressed):
    """Fewer instructions never are."""
    [_, ours] = changes({"loop": 1_000.0, "ours": count}, {"loop": 1_000.0, "ours": 5_000.0})

    assert ours.regressed is regressed


def test_a_path_that_was_never_counted_before_is_no_regression():
    """There is nothing to compare it with."""
    found = changes({"loop": 1_000.0, "ours": 5_000.0}, {})

    assert [(one.committed, one.regressed) for one in found] == [(None, False), (None, False)]
    assert table(found).rows == [("loop", "1,000", "1.00", "", ""), ("ours", "5,000", "5.00", "", "")]


def test_the_table_shows_the_change():
    """In per cent of what is committed."""
    found = changes({"loop": 1_000.0, "ours": 6_000.0}, {"loop": 1_000.0, "ours": 5_000.0})

    assert table(found).rows[1] == ("ours", "6,000", "6.00", "5.00", "+20.0%")


def test_the_paths_that_are_counted_are_rungs():
    """One set of paths for times and counts."""
    assert TIMES.keys() <= RUNGS.keys()
