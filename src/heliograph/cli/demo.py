"""``heliograph demo``: a day at the pizza shop, and its signals."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click

from heliograph.cli.options import Options, observing_options
from heliograph.cli.program import Program
from heliograph.cli.run import run_observed

__all__ = ["demo"]

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "_examples" / "pizza_shop", _PACKAGE.parents[1] / "examples" / "pizza_shop")
_SCRIPT = "shop_day.py"


@click.command()
@observing_options
def demo(**options: Any) -> None:
    """Run a small Django shop for a day, with real requests, and report on its signals.

    It needs Django, opens one port on this machine for itself, and leaves nothing behind.
    """
    if importlib.util.find_spec("django") is None:
        raise click.UsageError(
            "The demo is a Django project, and Django is not installed: pip install 'heliograph[django]'"
        )
    folder = next((one for one in _FOLDERS if (one / _SCRIPT).is_file()), None)
    if folder is None:
        raise click.ClickException("The demo's pizza shop is missing from this installation. Install heliograph again.")
    program = Program(str(folder / _SCRIPT), ())
    run_observed(program, Options.of(**options), title="a day at the pizza shop")
