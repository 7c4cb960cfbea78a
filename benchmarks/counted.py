"""The process whose instructions are counted: ``python -m benchmarks.counted RUNG SIZE TIMES``.

The sends are made in a thread of their own, once everything is warm. callgrind counts each
thread by itself, so neither imports nor preparations nor other threads are among what is counted.
"""

from __future__ import annotations

import os
import sys
import threading

from benchmarks.backend import Backend
from benchmarks.measure import Station
from benchmarks.rungs import RUNGS
from heliograph.telemetry import backlog

__all__ = ["main"]


def main() -> None:
    """Set the rung up and make the sends."""
    name, size, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    backlog._DELAY = 3600  # noqa: SLF001  # what waits is another thread's work, which is not to be the busiest
    station = Station(RUNGS[name], Backend(held=True))  # exporting is another thread's work
    outcomes: list[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(station.send(size, times)))
    station.send(size, 1)
    thread.start()
    thread.join()
    os._exit(0 if outcomes else 1)  # at once, before any exit handler starts threads of its own


if __name__ == "__main__":
    main()
