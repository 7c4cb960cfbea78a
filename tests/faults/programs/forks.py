"""A receiver that forks: parent and child go on, each with telemetry of its own."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.faults.programs.common import SIGNALS, Case, Counting, Ledger, batch, blocks, instrument, run


def child(ledger: Ledger, exporter: Counting, provider: Any, to: int) -> None:
    """Tell the parent what came of the child's sends, and of its spans, and end."""
    if provider is not None:
        provider.force_flush()
    os.write(to, json.dumps({**ledger.figures(), "spans": exporter.count}).encode())
    os._exit(0)


def program(case: Case) -> dict[str, Any]:
    """Fork within a send, and send on both sides."""
    exporter = Counting()
    provider = batch(exporter) if case.observed else None
    if provider is not None:
        instrument(provider, budget=1 << 30)
    ledger, children = Ledger(), Ledger()
    spans: list[int] = []
    signals = [make() for make in SIGNALS.values()]
    read, write = os.pipe()

    def forks(value: int, fork: bool, **_: Any) -> str:
        if fork:
            pid = os.fork()
            if not pid:
                exporter.count = 0
                ours = Ledger()
                for signal in signals:  # within the send that forked, as a receiver may
                    ours.send(signal, "send_robust", value=value, fork=False)
                child(ours, exporter, provider, write)
            told = json.loads(os.read(read, 65536))
            assert os.waitpid(pid, 0) == (pid, 0)
            spans.append(told["spans"])
            children.note(json.dumps([told["sends"], told["kinds"]]))
        return "forked" if fork else "plain"

    def fails(value: int, **_: Any) -> None:
        raise ValueError(value)

    for signal in signals:
        signal.connect(forks, weak=False)
        signal.connect(fails, weak=False)
    before = blocks()
    for number in range(case.times):
        for signal in signals:
            ledger.send(signal, "send_robust", value=number % 3, fork=number % 10 == 0)
    if provider is not None:
        provider.force_flush()
    ledger.add(children)
    return {**ledger.figures(), "grown": blocks() - before, "spans": exporter.count, "spans of children": spans}


if __name__ == "__main__":
    run(program)
