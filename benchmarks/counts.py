"""Instructions a receiver on some paths, against those committed: ``python -m benchmarks.counts``.

Times cannot be a gate on a machine that others use; instructions can. They are the same from run to run within a
fraction of a per cent, but not from one build of Python to the next, so they are compared as multiples of what a bare
loop over the receivers takes in the same interpreter, and kept by Python version.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import Table

__all__ = ["COMMITTED", "REFERENCE", "Change", "changes", "main", "table"]

ROOT = Path(__file__).parent.parent
COMMITTED = Path(__file__).with_name("counts.json")
TOLERANCE = 0.15
REFERENCE = "loop"
SIZE = 20
# How many sends: enough for the start of a thread, 70,000 instructions, not to matter.
TIMES = {
    REFERENCE: 200,
    "heliograph": 200,
    "django": 200,
    "django-no-provider": 100,
    "heliograph-slow": 50,
    "heliograph-all": 50,
    "django-all": 50,
}

Counts = Mapping[str, float]


class CountingError(Exception):
    """A path could not be counted."""


@dataclass(frozen=True, slots=True)
class Change:
    """How one path has changed.

    Attributes:
        path: The rung's name.
        count: Instructions a receiver, now.
        multiple: The same as a multiple of the bare loop's.
        committed: The multiple that is committed; None if there is none.
    """

    path: str
    count: float
    multiple: float
    committed: float | None

    @property
    def by(self) -> float:
        """The change as a fraction: 0.2 is a fifth more than committed."""
        return self.multiple / self.committed - 1 if self.committed else 0.0

    @property
    def regressed(self) -> bool:
        """Whether it is too much."""
        return self.by > TOLERANCE


def changes(counted: Counts, committed: Counts) -> list[Change]:
    """Return how each path that was counted stands to what is committed."""
    return [
        Change(
            path,
            count,
            count / counted[REFERENCE],
            committed[path] / committed[REFERENCE] if path in committed else None,
        )
        for path, count in counted.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and compare; return 1 if a path takes too many instructions more than it did."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description="Instructions a receiver.")
    parser.add_argument("--update", action="store_true", help="write what is counted into counts.json")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("Instructions: not measured. valgrind is not installed; it is the package of that name in most systems.")
        return 0
    try:
        counted = _count_all()
    except CountingError as error:
        print(error, file=sys.stderr)
        return 1
    committed = _committed()
    found = changes(counted, committed.get(_version(), {}))
    print(table(found).as_text())
    if options.update:
        COMMITTED.write_text(json.dumps({**committed, _version(): counted}, indent=2, sort_keys=True) + "\n")
        return 0
    return _judge(found, known=_version() in committed)


def table(found: Sequence[Change]) -> Table:
    """Return the changes as a table."""
    rows = [
        (
            one.path,
            f"{one.count:,.0f}",
            f"{one.multiple:.2f}",
            "" if one.committed is None else f"{one.committed:.2f}",
            "" if one.committed is None else f"{one.by:+.1%}",
        )
        for one in found
    ]
    note = f"{_version()}, {SIZE} receivers. A multiple is of what the bare loop takes."
    return Table("Instructions a receiver", note, ("path", "instructions", "multiple", "committed", "change"), rows)


def _judge(found: Sequence[Change], *, known: bool) -> int:
    if not known:
        print(f"Nothing is committed for {_version()}, so nothing was compared. --update writes it.")
        return 0
    regressed = [one.path for one in found if one.regressed]
    if regressed:
        print(f"More than {TOLERANCE:.0%} more instructions than committed: {', '.join(regressed)}.")
    if any(one.by < -TOLERANCE for one in found):
        print("Some take far fewer than committed. --update makes that the measure.")
    return 1 if regressed else 0


def _version() -> str:
    return f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}"


def _committed() -> dict[str, dict[str, float]]:
    return json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}


def _count_all() -> dict[str, float]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(TIMES, pool.map(_count, TIMES), strict=True))


def _count(path: str) -> float:
    """Return the instructions a receiver of one path, counted in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(  # noqa: S603  # our own module
            [
                *("valgrind", "--tool=callgrind", "--separate-threads=yes"),
                f"--callgrind-out-file={folder}/counts",
                *(sys.executable, "-m", "benchmarks.counted", path, str(SIZE), str(TIMES[path])),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise CountingError(f"{path} could not be counted:\n{result.stderr}")
        return round(_total(Path(folder)) / TIMES[path] / SIZE, 1)


def _total(folder: Path) -> int:
    """Return what the thread of the sends has taken: the busiest but for the main one, which imports everything."""
    others = [_instructions(file) for file in folder.glob("counts-*") if not file.name.endswith("-01")]
    if not others:
        raise CountingError("This valgrind does not write what each thread has taken, or writes it elsewhere.")
    return max(others)


def _instructions(file: Path) -> int:
    """Return the number in the line ``totals:`` that ends a file of callgrind's."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in reversed(lines) if line.startswith("totals:")), 0)


if __name__ == "__main__":
    sys.exit(main())
