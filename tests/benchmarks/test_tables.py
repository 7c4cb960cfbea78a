"""What is printed."""

from __future__ import annotations

import pytest

from benchmarks.goals import Goal
from benchmarks.page import BEGIN, END, put_between_markers
from benchmarks.results import Cell, Results, Term
from benchmarks.tables import all_tables


@pytest.fixture
def results() -> Results:
    """Two rungs, two rounds, and the memory of one of them."""
    results = Results()
    for number, (stock, ours) in enumerate([(100, 1_250), (200, 2_700)]):
        results.add(Cell("thread", "django", 20), number, stock)
        results.add(Cell("thread", "ours", 20), number, ours)
    results.add(Cell("memory", "ours", 20), 0, 3_015.4)
    return results


GOALS = [
    Goal("ours / stock", Term("ours"), Term("django"), (20, 200), at_most=1.5),
    Goal("stock / ours", Term("django"), Term("ours"), (20,)),
    Goal("ours / another", Term("ours"), Term("another"), (20,), at_most=1.5),
]
TITLES = {"django": "Django `send`", "another": "another", "ours": "ours"}


def test_tables_for_the_terminal_are_aligned(results):
    """Numbers stand to the right, the first column to the left; what was not measured has no line."""
    goals, multiples, nanoseconds, besides = [
        [line.rstrip() for line in table.as_text().splitlines()[3:]] for table in all_tables(results, GOALS, TITLES)
    ]

    assert goals == [
        "ratio                       20   goal              met?",
        "ours / stock  13.0 (12.8-13.2)  ≤ 1.5  missed by × 8.67",
        "stock / ours  0.08 (0.08-0.08)",
    ]
    assert multiples == [
        "rung                       20",
        "Django send  1.00 (1.00-1.00)",
        "ours         13.0 (12.8-13.2)",
    ]
    assert nanoseconds == [
        "rung            20",
        "Django send    150",
        "ours         1,975",
    ]
    assert besides == [
        "rung  processor time               memory  connecting",
        "ours                  3,015 (3,015-3,015)",
    ]


def test_tables_for_the_documentation_are_markdown(results):
    """The same words, with a ruler that aligns numbers to the right."""
    multiples = all_tables(results, GOALS, TITLES)[1].as_markdown()

    assert multiples.splitlines()[4:] == [
        "| rung | 20 |",
        "| --- | --: |",
        "| Django `send` | 1.00 (1.00-1.00) |",
        "| ours | 13.0 (12.8-13.2) |",
    ]


def test_tables_without_rows_are_left_out():
    """Where nothing was measured there is nothing to show."""
    assert all_tables(Results(), GOALS, TITLES) == []


def test_only_what_stands_between_the_markers_of_a_page_is_replaced():
    """The rest of the page is written by hand."""
    page = f"# Title\n{BEGIN}\nold\n{END}\nlast words\n"

    assert put_between_markers(page, "new\n") == f"# Title\n{BEGIN}\n\nnew\n\n{END}\nlast words\n"


@pytest.mark.parametrize("page", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_a_page_without_a_pair_of_markers_is_refused(page):
    """Nothing is overwritten by guessing."""
    with pytest.raises(ValueError, match="The page needs"):
        put_between_markers(page, "new")
