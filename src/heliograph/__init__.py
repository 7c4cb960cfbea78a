"""heliograph: every send a span, every receiver call a span under it."""

from heliograph.dispatch import Signal, receiver

__all__ = ["Signal", "receiver"]
