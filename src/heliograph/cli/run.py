"""``heliograph run``: run a Python program with its signals observed and show the fan-out when it ends."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from heliograph.cli.options import Options, observing_options
from heliograph.cli.program import Program, ProgramNotFoundError
from heliograph.cli.reloading import follow_reloads
from heliograph.cli.session import Session

__all__ = ["run", "run_observed"]


@click.command(context_settings={"allow_interspersed_args": False})
@observing_options
@click.option("-m", "is_module", is_flag=True, help="PROGRAM is a module, as in `python -m`.")
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]...")
def run(
    program: str,
    arguments: tuple[str, ...],
    *,
    is_module: bool,
    **options: Any,
) -> None:
    """Run PROGRAM, a Python script, as `python` would, and report on its signals when it ends.

    The program's arguments, output and exit code are its own; the report goes to the standard error.

    \b
        heliograph run manage.py test
        heliograph run -m pytest -q
        heliograph run --save report.json script.py --its-own-option
    """  # noqa: D301  # click wants a real backspace here
    run_observed(Program(program, arguments, is_module), Options.of(**options))


def run_observed(program: Program, options: Options, *, title: str = "") -> NoReturn:
    """Run *program* and report on it. Ends with ``SystemExit``, as the program does.

    Args:
        program: What to run.
        options: How to observe it.
        title: What the report calls it; its command line unless given.
    """
    try:
        program.check()
    except ProgramNotFoundError as error:
        _end(error)
    session = Session(title or str(program), program.label, options)
    follow_reloads(options.arguments(), session.hand_over)
    session.begin()
    try:
        program.run()
    except ProgramNotFoundError as error:
        session.cancel()
        _end(error)


def _end(error: ProgramNotFoundError) -> NoReturn:
    print(f"heliograph: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
