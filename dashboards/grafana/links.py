"""Ways from one dashboard to the other, and to the traces. What was chosen stays chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from dashboards.grafana.sdk import Builder, models
from dashboards.grafana.variables import CHOICES, DATASOURCES, TRACES
from heliograph.telemetry import semconv

__all__ = [
    "OVERVIEW",
    "RECEIVER",
    "Link",
    "of_column",
    "of_label",
    "to_dashboard",
    "to_overview",
    "to_receiver",
    "to_traces",
]

OVERVIEW: Final = "heliograph-overview"
RECEIVER: Final = "heliograph-receiver"


class Link(Builder[models.DashboardLink]):
    """A link that is made, as the SDK wants to have it."""

    def __init__(self, link: models.DashboardLink) -> None:
        self._link = link

    def build(self) -> models.DashboardLink:
        """Return the link."""
        return self._link


class _OfValue(models.DashboardLink):
    """A link of a value in a panel, for which the SDK has but the form of those in the bar of a dashboard."""

    def to_json(self) -> dict[str, object]:
        return {"title": self.title, "url": self.url, "targetBlank": self.target_blank}


class _InBar(models.DashboardLink):
    """A link in the bar of a dashboard; the SDK would hide it in a menu."""

    def to_json(self) -> dict[str, object]:
        return {name: value for name, value in super().to_json().items() if name != "placement"}


def of_label(label: str) -> str:
    """Return what stands for the label of the series that was clicked."""
    return f"${{__field.labels.{label}}}"


def of_column(title: str) -> str:
    """Return what stands for the value in a column, titled in one word, of the row that was clicked."""
    return f"${{__data.fields.{title}}}"


def to_receiver(receiver: str, signal: str) -> Link:
    """Return the link from a value to the dashboard of its receiver."""
    return Link(_OfValue("This receiver", url=_address(RECEIVER, {"receiver": receiver, "signal": signal})))


def to_overview(signal: str) -> Link:
    """Return the link from a value to the overview of its signal alone, with all of its receivers."""
    return Link(_OfValue("This signal alone", url=_address(OVERVIEW, {"signal": signal, "receiver": "$__all"})))


def to_traces(service: str, receiver: str, error: str | None = None) -> Link:
    """Return the link from a value to the traces of its receiver, or those alone in which it raised this *error*."""
    query = {
        "refId": "A",
        "datasource": {"type": "jaeger", "uid": f"${{{TRACES}}}"},
        "queryType": "search",
        "service": service,
        "operation": f"handle {receiver}",
        # Not `error=true`: Jaeger derives that tag from the status, and its store in memory does not find it.
        **({"tags": f"{semconv.ERROR_TYPE}={error}"} if error else {}),
    }
    shown = {"from": "${__from}", "to": "${__to}"}
    panes = {"heliograph": {"datasource": f"${{{TRACES}}}", "queries": [query], "range": shown}}
    title = "Traces in which it failed" if error else "Traces of this receiver"
    return Link(_OfValue(title, url=f"/explore?schemaVersion=1&panes={_quoted(json.dumps(panes))}"))


def to_dashboard(uid: str, title: str, tooltip: str) -> Link:
    """Return the link in the bar of one dashboard to another."""
    return Link(_InBar(title, url=f"/d/{uid}", icon="dashboard", tooltip=tooltip, include_vars=True, keep_time=True))


def _address(uid: str, chosen: Mapping[str, str]) -> str:
    kept = [f"${{{name}:queryparam}}" for name in (*DATASOURCES, *CHOICES) if name not in chosen]
    given = [f"var-{name}={value}" for name, value in chosen.items()]
    return f"/d/{uid}?{'&'.join(['${__url_time_range}', *kept, *given])}"


def _quoted(text: str) -> str:
    """Return *text* for an address, with Grafana's variables left as they are."""
    parts = re.split(r"(\$\{[^}]*\})", text)
    return "".join(part if part.startswith("${") else quote(part, safe="") for part in parts)
