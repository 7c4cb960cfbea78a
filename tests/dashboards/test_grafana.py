"""Grafana's dashboards as they are committed: current, well formed, and asking only for what exists."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import yaml

from dashboards.grafana import links, names
from dashboards.grafana.answers import Answer, Question, Series, questions, substituted, variables
from dashboards.grafana.generated import FOLDER, generated
from dashboards.grafana.sdk import models
from dashboards.grafana.variables import CHOICES, DATASOURCES
from docs.answers import PAGE, filled, head, line
from tests.support import promql
from tests.support.conventions import series_labels

Dashboard = Mapping[str, Any]
Panel = Mapping[str, Any]

GRAFANA = FOLDER.parent
CONNECTORS = [GRAFANA.parent / "collector" / "sampling.yaml", GRAFANA.parent / "jaeger" / "jaeger.yaml"]
BY_UID: dict[str, Dashboard] = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*"))}
EACH = list(BY_UID.values())
PANELS = [(uid, panel) for uid, one in BY_UID.items() for panel in one["panels"] if panel["type"] != "row"]
QUESTIONS = [question for one in EACH for question in questions(one)]
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}

each_dashboard = pytest.mark.parametrize("dashboard", EACH, ids=list(BY_UID))
each_panel = pytest.mark.parametrize(("uid", "panel"), PANELS, ids=[f"{uid} {one['title']}" for uid, one in PANELS])
each_question = pytest.mark.parametrize(
    "question", QUESTIONS, ids=[f"{one.dashboard} {one.title} {one.ref_id}" for one in QUESTIONS]
)


def span_series() -> dict[str, set[str]]:
    """Return the labels of the series that every span metrics connector here makes."""
    always = {"job", "service_name", "span_name", "span_kind", "status_code"}
    made = []
    for path in CONNECTORS:
        connectors = yaml.safe_load(path.read_text("utf-8"))["connectors"]
        [connector] = [one for name, one in connectors.items() if name in {"spanmetrics", "span_metrics"}]
        made.append({one["name"].replace(".", "_") for one in connector["dimensions"]})
    return {"traces_span_metrics_calls_total": always | set.intersection(*made)}


@functools.cache
def known_series() -> dict[str, set[str]]:
    """Return the labels of all series that dashboards may ask for."""
    return {**series_labels(), **span_series()}


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


@each_panel
def test_the_columns_of_a_table_are_named_and_have_units(uid, panel):
    """Each column is a label of the answer or a query's values; the latter have a unit of their own."""
    if panel["type"] != "table":
        return
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


def by(expression: str) -> list[str]:
    """Return the labels by which the first sum in *expression* is grouped."""
    found = re.search(r"sum by \(([^)]*)\)", expression)
    return found[1].split(", ") if found else []


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


# ------------------------------------------------------------------------------------------------- variables and links


@each_dashboard
def test_what_can_be_chosen(dashboard):
    """Data sources for metrics and traces, service, system, signal and receiver, each described; several of all but one."""
    found = {one["name"]: one for one in dashboard["templating"]["list"]}
    single = {"receiver"} if dashboard["uid"] == links.RECEIVER else set()

    assert list(found) == ["datasource", "traces", "service", "system", "signal", "receiver"]
    assert [found[name]["type"] for name in found] == ["datasource"] * 2 + ["query"] * 4
    assert [found[name]["query"] for name in DATASOURCES] == ["prometheus", "jaeger"]
    assert all(one["description"].endswith(".") for one in found.values())
    assert {name for name in CHOICES if not found[name].get("includeAll")} == single
    assert {found[name]["allValue"] for name in CHOICES if name not in single} == {".*"}


@each_dashboard
def test_what_is_offered_follows_what_was_chosen_before(dashboard):
    """Values come from the variable data source; a variable's series are narrowed down by all variables above it."""
    seen: list[str] = []
    for variable in variables(dashboard):
        assert re.findall(r"\$(\w+)", variable.expression) == seen
        assert promql.unknown(variable.expression, known_series()) == []
        assert variable.label in known_series()[next(iter(promql.asked(variable.expression)))]
        seen.append(variable.name)
    assert seen == list(CHOICES)
    assert [one["datasource"] for one in dashboard["templating"]["list"] if one["type"] == "query"] == [PROMETHEUS] * 4


@each_dashboard
def test_the_bar_leads_to_the_other_dashboard(dashboard):
    """With all that was chosen, and the time."""
    [link] = dashboard["links"]

    assert {link["url"].removeprefix("/d/"), dashboard["uid"]} == set(BY_UID)
    assert (link["type"], link["includeVars"], link["keepTime"], link.get("placement")) == ("link", True, True, None)


def value_links() -> Iterator[tuple[str, Panel, str, list[str]]]:
    """Yield the dashboard, the panel and the address of each link of a value, and the labels it may refer to."""
    for uid, panel in PANELS:
        labels = by(panel["targets"][0]["expr"])
        for link in panel["fieldConfig"]["defaults"].get("links", ()):
            yield uid, panel, link["url"], [f"__field.labels.{label}" for label in labels]
        titles = [override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]]
        for override in panel["fieldConfig"]["overrides"]:
            for one in override["properties"]:
                for link in one["value"] if one["id"] == "links" else ():
                    yield uid, panel, link["url"], [f"__data.fields.{title}" for title in titles]


LINKS = list(value_links())
each_link = pytest.mark.parametrize(
    ("uid", "panel", "url", "values"),
    LINKS,
    ids=[f"{uid} {panel['title']} {n}" for n, (uid, panel, *_) in enumerate(LINKS)],
)


def test_values_lead_on():
    """From both dashboards, to both, and to the traces."""
    assert {(uid, urlsplit(url).path) for uid, _, url, _ in LINKS} == {
        ("heliograph-overview", "/d/heliograph-overview"),
        ("heliograph-overview", "/d/heliograph-receiver"),
        ("heliograph-overview", "/explore"),
        ("heliograph-receiver", "/d/heliograph-overview"),
        ("heliograph-receiver", "/d/heliograph-receiver"),
        ("heliograph-receiver", "/explore"),
    }


@each_link
def test_a_link_refers_to_what_is_there(uid, panel, url, values):
    """To labels by which its panel's query is grouped, to columns of its table, to variables: nothing else has a value."""
    variables_ = {*DATASOURCES, *CHOICES, "__url_time_range", "__from", "__to"}
    used = re.findall(r"\$\{([\w.]+)(?::queryparam)?\}", url)

    assert url.count("${") == len(used)
    assert set(used) <= variables_ | set(values)
    assert not values or set(used) & set(values)


@each_link
def test_a_link_keeps_what_was_chosen(uid, panel, url, values):
    """Each variable of the other dashboard is passed on as it is, or given the value that was clicked; so is the time."""
    target = urlsplit(url)
    if target.path == "/explore":
        return
    kept = re.findall(r"\$\{(\w+):queryparam\}", url)
    given = [name.removeprefix("var-") for name, _ in parse_qsl(re.sub(r"\$\{\w+:queryparam\}&?", "", target.query))]

    assert sorted([*kept, *given]) == sorted([*DATASOURCES, *CHOICES])
    assert target.query.startswith("${__url_time_range}&")


@each_link
def test_a_link_to_traces_is_a_search(uid, panel, url, values):
    """Explore reads what it is to search for, and where, from JSON in the address."""
    target = urlsplit(url)
    if target.path != "/explore":
        return
    query = dict(parse_qsl(target.query))
    [pane] = json.loads(unquote(query["panes"])).values()
    [search] = pane["queries"]

    assert query["schemaVersion"] == "1"
    assert (pane["datasource"], search["datasource"]) == ("${traces}", {"type": "jaeger", "uid": "${traces}"})
    assert search["queryType"] == "search"
    assert search["service"] in {"${__field.labels.job}", "${__data.fields.service}"}
    assert search["operation"].startswith("handle ${")
    assert search.get("tags") == ("error.type=${__field.labels.error_type}" if "Failures" in panel["title"] else None)
    assert pane["range"] == {"from": "${__from}", "to": "${__to}"}


# -------------------------------------------------------------------------------------------------------- provisioning


@pytest.fixture
def datasources() -> dict[str, Any]:
    """The data sources that Grafana is given, by their type."""
    text = (GRAFANA / "provisioning" / "datasources" / "heliograph.yaml").read_text("utf-8")
    return {one["type"]: one for one in yaml.safe_load(text)["datasources"]}


def test_exemplars_lead_to_traces(datasources):
    """The label in which heliograph's exemplars have the trace leads to the other data source."""
    [exemplar] = datasources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]

    assert (exemplar["name"], exemplar["datasourceUid"]) == ("trace_id", datasources["jaeger"]["uid"])


def test_spans_lead_to_metrics(datasources):
    """The attributes by which a receiver is found become labels; what is asked then is known."""
    metrics = datasources["jaeger"]["jsonData"]["tracesToMetrics"]
    tags = {one["key"]: one["value"] for one in metrics["tags"]}
    asked = [
        one["query"].replace("$$__tags", ", ".join(f'{name}="x"' for name in tags.values()))
        for one in metrics["queries"]
    ]

    assert metrics["datasourceUid"] == datasources["prometheus"]["uid"]
    assert tags == {"heliograph.signal.name": "heliograph_signal_name", "code.function.name": "code_function_name"}
    assert [promql.unknown(query, known_series()) for query in asked] == [[], [], []]


def test_the_interval_of_scraping_is_prometheus_own(datasources):
    """Grafana makes the window of a rate from it: one that is too short is a dashboard without data."""
    prometheus = yaml.safe_load((GRAFANA.parent / "prometheus" / "prometheus.yml").read_text("utf-8"))

    assert datasources["prometheus"]["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_dashboards_are_read_from_one_folder():
    """The folder where the JSON is put beside Grafana."""
    text = (GRAFANA / "provisioning" / "dashboards" / "heliograph.yaml").read_text("utf-8")
    [provider] = yaml.safe_load(text)["providers"]

    assert (provider["type"], provider["options"]) == ("file", {"path": "/etc/grafana/heliograph"})


def test_compose_puts_everything_where_grafana_looks(datasources):
    """The folders that are mounted, and the other services by their names and ports."""
    services = yaml.safe_load((GRAFANA.parent / "compose.yaml").read_text("utf-8"))["services"]
    mounted = dict(volume.removesuffix(":ro").split(":") for volume in services["grafana"]["volumes"])
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert mounted == {
        "./grafana/provisioning": "/etc/grafana/provisioning",
        "./grafana/json": "/etc/grafana/heliograph",
    }
    assert home == f"/etc/grafana/heliograph/{links.OVERVIEW}.json"
    for name, port in (("prometheus", 9090), ("jaeger", 16686)):
        assert datasources[name]["url"] == f"http://{name}:{port}"
        assert f"127.0.0.1:{port}:{port}" in services[name]["ports"]


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
