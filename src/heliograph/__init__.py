"""heliograph: every send a span, every receiver call a span under it."""

from heliograph.dispatch import Signal, receiver
from heliograph.instrumentor import instrument

__all__ = ["Signal", "instrument", "receiver"]
