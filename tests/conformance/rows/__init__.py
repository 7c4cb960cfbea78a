"""The dispatchers under test: one module a library, whose ``ROWS`` are found by being there."""

from __future__ import annotations

import importlib
import pkgutil

from tests.conformance.rows.row import CAPABILITIES, Dispatcher, Verb

__all__ = ["CAPABILITIES", "Dispatcher", "Verb", "all_rows"]


def all_rows() -> list[Dispatcher]:
    """Return the rows of all modules in this package."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "row")
    return [row for name in names for row in importlib.import_module(f"{__name__}.{name}").ROWS]
