"""Grafana's dashboards as they are committed: current, well formed, and asking only for what exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations

import pytest

from dashboards.grafana.generated import FOLDER, generated
from dashboards.grafana.sdk import models
from tests.dashboards.grafana import (
    BY_UID,
    PANELS,
    PROMETHEUS,
    by,
    each_dashboard,
    each_panel,
    each_question,
    known_series,
)
from tests.support import promql

# ----------------------------------------------------------------------------------------------------------- the files


def test_the_files_are_current():
    """What is committed is what the source makes; `make dashboards` writes it anew."""
    assert {path: path.read_text("utf-8") for path in FOLDER.iterdir()} == generated()


def test_there_are_two_dashboards():
    """Each under the name by which others link to it."""
    assert {uid: one["uid"] for uid, one in BY_UID.items()} == {
        "heliograph-overview": "heliograph-overview",
        "heliograph-receiver": "heliograph-receiver",
    }


@each_dashboard
def test_the_sdk_reads_what_it_wrote(dashboard):
    """Grafana's own model of a dashboard understands the file, panel by panel."""
    model = models.Dashboard.from_json(dashboard)

    assert [panel.title for panel in model.panels or []] == [panel["title"] for panel in dashboard["panels"]]


@each_dashboard
def test_numbers_and_titles_are_unique(dashboard):
    """A number is a panel's address, and two panels of one title are one in what people say to each other."""
    numbers = [panel["id"] for panel in dashboard["panels"]]
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"]

    assert len(set(numbers)) == len(numbers)
    assert len(set(titles)) == len(titles)


@each_dashboard
def test_panels_lie_side_by_side(dashboard):
    """No panel covers another one, and none leaves the grid of 24 columns."""
    places = [panel["gridPos"] for panel in dashboard["panels"]]

    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]


def overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in (("x", "w"), ("y", "h"))
    )


# ---------------------------------------------------------------------------------------------------------- the panels


@each_panel
def test_a_panel_says_what_it_shows(uid, panel):
    """It has a description of at least a sentence, and a unit."""
    assert re.fullmatch(r"[A-Z0-9].{15,}[.…]", panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]


@each_panel
def test_data_comes_from_where_the_reader_chose(uid, panel):
    """No panel and no query names a data source of its own: both follow the variable."""
    assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [PROMETHEUS] * (
        1 + len(panel["targets"])
    )


@pytest.mark.parametrize("panel", [one for _, one in PANELS if one["type"] == "table"], ids=lambda one: one["title"])
def test_the_columns_of_a_table_are_named_and_have_units(panel):
    """Each column is a label of the answer or a query's values; the latter have a unit of their own."""
    [organize] = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
    units = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}.get("unit")
        for override in panel["fieldConfig"]["overrides"]
    }
    refs = [target["refId"] for target in panel["targets"]]
    values = ["Value"] if len(refs) == 1 else [f"Value #{ref}" for ref in refs]

    labels = [field for field in organize["renameByName"] if field not in values]
    assert sorted(labels) == sorted(by(panel["targets"][0]["expr"]))
    assert [bool(units[organize["renameByName"][field]]) for field in values] == [True] * len(values)
    assert panel["options"]["sortBy"][0]["displayName"] in organize["renameByName"].values()


def test_depths_are_sorted_as_numbers():
    """Ten is deeper than nine, though labels are texts."""
    [cascades] = [panel for _, panel in PANELS if panel["title"] == "Deepest cascades"]

    assert cascades["options"]["sortBy"][0] == {"displayName": "depth", "desc": True}
    assert cascades["transformations"][-1] == {
        "id": "convertFieldType",
        "options": {"conversions": [{"destinationType": "number", "targetField": "depth"}], "fields": {}},
    }


# --------------------------------------------------------------------------------------------------------- the queries


@each_question
def test_a_query_asks_for_what_exists(question):
    """It is PromQL, and each series and label in it is one that heliograph, or a connector configured here, makes."""
    assert promql.unknown(question.expression, known_series()) == []


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("rate(heliograph_receiver_durations_seconds_count[1m])", ["heliograph_receiver_durations_seconds_count"]),
        (
            'sum(rate(heliograph_receiver_duration_seconds_count{error_typ!=""}[1m]))',
            ["heliograph_receiver_duration_seconds_count{error_typ}"],
        ),
        (
            "sum by (code_function_name) (heliograph_dispatch_untraced_total)",
            ["heliograph_dispatch_untraced_total{code_function_name}"],
        ),
        ("sum by (le) (heliograph_dispatch_receivers_sum)", ["heliograph_dispatch_receivers_sum{le}"]),
        (
            'traces_span_metrics_calls_total{heliograph_dispatch_depths="1"}',
            ["traces_span_metrics_calls_total{heliograph_dispatch_depths}"],
        ),
    ],
)
def test_a_wrong_name_in_a_query_is_found(expression, wrong):
    """A series nobody makes, a misspelled label, and a label that exists, but not there."""
    assert promql.unknown(expression, known_series()) == wrong


def test_what_is_no_promql_is_found():
    """A bracket too few."""
    with pytest.raises(ValueError, match="unexpected"):
        promql.unknown('sum(rate(x{a="b"[$__rate_interval]))', known_series())


# Beside the receiver that was chosen, these ask for all receivers of the signals.
WITH_THE_OTHERS = {
    ("heliograph-receiver", "Share of the time"): [1, 0],
    ("heliograph-receiver", "Time by receiver"): [0],
}


@each_question
def test_a_query_is_about_what_was_chosen(question):
    """Service, system and signal are conditions of every series; the receiver of those that know of receivers."""
    chosen = ['job=~"$service"', 'heliograph_system_name=~"$system"', 'heliograph_signal_name=~"$signal"']
    receiver = {"heliograph-overview": '=~"$receiver"', "heliograph-receiver": '="$receiver"'}[question.dashboard]
    selected = promql.conditions(question.expression)

    assert [conditions[:3] for _, conditions in selected] == [chosen] * len(selected)
    of_calls = [
        where.count(f"code_function_name{receiver}") for name, where in selected if "_receiver_duration" in name
    ]
    assert of_calls == WITH_THE_OTHERS.get((question.dashboard, question.title), [1] * len(of_calls))


@each_question
def test_a_query_uses_variables_that_exist(question):
    """Those of the dashboard, and Grafana's own for the time."""
    own = {"service", "system", "signal", "receiver", "__rate_interval", "__range"}

    assert set(re.findall(r"\$(\w+)", question.expression)) <= own


@each_question
def test_traces_are_asked_for_where_they_can_be_shown(question):
    """Exemplars sit on buckets, and are shown over time."""
    shown = {panel["id"]: panel["type"] for uid, panel in PANELS if uid == question.dashboard}[question.number]
    buckets = (
        any(name.endswith("_bucket") for name in promql.asked(question.expression)) and "le=" not in question.expression
    )

    about_durations = buckets and "_duration_" in question.expression
    assert question.exemplars is (about_durations and shown in {"timeseries", "heatmap"})
