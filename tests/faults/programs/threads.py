"""Sixteen threads that connect, disconnect and send, and what goes on meanwhile."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.faults.programs.common import SIGNALS, Case, Counting, Ledger, batch, blocks, instrument, run

THREADS = 16
RECEIVERS = 2  # of each thread


class Worker:
    """One thread's own receivers on a signal that all share: it knows which of them are connected, and so who answers."""

    def __init__(self, signal: Any, number: int) -> None:
        self._signal = signal
        self._random = random.Random(number)  # the same operations each time
        self._connected: set[int] = set()
        self._receivers = [self._receiver(index) for index in range(RECEIVERS)]
        self.number = number
        self.ledger = Ledger()

    def _receiver(self, index: int) -> Callable[..., Any]:
        def receiver(value: int, **_: Any) -> tuple[int, int, int]:
            if index and not value % 32:
                raise ValueError(self.number, index, value)
            return self.number, index, value

        return receiver

    def work(self, operations: int) -> None:
        """Do that many, and write down what could be seen of each."""
        for value in range(operations):
            action = self._random.randrange(8)
            if action < 2:
                index = self._random.randrange(RECEIVERS)
                self._signal.connect(self._receivers[index])
                self._connected.add(index)
                self.ledger.note("connected")
            elif action < 4:
                index = self._random.randrange(RECEIVERS)
                done = self._signal.disconnect(self._receivers[index])
                self.ledger.note(f"disconnected: {done == (index in self._connected)}")
                self._connected.discard(index)
            else:
                self._send(value)

    def _send(self, value: int) -> None:
        responses = self._signal.send_robust(sender=self, value=value)
        mine = [
            response.args if isinstance(response, ValueError) else response
            for receiver, response in responses
            if receiver in self._receivers
        ]
        expected = [(self.number, index, value) for index in sorted(self._connected)]
        self.ledger.note(f"answered: {sorted(mine) == expected}")


def program(case: Case) -> dict[str, Any]:
    """Let all of them work on one signal, of either kind."""
    sys.setswitchinterval(1e-4)
    provider = batch(Counting()) if case.observed else None
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    undo = instrument(provider, meters=meters) if provider is not None else None
    signal = SIGNALS[case.variant]()
    workers = [Worker(signal, number) for number in range(THREADS)]
    toggling = threading.Event()

    def toggle() -> None:
        assert provider is not None
        while not toggling.wait(0.002):
            instrument(provider, meters=meters)()

    def work(operations: int) -> int:
        threads = [threading.Thread(target=one.work, args=(operations,)) for one in workers]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        if provider is not None:
            provider.force_flush()
        return blocks()

    toggler = threading.Thread(target=toggle)
    if case.fault == "instrument and undo meanwhile" and undo is not None:
        undo()
        toggler.start()
    before = work(case.times // 2 // THREADS)
    grown = work(case.times // 2 // THREADS) - before
    toggling.set()
    if toggler.is_alive():
        toggler.join()
    ledger = Ledger()
    for one in workers:
        ledger.add(one.ledger)
    return {**ledger.figures(), "grown": grown}


if __name__ == "__main__":
    run(program)
