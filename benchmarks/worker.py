"""One rung in one process: ``python -m benchmarks.worker RUNG``.

It stays alive, so that rounds can be interleaved with those of other rungs, and speaks JSON: one line in, such as
``{"measure": "thread", "size": 20, ...}``, one line out. Between two lines it sleeps.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from benchmarks.backend import Backend
from benchmarks.measure import Effort, Station
from benchmarks.rungs import RUNGS

__all__ = ["answer", "main"]


def main() -> None:
    """Prepare the rung, say that it is ready, and measure until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rung", choices=RUNGS)
    parser.add_argument("--otlp")
    parser.add_argument("--held", action="store_true")
    arguments = parser.parse_args()
    replies = _take_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this closes the pipe
    try:
        station = Station(RUNGS[arguments.rung], Backend(arguments.otlp, held=arguments.held))
    except ImportError as error:
        _say(replies, {"missing": error.name or str(error)})
        return
    _say(replies, {})
    for line in sys.stdin:
        _say(replies, answer(station, json.loads(line)))


def answer(station: Station, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the readings that were asked for, or the error there was."""
    measure, size = question["measure"], question["size"]
    try:
        if measure == "thread":
            return dict(station.thread(size, Effort(*question["effort"])))
        if measure == "process":
            return dict(station.process(size, question["calls"]))
        if measure == "memory":
            return dict(station.memory(size, question["calls"]))
        return dict(station.connect(size))
    except RuntimeError as error:
        return {"error": str(error)}


def _take_stdout() -> TextIO:
    """Keep the pipe for replies; whatever a library prints goes to the terminal."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _say(replies: TextIO, answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), file=replies, flush=True)


if __name__ == "__main__":
    main()
