"""Grafana's dashboards as they are committed, taken apart for tests."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from dashboards.grafana.answers import questions
from dashboards.grafana.generated import FOLDER
from tests.support.conventions import series_labels

__all__ = [
    "BY_UID",
    "GRAFANA",
    "PANELS",
    "PROMETHEUS",
    "QUESTIONS",
    "Panel",
    "by",
    "each_dashboard",
    "each_panel",
    "each_question",
    "known_series",
]

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


def by(expression: str) -> list[str]:
    """Return the labels by which the first sum in *expression* is grouped."""
    found = re.search(r"sum by \(([^)]*)\)", expression)
    return found[1].split(", ") if found else []
