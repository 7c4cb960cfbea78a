"""``heliograph report FILE`` reads what anybody may have written, and ``--save`` writes where others may write too."""

from __future__ import annotations

import copy
import io
import json
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from heliograph.cli import session
from heliograph.cli.commands import heliograph as command
from heliograph.errors import ReportError
from heliograph.report.document import LARGEST, loads
from heliograph.report.terminal import print_report

GIBIBYTE = 2**30
ESCAPE = "\x1b]0;title\x07"

RECEIVER = {
    "receiver": "shop.receipt",
    "mode": "sync",
    "count": 2,
    "failed": 1,
    "slow": 1,
    "skipped": 1,
    "total": 0.5,
    "worst": 0.4,
    "error": "ConnectionError",
    "place": "shop.py:7",
    "captured": True,
    "lines": [],
}
LINE = {
    "signal": "shop.paid",
    "system": "django",
    "sender": "shop.Till",
    "operation": "send_robust",
    "count": 2,
    "failed": 0,
    "total": 0.5,
    "worst": 0.4,
    "known": True,
    "receivers": [RECEIVER],
}
WELL = {
    "heliograph_report": 1,
    "program": "manage.py",
    "started_at": 1.0,
    "duration": 2.0,
    "level": "all",
    "slow": 0.1,
    "totals": {"requests": 1, "dispatches": 2, "calls": 2, "failed": 1, "slow": 1, "orphans": 1},
    "groups": [
        {"request": 1, "count": 1, "total": 0.6, "worst": 0.6, "left_out": 1, "lines": [LINE]},
        {
            "request": 0,
            "count": 1,
            "total": 0.6,
            "worst": 0.6,
            "left_out": 0,
            "lines": [{**LINE, "receivers": [{**RECEIVER, "lines": [LINE]}]}],
        },
    ],
    "receivers": [
        {
            **{name: RECEIVER[name] for name in ("receiver", "count", "failed", "slow", "total", "worst")},
            "signal": "a.b",
        }
    ],
    "failures": [
        {
            "signal": "a.b",
            "receiver": "shop.receipt",
            "error": "KeyError",
            "place": None,
            "captured": False,
            "count": 1,
            "calls": 2,
        }
    ],
    "orphans": [{"signal": "a.lost", "count": 1, "sends": 1}],
    "never_called": [{"signal": "a.b", "receiver": "shop.idle", "place": "shop.py:9", "installed": False}],
    "left_out": {"requests": 0, "calls": 1, "failures": 0, "sends": 2},
    "unmatched": ["a remark"],
}


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a document."""
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


PLACES = [path for path in places(WELL) if path]


def with_value(path: tuple[Any, ...], value: Any) -> Any:
    """Return the document with another value in one place."""
    document = copy.deepcopy(WELL)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return document


def printed(document: str | bytes, *, everything: bool = True) -> str:
    """Return what is printed of a document."""
    output = io.StringIO()
    print_report(loads(document), output, width=100, everything=everything)
    return output.getvalue()


def limited() -> None:
    """Leave a process as much memory as a hostile file may make it want."""
    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTE, GIBIBYTE))


def report(file: Path | str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``heliograph report``, with a GiB of memory at most."""
    return subprocess.run(
        [sys.executable, "-m", "heliograph", "report", str(file)],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        preexec_fn=limited,
        **options,
    )


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "This is no saved report, because it is no JSON: Expecting value: line 1 column 1 (char 0)."),
        (b"\x80\x04\x95", "This is no saved report, because it is no JSON: 'utf-8' codec can't decode byte 0x80"),
        (b'{"heliograph_report":' * 50_000, "This is no report: it is nested too deeply."),
        (b"[" * LARGEST, "This is no report: it is nested too deeply."),
        (b"[" + b"[]," * (LARGEST // 3 - 1) + b"1]", "This file has too many values for a report."),
        (b'["' + b"x" * LARGEST, f"This file is too large for a report, which has {LARGEST:,} bytes at most."),
        (
            b'{"heliograph_report": "'
            + ESCAPE.encode("unicode_escape").replace(b"\\x", b"\\u00")
            + b"x" * 2**20
            + b'"}',
            r'This report has version "\u001b]0;title\u0007',
        ),
    ],
    ids=["empty", "pickle", "nested objects", "nested arrays", "many values", "large", "hostile version"],
)
def test_a_file_that_is_no_report_is_refused_in_one_line(tmp_path, content, complaint):
    """Whatever it holds, and within a GiB of memory: exit code 1, no traceback, nothing that steers the terminal."""
    file = tmp_path / "report.json"
    file.write_bytes(content)
    ran = report(file)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"Error: {file}: {complaint}")
    assert ran.stderr.count("\n") == 1
    assert len(ran.stderr) < 500
    assert ran.stderr.rstrip("\n").isprintable()


@pytest.mark.end_to_end
def test_a_file_without_an_end_is_refused():
    """No more of it is read than a report may have."""
    ran = report("/dev/zero")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"Error: /dev/zero: This file is too large for a report, which has {LARGEST:,} bytes at most.\n"
    )


@pytest.mark.end_to_end
def test_the_name_of_a_file_cannot_steer_the_terminal(tmp_path):
    """It may come with the file."""
    file = tmp_path / f"a{ESCAPE}\n.json"
    file.write_bytes(b"[]")
    ran = report(file)

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: {tmp_path}/a\\x1b]0;title\\x07\\n.json: This is no saved report")
    assert ran.stderr.rstrip("\n").isprintable()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 10**14, 10**15, 10**4000, 1e-320, 1e11, 1e300, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        [ESCAPE, "\ud800", "\u202e", "../../../etc/passwd:1", "a" * 10_000, "." * 3000, "", "[/]", "\n" * 99]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WELL, "count"]), inner, max_size=3),
    max_leaves=5,
)


def answer(document: str, *, everything: bool) -> str:
    """Return what is printed of a document, or the one line that refuses it."""
    try:
        return printed(document, everything=everything)
    except ReportError as refused:
        return f"{refused}\n"


@given(st.sampled_from(PLACES), VALUES, st.booleans())
@hypothesis_settings(max_examples=500)
def test_any_value_in_any_place_is_printed_or_refused(path, value, everything):
    """Never another error, and never a control character; a refusal is short, whatever was found."""
    said = answer(json.dumps(with_value(path, value)), everything=everything)

    assert [char for char in said if not char.isprintable() and char != "\n"] == []
    assert said.startswith("\nheliograph · ") or (said.count("\n") == 1 and len(said) < 300)


@pytest.mark.parametrize("path", [("groups", 0, "count"), ("totals", "calls"), ("groups", 1, "lines", 0, "count")])
def test_a_count_is_one_that_can_be_printed(path):
    """Up to a quadrillion: Python refuses to print numbers of some thousand digits, which a sum of larger ones may have."""
    assert "999,999,999,999,999" in printed(json.dumps(with_value(path, 10**15 - 1)))
    with pytest.raises(
        ReportError, match=r"should be a count: a whole number, zero or more, and is 1000000000000000\."
    ):
        loads(json.dumps(with_value(path, 10**15)))


@pytest.mark.parametrize("text", [ESCAPE, "two\nlines", "\ud800", "\u202e", "<script>", "[bold]x[/]"])
def test_hostile_text_in_every_place_is_printed_as_it_is_spelled(text):
    """In each place that holds text at once: the same lines as with harmless ones, and each shows what is there."""

    def filled(words: str) -> str:
        document = json.loads(json.dumps(WELL))
        for path in PLACES:
            holder = document
            for key in path[:-1]:
                holder = holder[key]
            if isinstance(holder[path[-1]], str):
                holder[path[-1]] = words
        return printed(json.dumps(document))

    harmless, hostile = filled("harmless"), filled(text)
    spelled = text if text.isprintable() else text.encode("unicode_escape").decode()
    assert hostile.count("\n") == harmless.count("\n")
    assert [char for char in hostile if not char.isprintable() and char != "\n"] == []
    assert spelled in hostile


opened: list[str] | None = None


def note_what_is_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and opened is not None:
        opened.append(str(arguments[0]))


def test_a_report_names_files_and_opens_none(monkeypatch):
    """Places are words: nothing a report names is read, written or looked for."""
    document = json.dumps(with_value(("failures", 0, "place"), "../../../../etc/passwd:1"))
    printed(document)  # once, so that all modules are there
    sys.addaudithook(note_what_is_opened)
    found: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "opened", found)
    text = printed(document)
    monkeypatch.setattr(sys.modules[__name__], "opened", None)

    assert "../../../../etc/passwd:1" in text
    assert found == []


def test_a_link_laid_beforehand_is_not_followed(tmp_path, monkeypatch):
    """In a folder that others may write to: what the name of the unfinished file points to stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".heliograph.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        session._write("{}", tmp_path / "report.json")

    assert victim.read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "report.json").exists()


def test_the_unfinished_file_has_another_name_each_time(tmp_path, monkeypatch):
    """One that cannot be guessed; when the report is there it is gone."""
    names = []
    monkeypatch.setattr(Path, "replace", lambda self, _: names.append(self.name))
    for _ in range(3):
        session._write("{}", tmp_path / "report.json")

    assert len({*names}) == 3
    assert all(len(name) == len(".heliograph..tmp") + 16 for name in names)
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_printed_through_the_command(tmp_path):
    """The document that all these are changed from is one that is printed."""
    file = tmp_path / "report.json"
    file.write_text(json.dumps(WELL), encoding="utf-8")
    result = CliRunner().invoke(command, ["report", "--all", str(file)])

    assert result.exit_code == 0
    assert "heliograph · manage.py" in result.output
