"""The command line: ``heliograph run``, ``heliograph report`` and ``heliograph demo``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the command line names."""
    try:
        import click  # noqa: F401  # what the extra is for
        import rich  # noqa: F401
    except ImportError as error:
        print(
            f"heliograph: the command line needs {error.name}, which is not installed. "
            "Install it: pip install 'heliograph[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from heliograph.cli.commands import heliograph

    # The arguments belong to the program that is run: they are not expanded, on no platform.
    heliograph(prog_name="heliograph", windows_expand_args=False)
