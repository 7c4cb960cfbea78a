"""Sixteen threads that connect, disconnect and send on one signal; a million times in all with ``make reliability``."""

from __future__ import annotations

import pytest

from tests.faults.conftest import FULL

TIMES = 1_000_000 if FULL else 32_000


@pytest.mark.parametrize("signal", ["django", "heliograph"])
@pytest.mark.parametrize("fault", ["", "instrument and undo meanwhile"])
def test_each_thread_is_answered_by_its_own_receivers(compare, signal, fault):
    """Those that are connected, each once, and no other, whatever the other threads and the observers do."""
    observed = compare("threads", signal, times=TIMES, fault=fault)

    assert set(observed["kinds"]) == {"connected", "disconnected: True", "answered: True"}
    assert observed["grown"] < observed["sends"] // 4  # one block an operation would be twice that
