"""Receivers that nobody can see: the report says so once, and says nothing of them that may be wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from django.conf import settings
settings.configure()
from django.dispatch import Signal, receiver

class PluginSignal(Signal):
    def send(self, sender, **named):
        live = self._live_receivers(sender)
        live = live[0] if isinstance(live, tuple) else live
        return [(one, one(signal=self, sender=sender, **named)) for one in live]

first, second = PluginSignal(), PluginSignal()

@receiver(first)
def called(**_):
    second.send(None)

@receiver(second)
def called_too(**_):
    return 1

for _ in range(3):
    first.send(None)
print("done")
"""


@pytest.fixture
def report(tmp_path: Path) -> list[str]:
    """The lines of the report on a program with a plugin system's signals."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "heliograph", "run", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n"
    return [line.strip() for line in done.stderr.splitlines()]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="before Python 3.12")
def test_what_cannot_be_seen_is_said_once(report):
    """Below the tables; a line that it concerns says no more than that they are unknown."""
    said = [line for line in report if "unknown" in line]

    assert [line.lstrip("│├─└ ") for line in said[:2]] == ["receivers unknown"] * 2
    assert said[2:] == ["receivers unknown: the signal has a send of its own, and Python before 3.12"]
    below = report[report.index(said[2]) + 1]
    assert below == "does not tell what that calls; or the release of its library is new here"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="capability monitoring: Python 3.12 or newer has it")
def test_what_can_be_seen_is_in_the_tree(report):
    """From Python 3.12 on, one under the other, and nothing is said to be unknown."""
    names = [line.lstrip("├─└│ ").split(" ")[0] for line in report]

    assert [name for name in names if "called" in name or "first" in name or "second" in name][:4] == [
        "first",
        "__main__.called",
        "second",
        "__main__.called_too",
    ]
    assert not any("unknown" in line for line in report)


def test_receivers_of_such_a_signal_are_not_said_to_be_never_called(report):
    """They may have been, and these were."""
    assert not any("never called" in line for line in report)
