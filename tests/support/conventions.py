"""What the model of heliograph's names says, and what Prometheus makes of it."""

from __future__ import annotations

import functools
from typing import Any

from docs import names

__all__ = ["attributes_of", "described", "group", "groups", "metrics", "referred", "series_labels"]

Group = dict[str, Any]


@functools.cache
def groups() -> list[Group]:
    """Return the groups of the model, read once."""
    return names.groups()


def group(identifier: str) -> Group:
    """Return the group of that id."""
    [found] = [one for one in groups() if one["id"] == identifier]
    return found


def metrics() -> dict[str, Group]:
    """Return the groups of metrics, by the metric's name."""
    return {one["metric_name"]: one for one in groups() if one["type"] == "metric"}


def described() -> dict[str, Group]:
    """Return heliograph's own attributes, by their id."""
    return {one["id"]: one for one in group("registry.heliograph")["attributes"]}


def referred() -> set[str]:
    """Return all attributes that anything has."""
    return {one["ref"] for each in groups() for one in each["attributes"] if "ref" in one}


def attributes_of(identifier: str, *levels: str) -> set[str]:
    """Return the attributes of a group, of these requirement levels or of all."""
    return {
        one["ref"]
        for one in group(identifier)["attributes"]
        if not levels or _level(one["requirement_level"]) in levels
    }


@functools.cache
def series_labels() -> dict[str, set[str]]:
    """Return the labels that each series in Prometheus can have, by the series' name.

    Spelled out here a second time, and not with the function that dashboards use: one mistake would hide the other.
    """
    found: dict[str, set[str]] = {}
    for name, one in metrics().items():
        base = name.replace(".", "_") + {"s": "_seconds"}.get(one["unit"], "")
        labels = {attribute["ref"].replace(".", "_") for attribute in one["attributes"]} | {"job", "instance"}
        if one["instrument"] == "counter":
            found[f"{base}_total"] = labels
        else:
            found |= {f"{base}_count": labels, f"{base}_sum": labels, f"{base}_bucket": labels | {"le"}}
    return found


def _level(level: str | dict[str, str]) -> str:
    return level if isinstance(level, str) else next(iter(level))
