"""Signals that exist already: one module per library makes its dispatcher report what it does."""

from __future__ import annotations

import importlib
import pkgutil

from heliograph.adapters.adapter import Adapter

__all__ = ["all_adapters"]


def all_adapters() -> list[Adapter]:
    """Return the adapters in this package: the ``adapter`` of each module that has one."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}."))
    modules = [importlib.import_module(name) for name in names]
    return [module.adapter for module in modules if hasattr(module, "adapter")]
