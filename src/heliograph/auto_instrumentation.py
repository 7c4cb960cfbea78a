"""The entry point of ``opentelemetry-instrument``: no line of code in the program. Needs the extra ``otel``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from heliograph.instrumentor import Instrumentation, instrument

__all__ = ["HeliographInstrumentor"]


class HeliographInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Calls :func:`heliograph.instrument` in the way OpenTelemetry's tools expect.

    Keyword arguments of ``instrument()`` are those of :func:`heliograph.instrument`.
    """

    _instrumentation: Instrumentation | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: signals of heliograph's own dispatcher can be observed wherever it is installed."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._instrumentation = instrument(**kwargs)

    def _uninstrument(self, **kwargs: Any) -> None:
        if self._instrumentation is not None:
            self._instrumentation()
