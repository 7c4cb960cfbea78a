"""Runs the programs: each twice, observed and not, in processes of their own that are killed when they hang."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("HELIOGRAPH_FAULTS") == "full"  # as `make reliability` has it
LIMIT = 1800 if FULL else 200  # seconds for a program; it says where it hangs before it is killed


def start(program: str, variant: str, fault: str, times: int, *, observed: bool, prints: bool = True) -> dict[str, Any]:
    """Run a program in a process of its own; return what it printed, unless it ends before it prints."""
    case = {"variant": variant, "fault": fault, "times": times, "limit": LIMIT, "observed": observed}
    command = [sys.executable, "-W", "error", "-m", f"tests.faults.programs.{program}", json.dumps(case)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT + 10, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if prints else {}
    return found


@functools.cache
def unobserved(program: str, variant: str, times: int) -> dict[str, Any]:
    """Return what a program prints that nobody observes: nothing is wrong with telemetry that is not there."""
    return start(program, variant, "", times, observed=False)


Compare = Callable[..., dict[str, Any]]


@pytest.fixture
def compare() -> Compare:
    """Return a function that runs a program observed and not, and asserts that its sends came to the same.

    What was tried, how often, and how many sends were lost or came to something else, is noted for docs/reliability.md.
    """

    def compare(program: str, variant: str = "", *, times: int, fault: str = "") -> dict[str, Any]:
        expected = unobserved(program, variant, times)
        found = start(program, variant, fault, times, observed=True)
        assert expected["sends"] > 0
        lost = _lost(expected["kinds"], found["kinds"])
        note(f"{program}: {', '.join(filter(None, [variant, fault])) or 'one way'}", found["sends"], lost)
        assert lost == 0
        assert found["kinds"] == expected["kinds"]
        assert found["digest"] == expected["digest"]
        # Django keeps a finalizer for each time that a receiver has been connected: that growth is not ours.
        return {**found, "grown": found["grown"] - expected["grown"]}

    return compare


def _lost(unobserved: dict[str, int], observed: dict[str, int]) -> int:
    """Return how many sends of the unobserved run came to something else in the other, or to nothing."""
    return sum(max(0, count - observed.get(kind, 0)) for kind, count in unobserved.items())


def note(what: str, sends: int, lost: int) -> None:
    """Add a row to the file of figures, if there is one to be made."""
    path = os.environ.get("HELIOGRAPH_FAULTS_FIGURES")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, "sends": sends, "lost": lost}) + "\n")
