"""How a dashboard is put together from sections of panels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dashboards.grafana.panels import Panel
from dashboards.grafana.sdk import Dashboard, QueryVariable, Row, models
from dashboards.grafana.variables import datasources

__all__ = ["Section", "laid_out"]

_ROWS_FROM = 100  # panels have the numbers below


class Section(NamedTuple):
    """Panels under one heading, from left to right, the next row below where one is full."""

    title: str
    panels: Sequence[Panel]


def laid_out(
    uid: str, title: str, description: str, choices: Iterable[QueryVariable], sections: Iterable[Section]
) -> Dashboard:
    """Return a dashboard of *sections*, one below the other."""
    dashboard = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["heliograph", "signals", "opentelemetry"])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables([*datasources(), *choices])
    )
    for number, section in enumerate(sections, _ROWS_FROM):
        dashboard.with_row(Row(section.title).id(number))
        for panel in section.panels:
            dashboard.with_panel(panel)
    return dashboard
