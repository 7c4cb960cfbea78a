"""``python -m dashboards.backends``: get what tests and pictures need, once."""

from __future__ import annotations

import argparse
import functools

from dashboards.backends.get import get
from dashboards.backends.store import BACKENDS


def main() -> None:
    """Get the programs that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.backends", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BACKENDS)} (default: all)")
    names = parser.parse_args().names or list(BACKENDS)
    if unknown := set(names) - set(BACKENDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BACKENDS)}")
    for name in names:
        get(name, functools.partial(print, flush=True))


main()
