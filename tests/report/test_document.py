"""Saving and reading: a report comes back as it was, and what is no report is told what it lacks."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from heliograph.errors import ReportError
from heliograph.report import model
from heliograph.report.document import VERSION, dumps, loads
from tests.report.conftest import Call, Sent, Stage

DOCS = Path(__file__).parents[2] / "docs" / "report.md"


@pytest.fixture
def report(stage: Stage) -> model.Report:
    """A report with something in each of its parts."""
    inner = Sent("shop.saved", [Call("shop.index", 2)])
    stage.play(Sent("django.core.signals.request_started"))
    stage.play(Sent("shop.paid", [Call("shop.restock", 120, sends=[inner])], sender="shop.Order"))
    stage.play(Sent("django.core.signals.request_finished"))
    stage.play(Sent("shop.paid", [Call("shop.points", error=ValueError())], due=["shop.points", "shop.receipt"]))
    return stage.collector.report(
        "script.py --option", connected=[("shop.closed", stage.function("shop.lights"))], unmatched=["a remark"]
    )


def changed(report: model.Report, path: str, value: object) -> str:
    """Return the document with one value changed, or taken out where the value is ``...``."""
    document = json.loads(dumps(report))
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = document
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document)


def test_a_saved_report_comes_back_as_it_was(report):
    """Nothing is lost or changed on the way through the file."""
    assert loads(dumps(report)) == report
    assert loads(dumps(report).encode()) == report


def test_the_document_says_what_it_is(report):
    """The first field names the format and its version."""
    assert dumps(report).startswith(f'{{\n "heliograph_report": {VERSION},\n')


def test_a_field_of_a_later_version_is_passed_over(report):
    """What is added to the format later does not make a document unreadable."""
    assert loads(changed(report, "colour", "blue")) == report


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "This is no saved report, because it is no JSON: Expecting value"),
        (b"not json", "This is no saved report, because it is no JSON: Expecting value"),
        (b'{"heliograph_report": 1', "This is no saved report, because it is no JSON: Expecting ',' delimiter"),
        (b"\xff\xfe\x00", "This is no saved report, because it is no JSON: 'utf-"),
        (b"[" * 100_000, "This is no "),
        (b"[]", 'This is no saved report: it has no field "heliograph_report".'),
        (b'{"version": 1}', 'This is no saved report: it has no field "heliograph_report".'),
        (b'{"heliograph_report": 2}', "This report has version 2, and this heliograph reads version 1."),
        (b'{"heliograph_report": true}', "This report has version true, and this heliograph reads version 1."),
        (b'{"heliograph_report": 1}', "This report is incomplete: program is missing."),
        (b'{"heliograph_report": NaN}', "This is no saved report, because it is no JSON: NaN is not a number in JSON"),
        (b'{"heliograph_report": ' + b"1" * 10_000 + b"}", "This is no saved report, because it is no JSON: Exceeds"),
    ],
)
def test_what_is_no_report_is_refused(document, message):
    """Whatever the file holds, the answer is one clear error."""
    with pytest.raises(ReportError) as refused:
        loads(document)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("program", ..., "This report is incomplete: program is missing. Save it again."),
        ("totals.calls", ..., "This report is incomplete: totals.calls is missing. Save it again."),
        (
            "groups.0.lines.0.receivers.0.lines.0.total",
            "soon",
            (
                "This report is damaged: groups[0].lines[0].receivers[0].lines[0].total should be "
                'a number of seconds, zero or more, and is "soon".'
            ),
        ),
        ("program", 7, "This report is damaged: program should be a string, and is 7."),
        ("duration", -1, "This report is damaged: duration should be a number of seconds, zero or more, and is -1."),
        (
            "duration",
            True,
            "This report is damaged: duration should be a number of seconds, zero or more, and is true.",
        ),
        ("totals", [], "This report is damaged: totals should be an object, and is []."),
        ("groups", {}, "This report is damaged: groups should be an array, and is {}."),
        (
            "groups.0.count",
            1.5,
            "This report is damaged: groups[0].count should be a count: a whole number, zero or more, and is 1.5.",
        ),
        (
            "groups.0.lines.0.known",
            0,
            "This report is damaged: groups[0].lines[0].known should be true or false, and is 0.",
        ),
        (
            "orphans",
            ["x" * 100],
            f'This report is damaged: orphans[0] should be an object, and is "{"x" * 56}....',
        ),
    ],
)
def test_a_damaged_field_is_named(report, path, value, message):
    """The error says which field, what it should be and what it is."""
    with pytest.raises(ReportError) as refused:
        loads(changed(report, path, value))

    assert str(refused.value) == message


def test_lines_nested_too_deep_are_refused(report):
    """A tree that no program could have made is refused before it is built."""
    document = json.loads(dumps(report))
    line = document["groups"][0]["lines"][0]
    for _ in range(200):
        line = {**line, "receivers": [{**line["receivers"][0], "lines": [line]}]}
    document["groups"][0]["lines"] = [line]

    with pytest.raises(ReportError, match=r"nested"):
        loads(json.dumps(document))


def test_the_documentation_names_every_field():
    """docs/report.md describes each field of the document, and no other."""
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE))
    kinds = [getattr(model, name) for name in model.__all__]

    assert documented == {"heliograph_report", *(field.name for kind in kinds for field in dataclasses.fields(kind))}
