"""Asking what panels ask without Grafana, and the page that shows the answers."""

from __future__ import annotations

import re

import pytest

from dashboards.grafana import names
from dashboards.grafana.answers import Answer, Question, Series, substituted
from docs.answers import PAGE, filled, head, line
from tests.dashboards.grafana import QUESTIONS

# --------------------------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("name", "unit", "counter", "expected"),
    [
        ("heliograph.receiver.duration", "s", False, "heliograph_receiver_duration_seconds"),
        ("heliograph.dispatch.receivers", "{receiver}", False, "heliograph_dispatch_receivers"),
        ("heliograph.dispatch.untraced", "{dispatch}", True, "heliograph_dispatch_untraced_total"),
    ],
)
def test_names_in_prometheus(name, unit, counter, expected):
    """Dots become underscores, a unit is spelled out unless it is in braces, a counter is a total."""
    assert names.metric(name, unit, counter=counter) == expected


def test_an_unknown_unit_is_refused():
    """Rather than guessed: a wrong name is an empty panel."""
    with pytest.raises(ValueError, match=r"^unit cannot be 'By'\. Known: s, and annotations in braces\.$"):
        names.metric("heliograph.dispatch.size", "By")


def test_variables_are_put_in():
    """In all of Grafana's forms; one without a value is an error, not an empty text."""
    assert (
        substituted(
            'a{b=~"$service"}[$__range] ${receiver} ${signal:queryparam}',
            {
                "service": "shop",
                "__range": "60s",
                "receiver": "cook",
                "signal": "done",
            },
        )
        == 'a{b=~"shop"}[60s] cook done'
    )
    with pytest.raises(KeyError, match="system"):
        substituted("$system", {})


def test_queries_are_found():
    """Each target of each panel, with the unit of its values: in a table, its column's."""
    ranking = [one for one in QUESTIONS if one.title == "Receivers by total time"]

    assert [(one.ref_id, one.unit, one.instant) for one in ranking] == [
        ("A", "s", True),
        ("B", "percentunit", True),
        ("C", "short", True),
        ("D", "s", True),
        ("E", "s", True),
        ("F", "short", True),
    ]
    assert (ranking[0].dashboard, ranking[0].number) == ("heliograph-overview", 5)


# ------------------------------------------------------------------------------------------------------------ the page


def test_the_page_shows_each_query_and_its_answer():
    """In docs/grafana.md, in order, as it is asked now, each with an answer; `make answers` writes them anew."""
    tables = re.findall(r"<!-- answers: .*?<!-- end of answers -->", PAGE.read_text("utf-8"), re.DOTALL)
    rows = [row for table in tables for row in table.splitlines() if re.match(r"\| (?!panel )", row)]
    heads = list(map(head, QUESTIONS))

    assert [row[: len(one)] for row, one in zip(rows, heads, strict=True)] == heads
    for row, one in zip(rows, heads, strict=True):
        assert re.fullmatch(r" (\d+ series; )?(at most )?\d+(\.\d+)?( \S.*)?(: `.+`)? \|", row.removeprefix(one))


def answer(*series: tuple[dict[str, str], float], unit: str = "s", instant: bool = False) -> Answer:
    question = Question("heliograph-overview", 1, "Title", "", "A", 'sum(x{a=~"1|2"})', unit, instant, exemplars=False)
    return Answer(question, tuple(Series(labels, (value / 2, value)) for labels, value in series))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (answer(({}, 0.151)), "at most 151 ms"),
        (answer(({"job": "shop"}, 2.0), ({"job": "bar"}, 1.0)), "2 series; at most 2 s: `shop`"),
        (answer(({"b": "2", "a": "1"}, 9.5e-05)), "at most 95 µs: `1`, `2`"),
        (answer(({}, 0.1234), unit="percentunit", instant=True), "12.3 %"),
        (answer(({}, 1630.4), unit="short", instant=True), "1630"),
        (answer(({}, 33.3333), unit="suffix: calls/s"), "at most 33.3 calls/s"),
    ],
)
def test_an_answer_in_words(found, words):
    """Its greatest value with three digits that count, and whose it is."""
    assert line(found) == f'| Title | `sum(x{{a=~"1\\|2"}})` | {words} |'


def test_a_page_without_its_tables_is_an_error():
    """A mark that was removed would leave a table behind that nobody makes anew."""
    with pytest.raises(ValueError, match=r"^there must be one <!-- answers: heliograph-overview --> with an <!-- end"):
        filled("nothing", [])
