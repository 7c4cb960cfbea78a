"""A canary that must be seen nowhere, and the places where it might be."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from heliograph.config import Settings
from heliograph.fanout.observer import observe
from heliograph.report.collector import Collector
from heliograph.report.document import dumps, loads
from heliograph.report.terminal import print_report
from heliograph.telemetry.policy import Worth

CANARY = "drib-wolley"[::-1]  # made at run time, so that no line of source shows it


class OutOfStock(Exception):
    """Raised by receivers, with something to say."""


@pytest.fixture(params=["console", "json"])
def written(request) -> Iterator[io.StringIO]:
    """What structlog writes, as the application has configured it."""
    output = io.StringIO()
    renderer: Any = {
        "console": structlog.dev.ConsoleRenderer(colors=False),
        "json": structlog.processors.JSONRenderer(),
    }[request.param]
    structlog.configure(
        processors=[structlog.processors.add_log_level, renderer],
        logger_factory=structlog.PrintLoggerFactory(output),
    )
    yield output
    structlog.reset_defaults()


@pytest.fixture
def reported() -> Iterator[Callable[[], str]]:
    """The report on what was sent since, as it is saved and as it is printed."""
    collector = Collector(Worth(Settings()))
    undo = observe(collector)

    def reported() -> str:
        saved = dumps(collector.report("program"))
        printed = io.StringIO()
        print_report(loads(saved), printed, width=200, everything=True)
        return saved + printed.getvalue()

    yield reported
    undo()


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in *folder* as a user would."""
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
