"""Ask Prometheus what the panels ask, without Grafana, and say what it answered."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

__all__ = ["Answer", "Choice", "Question", "Series", "Time", "Variable", "ask", "offered", "questions", "variables"]

Dashboard = Mapping[str, Any]
Choice = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """A query of a panel.

    Attributes:
        dashboard: The dashboard's uid.
        number: The panel's number on it.
        title: The panel's title.
        part: Which part of the panel, if there are several: the title of a column, the name of a curve.
        ref_id: The query's name on the panel.
        expression: The query, with Grafana's variables in it.
        unit: The unit of the answer, as Grafana names it.
        instant: Whether it is asked for one moment, and not for each moment shown.
        exemplars: Whether traces are asked for, too.
    """

    dashboard: str
    number: int
    title: str
    part: str
    ref_id: str
    expression: str
    unit: str
    instant: bool
    exemplars: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable whose values come from Prometheus.

    Attributes:
        name: Its name.
        expression: The series whose labels are looked at, or None for all.
        label: The label whose values are offered.
    """

    name: str
    expression: str
    label: str


@dataclass(frozen=True, slots=True)
class Time:
    """The time that is shown, in seconds since the epoch, and the interval of scraping."""

    began: float
    ended: float
    interval: int = 1

    @property
    def macros(self) -> dict[str, str]:
        """What Grafana puts in the place of its own variables."""
        shown = math.ceil(self.ended - self.began)
        return {"__range": f"{shown}s", "__rate_interval": f"{4 * self.interval}s"}


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and its values over time, not one of which is NaN."""

    labels: Mapping[str, str]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus answered. The series with the greatest value is the first."""

    question: Question
    series: tuple[Series, ...]


def questions(dashboard: Dashboard) -> Iterator[Question]:
    """Yield each query of each panel."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield Question(
                dashboard=dashboard["uid"],
                number=panel["id"],
                title=panel["title"],
                part=_part(panel, target),
                ref_id=target["refId"],
                expression=target["expr"],
                unit=_unit(panel, _column(panel, target["refId"])),
                instant=target["instant"],
                exemplars=target["exemplar"],
            )


def variables(dashboard: Dashboard) -> Iterator[Variable]:
    """Yield the variables whose values come from Prometheus."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            if found is None:
                raise ValueError(
                    f"{variable['name']}: {variable['query']['query']!r} is no label_values(series, label)"
                )
            yield Variable(variable["name"], *found.groups())


def ask(prometheus: str, question: Question, choice: Choice, time: Time) -> Answer:
    """Ask *question*.

    Args:
        prometheus: The address of its API.
        question: What to ask.
        choice: What is chosen, by the names of the variables.
        time: The time shown.
    """
    asked = {"query": substituted(question.expression, {**choice, **time.macros})}
    if question.instant:
        found = _get(f"{prometheus}/api/v1/query", **asked, time=time.ended)["result"]
        series = [_series(one["metric"], [one["value"]]) for one in found]
    else:
        span = {"start": time.began, "end": time.ended, "step": time.interval}
        found = _get(f"{prometheus}/api/v1/query_range", **asked, **span)["result"]
        series = [_series(one["metric"], one["values"]) for one in found]
    said = [one for one in series if one.values]
    return Answer(question, tuple(sorted(said, key=lambda one: (-max(one.values), sorted(one.labels.items())))))


def offered(prometheus: str, variable: Variable, choice: Choice, time: Time) -> list[str]:
    """Return the values that a variable offers, once what stands before it is chosen."""
    match = {"match[]": substituted(variable.expression, choice), "start": time.began, "end": time.ended}
    return list(_get(f"{prometheus}/api/v1/label/{variable.label}/values", **match))


def substituted(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with the values of variables in their places, as Grafana puts them there.

    Raises:
        KeyError: If a variable has no value.
    """
    return re.sub(r"\$(\w+)|\$\{([\w.]+)(?::\w+)?\}", lambda found: values[found[1] or found[2]], text)


def _get(url: str, **parameters: object) -> Any:
    with urlopen(f"{url}?{urlencode(parameters)}", timeout=30) as response:  # noqa: S310  # the address we were given
        return json.load(response)["data"]


def _series(labels: Mapping[str, str], values: list[tuple[float, str]]) -> Series:
    numbers = (float(value) for _, value in values)
    return Series(labels, tuple(number for number in numbers if not math.isnan(number)))


def _part(panel: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    if len(panel["targets"]) == 1:
        return ""
    return _column(panel, target["refId"]) or str(target["legendFormat"])


def _column(panel: Mapping[str, Any], ref_id: str) -> str:
    """Return the title of the column that a query fills, if the panel is a table of several."""
    for transformation in panel.get("transformations", ()):
        if found := transformation["options"].get("renameByName", {}).get(f"Value #{ref_id}"):
            return str(found)
    return ""


def _unit(panel: Mapping[str, Any], column: str) -> str:
    """Return the unit of a query's values: that of its column in a table."""
    for override in panel["fieldConfig"]["overrides"]:
        if column == override["matcher"]["options"]:
            return str(next(one["value"] for one in override["properties"] if one["id"] == "unit"))
    return str(panel["fieldConfig"]["defaults"]["unit"])
