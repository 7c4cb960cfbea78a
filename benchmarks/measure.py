"""Measuring one rung, in its own process. Everything is per receiver."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import NamedTuple

from benchmarks.backend import Backend
from benchmarks.rung import Prepared, Receiver, Rung, Send, Shop

__all__ = ["Effort", "Station"]

Readings = dict[str, float]
Clock = Callable[[], int]

WARM_UPS = 3
PATIENCE = 300_000_000  # nanoseconds after which nothing is repeated any more


class Effort(NamedTuple):
    """How much a measurement of time may take: so many repeats, each of about so many nanoseconds."""

    repeats: int
    nanoseconds: int


class Station:
    """A rung that is ready, and the signals made for it so far."""

    def __init__(self, rung: Rung, backend: Backend) -> None:
        self._backend = backend
        self._prepared: Prepared = rung.prepare(backend)
        self._sends: dict[int, Send] = {}
        self._receivers: list[Receiver] = []  # signals hold them weakly
        self._times: dict[int, int] = {}
        self._sent = 0

    def thread(self, size: int, effort: Effort) -> Readings:
        """Nanoseconds on the calling thread: of its own processor time, and by the clock on the wall.

        The smallest of several repeats, as in timeit: what is above it is other people's noise.
        """
        send = self._send(size)
        if size not in self._times:
            self._times[size] = self._times_within(send, effort.nanoseconds)
        times = self._times[size]
        readings: list[tuple[int, int]] = []
        gc.collect()
        began = perf_counter_ns()
        while len(readings) < effort.repeats and (not readings or perf_counter_ns() - began < PATIENCE):
            readings.append(self._timed(send, times))
        self._check(size)
        thread, wall = (min(column) / times / size for column in zip(*readings, strict=True))
        return {"thread": thread, "wall": wall}

    def process(self, size: int, calls: int) -> Readings:
        """Nanoseconds of all threads' processor time for so many receiver calls, until all is exported.

        The garbage collector stays on: it is part of what a process pays.
        """
        send, times = self._send(size), max(1, calls // size)
        began = process_time_ns()
        with self._prepared.around():
            self._run(send, times)
        self._backend.flush()
        taken = process_time_ns() - began
        self._check(size)
        return {"process": taken / times / size}

    def memory(self, size: int, calls: int) -> Readings:
        """Bytes that are held after so many receiver calls, until they are exported."""
        send, times = self._send(size), max(1, calls // size)
        tracemalloc.start()
        try:
            self._run(send, 1)  # whatever is allocated once
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            self._run(send, times)
            gc.collect()
            held = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        self._backend.flush()
        self._check(size)
        return {"memory": held / times / size}

    def connect(self, size: int) -> Readings:
        """Nanoseconds to connect one receiver, on average, while a signal grows to *size* of them."""
        dispatcher = self._prepared.dispatcher
        receivers = dispatcher.receivers(size)
        with _no_collections():
            began = thread_time_ns()
            dispatcher.connected(receivers)
            taken = thread_time_ns() - began
        return {"connect": taken / size}

    def send(self, size: int, times: int) -> bool:
        """Make *times* sends, for instructions to be counted; return True when that is done."""
        send = self._send(size)
        with self._prepared.around(), _no_collections():
            self._run(send, times)
        return True

    def _send(self, size: int) -> Send:
        if size not in self._sends:
            dispatcher = self._prepared.dispatcher
            receivers = dispatcher.receivers(size)
            self._receivers += receivers
            send = self._sends[size] = dispatcher.ready_to_send(receivers)
            for _ in range(WARM_UPS):
                self._timed(send, 1)
            gc.collect()
            gc.freeze()  # what stays for good need not be looked through again
        return self._sends[size]

    def _times_within(self, send: Send, nanoseconds: int) -> int:
        """Return how many sends take about so long; one is the least."""
        times = 1
        while (taken := self._timed(send, times)[0]) < nanoseconds // 10:
            times *= 4
        return max(1, times * nanoseconds // taken)

    def _timed(self, send: Send, times: int) -> tuple[int, int]:
        with self._prepared.around(), _no_collections():
            wall = perf_counter_ns()
            thread = thread_time_ns()
            self._run(send, times)
            taken = thread_time_ns() - thread, perf_counter_ns() - wall
        self._backend.flush()
        return taken

    def _run(self, send: Send, times: int) -> None:
        self._sent += times
        for _ in repeat(None, times):
            send(Shop)

    def _check(self, size: int) -> None:
        """Whoever loses spans is fast; so all must have been exported, one a receiver and one a send."""
        if self._prepared.traced:
            expected, found = self._sent * (size + 1), self._backend.exported
            if expected != found:
                raise RuntimeError(f"{expected} spans were to be exported, {found} were: this measures something else")
        self._sent = self._backend.exported = 0


@contextmanager
def _no_collections() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
