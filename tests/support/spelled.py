"""Names of heliograph's telemetry as texts spell them, and those among them that do not exist."""

from __future__ import annotations

import functools
import importlib
import re
from html import unescape
from importlib.metadata import distribution
from urllib.parse import unquote

from heliograph.telemetry import semconv
from tests.support.conventions import metrics, series_labels

__all__ = ["NAMES", "unknown_names"]

NAMES = frozenset(
    value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str) and "." in value
)

# Not within a longer word or path, and not a name of a rule, which has colons.
_OURS = re.compile(r"(?<![\w./-])heliograph(?:\.[a-z][a-z0-9_]*)+(?:\.(?=[\"'*]))?")
_OTHERS = re.compile(r"(?<![\w./-])(?:code|error|exception)\.[a-z][a-z0-9_.]*[a-z0-9_]")
_IN_PROMETHEUS = re.compile(r"(?<![\w:./-])heliograph_[a-z0-9_]+(?![\w:])")
_KEY_OF_SAVED_REPORTS = "heliograph_report"
_FILES = (".yaml", ".yml", ".json", ".html")


def unknown_names(text: str, *, only_telemetry: bool) -> list[str]:
    """Return the names in *text* that look like names of ours and are not.

    Args:
        text: What was written. Names in links are found, too.
        only_telemetry: Whether it is a configuration: there, a dotted name is none of the package's modules.
    """
    text = unescape(unquote(text))
    dotted = [name for name in _OURS.findall(text) if not name.endswith(_FILES)]
    if only_telemetry:
        dotted += _OTHERS.findall(text)
    wrong = [name for name in dotted if not _exists(name) and (only_telemetry or not _is_python(name))]
    return sorted({*wrong, *(set(_IN_PROMETHEUS.findall(text)) - _prometheus_names())})


def _exists(name: str) -> bool:
    """Return whether it is a name, or with a dot at its end what several begin with."""
    return name in NAMES or (name.endswith(".") and any(one.startswith(name) for one in NAMES))


@functools.cache
def _prometheus_names() -> set[str]:
    """Return labels, series and what the three series of a histogram have in common, and names that mean something else."""
    histograms = {name.removesuffix("_bucket") for name in series_labels() if name.endswith("_bucket")}
    plugins = {one.name for one in distribution("heliograph").entry_points}
    labels = {name.replace(".", "_") for name in NAMES - set(metrics())}
    return {*labels, *series_labels(), *histograms, *plugins, _KEY_OF_SAVED_REPORTS}


def _is_python(name: str) -> bool:
    """Return whether *name* is a module of the package, or something in one."""
    package, *rest = name.split(".")
    found = importlib.import_module(package)
    for part in rest:
        package = f"{package}.{part}"
        if not hasattr(found, part):
            try:
                importlib.import_module(package)
            except ModuleNotFoundError:
                return False
        found = getattr(found, part)
    return True
