"""System checks of the ``HELIOGRAPH`` setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core import checks

from heliograph.config import Settings
from heliograph.errors import ConfigurationError
from heliograph.instrumentor import unmatched_patterns

__all__ = ["check_filters", "check_settings"]


_USELESS = "A filter that matches nothing does nothing."
_HINTS = {"included_signals": "Only signals that are included are observed: with no other name, none is."}


@checks.register("heliograph")
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Report each setting that is unknown or has a value that cannot be used, wherever it was found."""
    configured = getattr(settings, "HELIOGRAPH", {})
    if not isinstance(configured, Mapping):
        return _problems(configured)
    # One by one, so that all of them are reported, and those of the environment once.
    return [
        problem for part in ({}, *({key: value} for key, value in configured.items())) for problem in _problems(part)
    ]


@checks.register("heliograph")
def check_filters(**_: Any) -> list[checks.CheckMessage]:
    """Warn of filters that match no signal and no receiver: they do nothing."""
    return [
        checks.Warning(str(unmatched), hint=_HINTS.get(unmatched.setting, _USELESS), id="heliograph.W001")
        for unmatched in unmatched_patterns()
    ]


def _problems(part: Any) -> list[checks.CheckMessage]:
    try:
        Settings.load(part)
    except ConfigurationError as error:
        return [checks.Error(str(error), id="heliograph.E001")]
    return []
