"""``heliograph report``: print a saved report again."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from heliograph.errors import ReportError
from heliograph.fanout.plain import plain
from heliograph.report.document import LARGEST, loads
from heliograph.report.terminal import print_report

__all__ = ["report"]


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show everything, however long.")
@click.argument("file", type=click.File("rb"))
def report(file: BinaryIO, *, everything: bool) -> None:
    """Print the report in FILE, which `heliograph run --save FILE` has written; - is the standard input."""
    try:
        saved = loads(file.read(LARGEST + 1))  # however much there is: it may be endless
    except ReportError as error:
        raise click.ClickException(f"{plain(file.name)}: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{plain(file.name)}: {error.strerror}") from None
    print_report(saved, sys.stdout, everything=everything)
