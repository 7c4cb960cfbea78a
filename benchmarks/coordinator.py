"""Runs all rungs side by side, each in a process of its own, in interleaved rounds.

Rungs cannot share a process: Sentry patches Django for good, and stock Django is to be stock. Yet figures from runs
made one after the other could not be compared on a machine that others use as well. So every rung has a worker that
sleeps until it is asked; in each round every rung is asked once for every number of receivers, one at a time. A ratio
is taken within one round, between readings that are seconds apart at most, by workers with the same interpreter and
environment: whatever slows the machine for a while slows both sides. That is what one process run would give, without
the patches getting in each other's way; so it counts as one run.

A process has luck or none with where things lie in memory, by a tenth and more, and keeps it until it ends. So every
few rounds all workers are started afresh, with other hash seeds, and the medians are over several of each.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self, cast

from benchmarks.plan import CALLS, Plan
from benchmarks.results import Cell, Results

__all__ = ["MeasurementError", "run"]

ROOT = Path(__file__).parent.parent
Say = Callable[[str], None]


class MeasurementError(Exception):
    """A worker could not measure what it was asked to."""


class _Process:
    """One of our modules, running by itself; it ends when its input does."""

    def __init__(self, module: str, *arguments: str, seed: int = 0) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own modules
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=_environment(seed),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._input = cast(IO[str], self._process.stdin)
        self._output = cast(IO[str], self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def tell(self, line: str) -> None:
        """Write a line."""
        print(line, file=self._input, flush=True)

    def hear(self) -> str:
        """Read a line; an empty one means that it has ended."""
        return self._output.readline().strip()


class _Worker(_Process):
    """One rung."""

    def __init__(self, rung: str, *options: str, seed: int) -> None:
        super().__init__("benchmarks.worker", rung, *options, seed=seed)
        self.rung = rung

    def missing(self) -> str | None:
        """Wait until it is ready; return the name of a library that is not installed, if that is why it cannot be."""
        return cast("str | None", self._reply().get("missing"))

    def ask(self, cell: Cell, plan: Plan) -> dict[str, float]:
        """Return the readings, by measure."""
        self.tell(json.dumps({"measure": cell.measure, "size": cell.size, "effort": plan.effort, "calls": CALLS}))
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        line = self.hear()
        if not line:
            raise MeasurementError(f"The process of {self.rung} has ended; what it said is above.")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise MeasurementError(f"{self.rung}: {reply['error']}")
        return reply


class _Workers:
    """All workers of some rounds, by rung and by where their telemetry goes."""

    def __init__(self, stack: ExitStack, otlp: str, *, seed: int) -> None:
        self._stack = stack
        self._seed = seed
        self._options = {"process": ("--otlp", otlp), "memory": ("--held",)}
        self._workers: dict[tuple[str, tuple[str, ...]], _Worker] = {}

    def start(self, cells: Iterable[Cell]) -> dict[str, str]:
        """Start a worker for each of *cells*, all at once; return what is not installed, by the rung that is left out."""
        for cell in cells:
            key = self._key(cell)
            if key not in self._workers:
                self._workers[key] = self._stack.enter_context(_Worker(key[0], *key[1], seed=self._seed))
        missing = {key: library for key, worker in self._workers.items() if (library := worker.missing())}
        for key in missing:
            del self._workers[key]
        return {rung: library for (rung, _), library in missing.items()}

    def ask(self, cell: Cell, plan: Plan) -> dict[str, float]:
        """Return the readings of a cell; none when its library is not installed."""
        worker = self._workers.get(self._key(cell))
        return worker.ask(cell, plan) if worker else {}

    def _key(self, cell: Cell) -> tuple[str, tuple[str, ...]]:
        return cell.rung, self._options.get(cell.measure, ())


def run(plan: Plan, rungs: list[str], say: Say) -> Results:
    """Measure *rungs* as planned; *say* is told how it goes.

    Raises:
        MeasurementError: If a worker fails.
    """
    results = Results()
    with _Process("benchmarks.sink") as sink:
        otlp = sink.hear()
        for numbers in plan.generations():
            say(f"Rounds {numbers[0] + 1} to {numbers[-1] + 1} of {plan.length} ...")
            rounds = {number: plan.cells(number, rungs) for number in numbers}
            with ExitStack() as stack:
                workers = _Workers(stack, otlp, seed=numbers[0])
                missing = workers.start(dict.fromkeys(itertools.chain.from_iterable(rounds.values())))
                for rung, library in missing.items():
                    say(f"{rung} is left out: {library} is not installed.")
                for number, cells in rounds.items():
                    _measure(workers, number, cells, plan, results)
    return results


def _measure(workers: _Workers, number: int, cells: Iterable[Cell], plan: Plan, results: Results) -> None:
    """Ask for all *cells* of a round, one after the other."""
    for cell in cells:
        for measure, reading in workers.ask(cell, plan).items():
            results.add(cell._replace(measure=measure), number, reading)


def _environment(seed: int) -> dict[str, str]:
    """The same for all, whatever the user's shell has exported for OpenTelemetry, Sentry or Django."""
    foreign = ("OTEL_", "SENTRY_", "DJANGO_", "PSYGNAL_", "http_proxy", "HTTP_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYTHONHASHSEED": str(seed)}
