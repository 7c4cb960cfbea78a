"""Fixtures for the tests of blinker's adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import blinker
import pytest

from heliograph import instrumentor
from tests.support.blinker_signals import METHODS, ORIGINALS


@pytest.fixture
def blinker_adapter() -> Any:
    """The adapter, as everybody gets it."""
    return instrumentor._adapters["blinker"]


@pytest.fixture
def blinker_installed(blinker_adapter: Any) -> Iterator[Any]:
    """Signals of blinker report."""
    undo = blinker_adapter.install()
    yield blinker_adapter
    undo()
    assert {name: vars(blinker.Signal)[name] for name in METHODS} == ORIGINALS
