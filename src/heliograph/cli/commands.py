"""The command that the others are under."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from heliograph.cli.demo import demo
from heliograph.cli.report import report
from heliograph.cli.run import run

__all__ = ["heliograph"]


def _version() -> str:
    try:
        return version("heliograph")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "not installed"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), message="%(prog)s %(version)s")
def heliograph() -> None:
    """See your signals: who sent what, who heard it, how long it took, what failed."""


for command in (run, report, demo):
    heliograph.add_command(command)
