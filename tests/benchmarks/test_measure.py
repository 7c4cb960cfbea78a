"""That what is measured is what was meant: all receivers run, all spans arrive."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from benchmarks.backend import Backend
from benchmarks.measure import Effort, Station
from benchmarks.rung import PART, Dispatcher, Prepared, Receiver, Rung, Shop
from benchmarks.rungs.dispatchers import django, heliograph, loop

QUICK = Effort(repeats=2, nanoseconds=1)


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """A worker freezes what it has made and gives modules to signals, for its process is its own. This one is not."""
    before = set(sys.modules)
    yield
    gc.unfreeze()
    for name in set(sys.modules) - before:
        if name.startswith("benchmarks.signals"):
            del sys.modules[name]


@pytest.mark.parametrize("dispatcher", [loop, django, heliograph], ids=lambda one: one.__name__)
@pytest.mark.parametrize("size", [1, PART, 2 * PART + 1])
def test_a_send_calls_each_receiver_once_in_order(dispatcher, size):
    """However a signal with many receivers is put together, it is one that they were connected to one by one."""
    called: list[int] = []
    receivers = [_noting(called, number) for number in range(size)]

    dispatcher().ready_to_send(receivers)(Shop)

    assert called == list(range(size))


def test_receivers_live_as_long_as_they_are_measured():
    """Signals hold receivers weakly: without anyone else to hold them, sends to nobody would be measured."""
    responses: list[int] = []

    def dispatcher() -> Dispatcher:
        stock = heliograph()
        return Dispatcher(
            stock.new, stock.connect, lambda signal: lambda sender: responses.append(len(signal.send(sender)))
        )

    Station(Rung("ours", "ours", lambda _: Prepared(dispatcher())), Backend()).thread(20, QUICK)

    assert set(responses) == {20}


def test_spans_that_are_lost_are_noticed():
    """A rung that drops spans would look fast."""
    station = Station(_rung(spans=19), Backend())

    with pytest.raises(RuntimeError, match=r"\d+ spans were to be exported, \d+ were"):
        station.thread(20, QUICK)


def test_spans_that_all_arrive_are_fine():
    """One for each receiver and one for the send."""
    assert Station(_rung(spans=21), Backend()).thread(20, QUICK).keys() == {"thread", "wall"}


def _noting(called: list[int], number: int) -> Receiver:
    def receiver(sender: object, **kwargs: object) -> None:
        called.append(number)

    return receiver


def _rung(spans: int) -> Rung:
    """A rung whose sends export that many spans."""

    def prepare(backend: Backend) -> Prepared:
        def send(receivers: Sequence[Receiver]) -> Any:
            def export(sender: object) -> None:
                backend.exported += spans

            return export

        return Prepared(Dispatcher(list, list.append, send), traced=True)

    return Rung("exporting", "exporting", prepare)
