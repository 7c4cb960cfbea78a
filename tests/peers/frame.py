"""Runs another project's own tests, from the sdist of the release that is installed, and compares test by test.

One suite is one :class:`Suite` in a module of its own in ``libraries/``. Its tests run in processes of their own: as they
are, and with heliograph observing. What one comes to must be the same in both.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.peers import libraries
from tests.peers.sources import packages, sources

__all__ = ["Result", "Run", "Suite", "all_suites", "run_suite"]

_INSIDE = Path(__file__).parent / "inside"
_TAIL = 60  # lines of pytest's output to show of a run that did not come to its end
_AGAIN = 3  # how often a test that differs is run once more, each way


@dataclass(frozen=True)
class Suite:
    """One project's tests.

    Attributes:
        distribution: The project's name on PyPI; the release that is installed is tested.
        observe: What heliograph is to observe, as for ``heliograph.instrument``.
        arguments: For pytest, in the folder of the project's sources: which tests, and which not, with a comment why.
        needs: What the tests need and is not installed, pinned and complete: dependencies are not added.
        spans: Beginnings of names of spans that must have been recorded, to know that heliograph was there.
        environment: Variables the tests want.
        timeout: Seconds that one run may take.
    """

    distribution: str
    observe: Sequence[str]
    arguments: Sequence[str]
    needs: Sequence[str] = ()
    spans: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 300


@dataclass(frozen=True)
class Run:
    """What one run of a suite's tests came to."""

    outcomes: Mapping[str, str]
    spans: Mapping[str, int]
    seconds: float
    output: str

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return Counter(self.outcomes.values())["passed"]

    def __str__(self) -> str:
        """Return the outcomes, counted, and the time taken."""
        counts = Counter(outcome.partition(" ")[0] for outcome in self.outcomes.values())
        words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "no tests"
        return f"{words} in {self.seconds:.1f} s"


@dataclass(frozen=True)
class Result:
    """Both runs of a suite, and what is wrong with them.

    Attributes:
        unstable: Tests that differed, and that differ without heliograph as well when they are run again.
        wrong: What must not be; empty when all is well.
    """

    plain: Run
    observed: Run
    unstable: Sequence[str]
    wrong: Sequence[str]


def all_suites() -> dict[str, Suite]:
    """Return the suites by the names of their modules in ``libraries/``."""
    names = sorted(module.name for module in pkgutil.iter_modules(libraries.__path__))
    return {name: importlib.import_module(f"{libraries.__name__}.{name}").SUITE for name in names}


def run_suite(suite: Suite) -> Result:
    """Run the tests of *suite* without and with heliograph."""
    plain, observed = _run(suite), _run(suite, *suite.observe)
    unstable, changed = _differences(suite, plain, observed)
    wrong = [*_unfinished("without", plain), *_unfinished("with", observed), *changed]
    recorded = tuple(observed.spans)
    wrong += [f"no span {name!r} was recorded" for name in suite.spans if not _begins(recorded, name)]
    return Result(plain, observed, unstable, wrong)


def _begins(names: Sequence[str], beginning: str) -> bool:
    return any(name.startswith(beginning) for name in names)


def _unfinished(how: str, run: Run) -> list[str]:
    if run.outcomes:
        return []
    tail = "\n".join(run.output.splitlines()[-_TAIL:])
    return [f"the run {how} heliograph did not come to its end:\n{tail}"]


def _differences(suite: Suite, plain: Run, observed: Run) -> tuple[list[str], list[str]]:
    """Return the tests that are unstable without heliograph as well, and in words what heliograph changes."""
    if not plain.outcomes or not observed.outcomes:
        return [], []
    unstable, changed = [], []
    for test in sorted(plain.outcomes.keys() | observed.outcomes.keys()):
        before, after = plain.outcomes.get(test, "absent"), observed.outcomes.get(test, "absent")
        if before == after:
            continue
        if _is_unstable(suite, test):
            unstable.append(test)
        else:
            changed.append(f"{test}: {before} without heliograph, {after} with it")
    return unstable, changed


def _is_unstable(suite: Suite, test: str) -> bool:
    """Tell whether a test that came out differently does so for reasons of its own."""
    plain = {_run(suite, only=test).outcomes.get(test) for _ in range(_AGAIN)}
    observed = {_run(suite, *suite.observe, only=test).outcomes.get(test) for _ in range(_AGAIN)}
    return len(plain) > 1 or plain == observed


def _run(suite: Suite, *observe: str, only: str | None = None) -> Run:
    folder = sources(suite.distribution, version(suite.distribution))
    with tempfile.TemporaryDirectory() as scratch:
        report, log = Path(scratch) / "outcomes.json", Path(scratch) / "output"
        command = [sys.executable, "-m", "pytest", "-p", "heliograph_peers", "-p", "no:cacheprovider", "--color=no"]
        command += [f"--peers-outcomes={report}", f"--peers-observe={','.join(observe)}"]
        command += suite.arguments if only is None else [only]
        began = time.perf_counter()
        with log.open("w") as output:
            _wait(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env=_environment(suite),
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                ),
                suite.timeout,
            )
        seconds = time.perf_counter() - began
        found = json.loads(report.read_text()) if report.exists() else {"outcomes": {}, "spans": {}}
        return Run(found["outcomes"], found["spans"], seconds, log.read_text(errors="replace"))


def _wait(process: subprocess.Popen[bytes], timeout: float) -> None:
    """Wait for *process*, at most *timeout*; then end whatever is left of it and of all it has started."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        pass  # a run that has not come to its end is told of by what it has not written
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(suite: Suite) -> dict[str, str]:
    """Return the variables for a run: this process's, without those that say how Python and pytest behave."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "OTEL_"))}
    paths = [packages(suite.needs), _INSIDE]
    return {**own, "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path is not None), **suite.environment}
