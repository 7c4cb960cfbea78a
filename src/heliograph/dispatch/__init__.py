"""heliograph's own dispatcher, with the API of ``django.dispatch``. Knows of no telemetry."""

from heliograph.dispatch.signal import Signal, receiver, signal_names

__all__ = ["Signal", "receiver", "signal_names"]
