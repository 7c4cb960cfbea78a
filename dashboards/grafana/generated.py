"""The files that are made from this package: one dashboard each, as Grafana imports and exports it."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import overview, receiver
from dashboards.grafana.sdk import Dashboard

__all__ = ["FOLDER", "generated"]

FOLDER = Path(__file__).parent / "json"


def generated() -> dict[Path, str]:
    """Return the text of each file by its path."""
    return dict(_file(dashboard) for dashboard in (overview.dashboard(), receiver.dashboard()))


def _file(dashboard: Dashboard) -> tuple[Path, str]:
    model = dashboard.build()
    text = json.dumps(model, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return FOLDER / f"{model.uid}.json", text + "\n"
