"""The command line: measure, print tables, write them into a page or a file."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic

from benchmarks.coordinator import MeasurementError, run
from benchmarks.goals import GOALS
from benchmarks.page import put_between_markers
from benchmarks.plan import FULL, QUICK, chosen
from benchmarks.results import Results
from benchmarks.rungs import RUNGS
from benchmarks.tables import Table, all_tables

LIBRARIES = (
    "heliograph",
    "Django",
    "opentelemetry-sdk",
    "sentry-sdk",
    "psygnal",
    "blinker",
    "celery",
    "PyDispatcher",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ladder; return an exit status, which says nothing about speed."""
    options = _parser().parse_args(arguments)
    try:
        if options.markdown:  # before the work, not after it
            put_between_markers(options.markdown.read_text(encoding="utf-8"), "")
        setting, results = _read(options.read) if options.read else _measured(options)
    except (MeasurementError, OSError, ValueError) as error:
        _say(str(error))
        return 1
    tables = all_tables(results, GOALS, {name: rung.title for name, rung in RUNGS.items()})
    print(setting, *(table.as_text() for table in tables), sep="\n\n")
    _write(options, setting, results, tables)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What signals cost, in ratios.")
    parser.add_argument("--quick", action="store_true", help="sizes 1 and 20, a few rounds, within a minute")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="RUNG",
        help="measure only this rung, or those that match a pattern such as 'django-*'; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all readings there")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: show what --json has written")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="put the tables between the markers of that page")
    return parser


def _measured(options: argparse.Namespace) -> tuple[str, Results]:
    began = monotonic()
    results = run(QUICK if options.quick else FULL, chosen(RUNGS, options.only), _say)
    _say(f"Measured in {monotonic() - began:.0f} s.\n")
    return _setting(), results


def _read(file: Path) -> tuple[str, Results]:
    data = json.loads(file.read_text(encoding="utf-8"))
    return data["setting"], Results.from_data(data["readings"])


def _setting() -> str:
    found = ", ".join(f"{name} {found}" for name in LIBRARIES if (found := _version(name)))
    return f"{platform.python_implementation()} {platform.python_version()}; {found}."


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _write(options: argparse.Namespace, setting: str, results: Results, tables: Sequence[Table]) -> None:
    if options.json:
        data = {"setting": setting, "readings": results.as_data()}
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        text = "\n".join([f"{setting}\n", *(table.as_markdown() for table in tables)])
        page = options.markdown.read_text(encoding="utf-8")
        options.markdown.write_text(put_between_markers(page, text), encoding="utf-8")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
