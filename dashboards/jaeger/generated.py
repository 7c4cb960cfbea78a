"""The files that are made from this package, for the pizza shop unless told otherwise."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards.jaeger.interface import interface
from dashboards.jaeger.searches import page

__all__ = ["FOLDER", "GRAFANA", "JAEGER", "SERVICE", "generated"]

FOLDER = Path(__file__).parent
SERVICE = "pizza-shop"
JAEGER = "http://localhost:16686"
GRAFANA = "http://localhost:3000"


def generated(*, service: str = SERVICE, jaeger: str = JAEGER, grafana: str = GRAFANA) -> dict[str, str]:
    """Return the text of each file by its name.

    Args:
        service: Whose traces are looked for.
        jaeger: Where Jaeger is.
        grafana: Where Grafana is.
    """
    return {
        "ui.json": json.dumps(interface(service=service, grafana=grafana), indent=2) + "\n",
        "searches.html": page(service=service, jaeger=jaeger),
    }
