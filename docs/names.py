"""The tables in names.md, made from semconv/heliograph.yaml: ``python -m docs.names`` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from dashboards.grafana.names import metric

HERE = Path(__file__).parent
MODEL = HERE / "semconv" / "heliograph.yaml"
PAGE = HERE / "names.md"

ON_ALL = ("heliograph.system.name", "heliograph.signal.name")

Group = dict[str, Any]


def groups() -> list[Group]:
    """Return the groups of the model."""
    found: list[Group] = yaml.safe_load(MODEL.read_text(encoding="utf-8"))["groups"]
    return found


def filled(page: str) -> str:
    """Return *page* with each table between its marks written anew."""
    for name, lines in tables(groups()).items():
        mark = re.compile(rf"<!-- table: {name} -->\n.*?<!-- end of table -->", re.DOTALL)
        if len(mark.findall(page)) != 1:
            raise ValueError(f"there must be one <!-- table: {name} --> with an <!-- end of table -->")
        before, after = mark.split(page)[0], mark.split(page)[-1]
        page = before + "\n".join([f"<!-- table: {name} -->\n", *lines, "\n<!-- end of table -->"]) + after
    return page


def tables(model: Sequence[Group]) -> dict[str, list[str]]:
    """Return the lines of each table by its name."""
    return {
        "attributes": _attribute_table(model, opt_in=False),
        "opt-in attributes": _attribute_table(model, opt_in=True),
        "metrics": _table(
            ("metric", "kind", "unit", "in Prometheus", "attributes besides the system's and the signal's name"),
            (_metric(group) for group in model if group["type"] == "metric"),
        ),
    }


def _attribute_table(model: Sequence[Group], *, opt_in: bool) -> list[str]:
    places = {name: _places(model, name, opt_in=opt_in) for name, _ in _described(model)}
    rows = ((f"`{name}`", _value(one), places[name]) for name, one in _described(model) if places[name])
    return _table(("attribute", "value", "on"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), "|" + "---|" * len(head), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _described(model: Sequence[Group]) -> Iterator[tuple[str, Group]]:
    """Yield each attribute where it says what it is: ours in the registry, OpenTelemetry's where it is first referred to."""
    for group in model:
        for one in group["attributes"]:
            if "brief" in one:
                yield one.get("id") or one["ref"], one


def _value(attribute: Group) -> str:
    kind = attribute.get("type")
    if isinstance(kind, dict):
        return f"{attribute['brief']}: {_quoted(member['value'] for member in kind['members'])}"
    examples = [str(one) for one in attribute.get("examples", ()) if isinstance(one, str)]
    return f"{attribute['brief']}; e.g. {_quoted(examples)}" if examples else attribute["brief"]


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _places(model: Sequence[Group], name: str, *, opt_in: bool) -> str:
    """Return in words what has the attribute, or can be made to have it."""
    telling = [group for group in model if group["type"] != "attribute_group"]
    having = [group for group in telling if _is_on(group, name, opt_in=opt_in)]
    if having == telling:
        return "everything"
    metrics = [group for group in having if group["type"] == "metric"]
    every = [group for group in telling if group["type"] == "metric"]
    some = ["metrics"] if len(metrics) > 1 or metrics == every else [f"`{group['metric_name']}`" for group in metrics]
    return ", ".join([*(group["display_name"] for group in having if group not in metrics), *some])


def _is_on(group: Group, name: str, *, opt_in: bool) -> bool:
    return any(one["ref"] == name and (one["requirement_level"] == "opt_in") is opt_in for one in group["attributes"])


def _metric(group: Group) -> Sequence[str]:
    kind, unit, name = group["instrument"], group["unit"], group["metric_name"]
    besides = _quoted(
        one["ref"] for one in group["attributes"] if one["ref"] not in ON_ALL and one["requirement_level"] != "opt_in"
    )
    return f"`{name}`", kind, f"`{unit}`", f"`{metric(name, unit, counter=kind == 'counter')}`", besides


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
