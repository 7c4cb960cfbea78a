"""The ladder, from the cheapest to the dearest. A new rung is an entry in one of the tables here."""

from __future__ import annotations

from benchmarks.rung import Rung
from benchmarks.rungs.dispatchers import DISPATCHERS
from benchmarks.rungs.observed import OBSERVED
from benchmarks.rungs.opentelemetry import OPENTELEMETRY
from benchmarks.rungs.sentry import SENTRY

__all__ = ["RUNGS"]

RUNGS: dict[str, Rung] = {rung.name: rung for rung in (*DISPATCHERS, *OBSERVED, *OPENTELEMETRY, *SENTRY)}
