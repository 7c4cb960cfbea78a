"""The tables in grafana.md: what each panel asks, and what a real Prometheus answered.

The tests that ask write them anew when they are told to: ``make answers``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

from dashboards.grafana.answers import Answer, Question, questions
from dashboards.grafana.generated import FOLDER
from dashboards.grafana.links import OVERVIEW, RECEIVER

PAGE = Path(__file__).parent / "grafana.md"

ALL = {"service": ".*", "system": ".*", "signal": ".*", "receiver": ".*"}
# What is chosen on each dashboard: all there is, and a receiver that fails.
CHOICES = {OVERVIEW: ALL, RECEIVER: {**ALL, "receiver": "loyalty.receivers.credit_points"}}
# What the variables make of each series, shortened in the tables.
CHOSEN = re.compile(r'job=~"\$service", heliograph_system_name=~"\$system", heliograph_signal_name=~"\$signal"')
RECEIVER_CHOSEN = re.compile(r', code_function_name=~?"\$receiver"')


def all_questions() -> list[Question]:
    """Return each query of each panel of all dashboards."""
    return [one for path in sorted(FOLDER.iterdir()) for one in questions(json.loads(path.read_text(encoding="utf-8")))]


def head(question: Question) -> str:
    """Return the part of a line that says which question it is."""
    panel = f"{question.title}: {question.part}" if question.part else question.title
    asked = RECEIVER_CHOSEN.sub(", $receiver", CHOSEN.sub("…", question.expression)).replace("|", r"\|")
    return f"| {panel} | `{asked}` |"


def line(answer: Answer) -> str:
    """Return the line of a question and its answer."""
    return f"{head(answer.question)} {_in_words(answer)} |"


def filled(page: str, answers: Iterable[Answer]) -> str:
    """Return *page* with its tables written anew."""
    answers = list(answers)
    for uid in CHOICES:
        mark = re.compile(rf"<!-- answers: {uid} -->\n.*?<!-- end of answers -->", re.DOTALL)
        if len(mark.findall(page)) != 1:
            raise ValueError(f"there must be one <!-- answers: {uid} --> with an <!-- end of answers -->")
        lines = [line(answer) for answer in answers if answer.question.dashboard == uid]
        table = ["| panel | asks | answer |", "|---|---|---|", *lines]
        before, after = mark.split(page)
        page = before + "\n".join([f"<!-- answers: {uid} -->\n", *table, "\n<!-- end of answers -->"]) + after
    return page


def _in_words(answer: Answer) -> str:
    first, *others = answer.series
    value = _value(max(first.values), answer.question.unit)
    most = value if answer.question.instant else f"at most {value}"
    whose = ", ".join(f"`{value}`" for _, value in sorted(first.labels.items()))
    if not others:
        return f"{most}: {whose}" if whose else most
    return f"{len(answer.series)} series; {most}: {whose}"


def _value(value: float, unit: str) -> str:
    if unit == "s":
        scale, name = next(one for one in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if value * one[0] >= 1)
        return f"{_rounded(value * scale)} {name}"
    if unit == "percentunit":
        return f"{_rounded(value * 100)} %"
    return f"{_rounded(value)} {unit.removeprefix('suffix: ').removeprefix('short')}".rstrip()


def _rounded(value: float) -> str:
    """Return a number with three digits that count."""
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):.{max(digits, 0)}f}".rstrip("0").rstrip(".") if digits > 0 else f"{value:.0f}"
