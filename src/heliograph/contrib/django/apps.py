"""The application: instruments at start, and again when its settings change in a test."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import setting_changed

from heliograph.contrib.django import checks  # noqa: F401  # registers the system checks
from heliograph.errors import ConfigurationError
from heliograph.instrumentor import Instrumentation, instrument

__all__ = ["HeliographConfig"]

logger = logging.getLogger("heliograph")


class HeliographConfig(AppConfig):
    """Observes all signals of the project while it runs."""

    name = "heliograph.contrib.django"
    label = "heliograph"
    verbose_name = "heliograph"

    _instrumentation: Instrumentation | None = None

    def ready(self) -> None:
        """Instrument Django and heliograph's own dispatcher, with the settings in ``HELIOGRAPH``."""
        setting_changed.connect(self._reload, dispatch_uid="heliograph")
        self._start()

    def _start(self) -> None:
        configured: Mapping[str, Any] = getattr(settings, "HELIOGRAPH", {})
        try:
            self._instrumentation = instrument(framework_settings=configured)
        except ConfigurationError as error:
            # The system check refuses it where checks run. A server that runs none goes on unobserved.
            logger.error("heliograph observes nothing: %s", error)  # noqa: TRY400  # a traceback adds nothing

    def _reload(self, *, setting: str, **_: Any) -> None:
        if setting == "HELIOGRAPH":
            if self._instrumentation is not None:
                self._instrumentation()
                self._instrumentation = None
            self._start()
