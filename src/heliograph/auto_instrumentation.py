"""The entry point of ``opentelemetry-instrument``: no line of code in the program. Needs the extra ``otel``."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from heliograph.errors import ConfigurationError
from heliograph.instrumentor import Instrumentation, instrument

__all__ = ["HeliographInstrumentor"]

logger = logging.getLogger("heliograph")


class HeliographInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Calls :func:`heliograph.instrument` in the way OpenTelemetry's tools expect.

    Keyword arguments of ``instrument()`` are those of :func:`heliograph.instrument`.
    """

    _instrumentation: Instrumentation | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: signals of heliograph's own dispatcher can be observed wherever it is installed."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        try:
            self._instrumentation = instrument(**kwargs)
        except ConfigurationError as error:
            if kwargs:
                raise
            # Called by the launcher, which would give up on all instrumentations that come after this one.
            logger.error("heliograph observes nothing: %s", error)  # noqa: TRY400  # a traceback adds nothing

    def _uninstrument(self, **kwargs: Any) -> None:
        if self._instrumentation is not None:
            self._instrumentation()
