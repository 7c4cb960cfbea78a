"""One observed run: what is switched on before the program starts, and what is said when it has ended."""

from __future__ import annotations

import atexit
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.adapters.adapter import Adapter
from heliograph.cli.options import Options
from heliograph.fanout.describe import receiver_name
from heliograph.fanout.facts import Receiver
from heliograph.fanout.observer import known_sites, observe
from heliograph.fanout.plain import plain
from heliograph.instrumentor import adapters
from heliograph.report.collector import Collector
from heliograph.report.document import dumps
from heliograph.report.model import Report
from heliograph.report.terminal import print_report
from heliograph.telemetry.policy import Worth

if TYPE_CHECKING:
    from heliograph.cli.otlp import Export

__all__ = ["Session"]


class Session:
    """Observes the program that runs in this process from :meth:`begin` until the process ends.

    The report is made by the last of all exit handlers, so it tells of what the program's own exit handlers
    and the threads it has left have sent as well. Processes forked from this one report nothing.

    Args:
        program: What is run, in words.
        service: The name under which its telemetry is exported.
        options: How to observe, and where to show it.
    """

    def __init__(self, program: str, service: str, options: Options) -> None:
        self._program = program
        self._options = options
        self._worth = Worth(options.settings)
        self._adapters = adapters()
        self._stderr = sys.stderr
        self._process = os.getpid()
        self._export = _export(options.otlp, service) if options.otlp else None
        self._collector = Collector(self._worth)
        self._undos: list[Callable[[], None]] = []
        self._silent = False

    def begin(self) -> None:
        """Observe from now on, and say what there is to say when the process ends."""
        self._collector = Collector(self._worth)  # the program's time begins now
        for adapter in self._adapters:
            self._attempt(f"observe the signals of {adapter.library}", partial(self._install, adapter))
        self._undos.append(observe(self._collector))
        if self._export is not None:
            self._undos.append(self._export.begin(self._options))
        atexit.register(self._end)

    def _install(self, adapter: Adapter) -> None:
        self._undos.append(adapter.install())

    def hand_over(self) -> None:
        """Leave the report to another process, unless this one has something to say itself."""
        self._silent = True

    def cancel(self) -> None:
        """Say nothing: the program has not run."""
        atexit.unregister(self._end)

    def _end(self) -> None:
        if os.getpid() != self._process:
            return
        with suppress(Exception):  # what the program has printed comes first; whether that can be is its own affair
            sys.stdout.flush()
        self._attempt("report", self._report)
        if self._export is not None:
            self._attempt("export", self._finish_export)

    def _report(self) -> None:
        connected = [pair for adapter in self._adapters for pair in adapter.connected()]
        report = self._collector.report(self._program, connected=connected, unmatched=self._unmatched(connected))
        for undo in reversed(self._undos):
            undo()
        if self._silent and not report.totals.dispatches:
            return
        if self._options.save is None or not self._save(report, self._options.save):
            print_report(report, self._stderr)

    def _save(self, report: Report, path: Path) -> bool:
        try:
            _write(dumps(report), path)
        except OSError as error:
            self._say(f"the report could not be saved to {path}: {error.strerror}. Here it is instead.")
            return False
        self._say(f"the report is in {path}; print it: heliograph report {path}")
        return True

    def _unmatched(self, connected: list[tuple[str, Receiver]]) -> list[str]:
        """Return what to say about names in the settings that match nothing: a slip there must not pass in silence."""
        if not self._worth.has_patterns:
            return []
        signals = [name for adapter in self._adapters for name in adapter.signal_names()]
        signals += [site.name for site in known_sites()]
        receivers = [receiver_name(receiver) for _, receiver in connected] + self._collector.receivers_called()
        return [str(one) for one in self._worth.unmatched(signals, receivers)]

    def _finish_export(self) -> None:
        if self._export is not None and (complaint := self._export.finish()):
            self._say(complaint)

    def _attempt(self, what: str, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001  # the program's own work and exit code come first
            self._say(f"could not {what}: {type(error).__name__}: {error}")

    def _say(self, words: str) -> None:
        with suppress(OSError, ValueError, AttributeError):  # the program may have closed its standard error
            print(f"heliograph: {plain(words)}", file=self._stderr, flush=True)


def _export(url: str, service: str) -> Export:
    try:
        from heliograph.cli.otlp import Export
    except ImportError as error:
        raise click.UsageError(
            f"--otlp needs {error.name}, which is not installed. Install it: pip install 'heliograph[otlp]'"
        ) from None
    return Export(url, service)


def _write(document: str, path: Path) -> None:
    """Write all of *document* to *path* or nothing at all."""
    path = path.resolve()
    if path.exists() and not path.is_file():  # a pipe or a device is written to, never replaced
        path.write_text(document, encoding="utf-8")
        return
    beside = path.with_name(f".heliograph.{secrets.token_hex(8)}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as file:  # never through a link that somebody else has put there
            file.write(document)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
