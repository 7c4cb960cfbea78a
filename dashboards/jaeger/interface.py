"""The configuration of Jaeger's user interface: its menu, which tags come first, and links from a span to Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.grafana.links import OVERVIEW, RECEIVER
from dashboards.jaeger.searches import SEARCHES, Search, address
from heliograph.telemetry import semconv

__all__ = ["interface"]

_HOUR = 3_600_000_000  # microseconds

# The order in which somebody asks: what was it, what went wrong, what was done.
_FIRST = (
    semconv.SIGNAL_NAME,
    semconv.FUNCTION_NAME,
    semconv.ERROR_TYPE,
    "heliograph.dispatch.receiver.",
    "heliograph.dispatch.",
    "heliograph.",
)


def interface(*, service: str, grafana: str) -> dict[str, Any]:
    """Return the configuration.

    Args:
        service: Whose traces the menu's searches look for.
        grafana: Where Grafana is.
    """
    return {
        "menu": [
            {"label": "Saved searches", "items": [_in_menu(search, service) for search in SEARCHES]},
            {
                "label": "Grafana",
                "items": [
                    {"label": "Signals", "url": f"{grafana}/d/{OVERVIEW}"},
                    {"label": "One receiver", "url": f"{grafana}/d/{RECEIVER}"},
                ],
            },
        ],
        "topTagPrefixes": list(_FIRST),
        "linkPatterns": [
            {
                "type": "traces",
                "url": f"{grafana}/d/{OVERVIEW}?{_around('startTime', 'endTime')}",
                "text": "Signals around this trace",
            },
            _of_tag(
                semconv.FUNCTION_NAME,
                "This receiver in Grafana",
                f"{grafana}/d/{RECEIVER}",
                {"system": semconv.SYSTEM_NAME, "signal": semconv.SIGNAL_NAME, "receiver": semconv.FUNCTION_NAME},
            ),
            _of_tag(
                semconv.SIGNAL_NAME,
                "This signal in Grafana",
                f"{grafana}/d/{OVERVIEW}",
                {"system": semconv.SYSTEM_NAME, "signal": semconv.SIGNAL_NAME},
            ),
        ],
    }


def _in_menu(search: Search, service: str) -> dict[str, str]:
    label = f"{search.group}: {search.title}"
    return {"label": label, "url": address(search, service=service), "anchorTarget": "_self"}


def _of_tag(key: str, text: str, dashboard: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return a link on the tag *key* to a *dashboard*, with *variables* from the attributes of the same span."""
    chosen = "&".join(f"var-{variable}=#{{{attribute}}}" for variable, attribute in variables.items())
    return {"type": "tags", "key": key, "url": f"{dashboard}?{chosen}", "text": text}


def _around(start: str, end: str) -> str:
    """Return the query for the time from an hour before *start* until an hour after *end*: both of the trace."""
    return f"from=#{{{start} | add -{_HOUR} | epoch_micros_to_date_iso}}&to=#{{{end} | add {_HOUR} | epoch_micros_to_date_iso}}"
