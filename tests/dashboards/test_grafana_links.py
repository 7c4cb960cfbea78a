"""What can be chosen on Grafana's dashboards, where a click leads, and where the data comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import yaml

from dashboards.grafana.answers import variables
from dashboards.grafana.links import OVERVIEW, RECEIVER
from dashboards.grafana.variables import CHOICES, DATASOURCES
from tests.dashboards.grafana import BY_UID, GRAFANA, PANELS, PROMETHEUS, Panel, by, each_dashboard, known_series
from tests.support import promql

# ------------------------------------------------------------------------------------------------- variables and links


@each_dashboard
def test_what_can_be_chosen(dashboard):
    """Data sources for metrics and traces, service, system, signal and receiver, each described; several of all but one."""
    found = {one["name"]: one for one in dashboard["templating"]["list"]}
    single = {"receiver"} if dashboard["uid"] == RECEIVER else set()

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
TO_TRACES = [link for link in LINKS if link[2].startswith("/explore?")]
TO_DASHBOARDS = [link for link in LINKS if link[2].startswith("/d/")]


def each(found: list[tuple[str, Panel, str, list[str]]]) -> pytest.MarkDecorator:
    ids = [f"{uid} {panel['title']} {number}" for number, (uid, panel, *_) in enumerate(found)]
    return pytest.mark.parametrize(("uid", "panel", "url", "values"), found, ids=ids)


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


@each(LINKS)
def test_a_link_refers_to_what_is_there(uid, panel, url, values):
    """To labels by which its panel's query is grouped, to columns of its table, to variables: nothing else has a value."""
    variables_ = {*DATASOURCES, *CHOICES, "__url_time_range", "__from", "__to"}
    used = re.findall(r"\$\{([\w.]+)(?::queryparam)?\}", url)

    assert url.count("${") == len(used)
    assert set(used) <= variables_ | set(values)
    assert not values or set(used) & set(values)


@each(TO_DASHBOARDS)
def test_a_link_keeps_what_was_chosen(uid, panel, url, values):
    """Each variable of the other dashboard is passed on as it is, or given the value that was clicked; so is the time."""
    target = urlsplit(url)
    kept = re.findall(r"\$\{(\w+):queryparam\}", url)
    given = [name.removeprefix("var-") for name, _ in parse_qsl(re.sub(r"\$\{\w+:queryparam\}&?", "", target.query))]

    assert sorted([*kept, *given]) == sorted([*DATASOURCES, *CHOICES])
    assert target.query.startswith("${__url_time_range}&")


@each(TO_TRACES)
def test_a_link_to_traces_is_a_search(uid, panel, url, values):
    """Explore reads what it is to search for, and where, from JSON in the address."""
    target = urlsplit(url)
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
    assert home == f"/etc/grafana/heliograph/{OVERVIEW}.json"
    for name, port in (("prometheus", 9090), ("jaeger", 16686)):
        assert datasources[name]["url"] == f"http://{name}:{port}"
        assert f"127.0.0.1:{port}:{port}" in services[name]["ports"]
