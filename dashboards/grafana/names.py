"""What Prometheus calls heliograph's metrics and attributes.

The rule is that of the OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility": dots become underscores, a
unit is spelled out at the end unless it is an annotation in braces, and a counter ends in ``_total``.
"""

from __future__ import annotations

from typing import Final

from heliograph.telemetry import semconv

__all__ = ["label", "metric"]

_UNITS = {"s": "seconds"}


def label(attribute: str) -> str:
    """Return the label for an attribute."""
    return attribute.replace(".", "_")


def metric(name: str, unit: str, *, counter: bool = False) -> str:
    """Return the metric's name.

    Args:
        name: Its name in OpenTelemetry.
        unit: Its unit, in UCUM.
        counter: Whether it only ever grows.

    Raises:
        ValueError: If the unit's name in full is not known here.
    """
    words = [label(name)]
    if not (unit.startswith("{") and unit.endswith("}")):
        if unit not in _UNITS:
            raise ValueError(f"unit cannot be {unit!r}. Known: {', '.join(_UNITS)}, and annotations in braces.")
        words.append(_UNITS[unit])
    return "_".join([*words, *(["total"] if counter else [])])


DISPATCHES: Final = metric(semconv.DISPATCH_DURATION, semconv.SECONDS)
CALLS: Final = metric(semconv.RECEIVER_DURATION, semconv.SECONDS)
FAN_OUT: Final = metric(semconv.DISPATCH_RECEIVERS, semconv.RECEIVERS)
UNTRACED: Final = metric(semconv.DISPATCH_UNTRACED, semconv.DISPATCHES, counter=True)
# Made from spans by the Collector's span metrics connector, under its own name: metrics of ours do not know the depth.
SPANS: Final = "traces_span_metrics_calls_total"

SERVICE: Final = "job"  # the rule for the resource's service.name
SYSTEM: Final = label(semconv.SYSTEM_NAME)
SIGNAL: Final = label(semconv.SIGNAL_NAME)
RECEIVER: Final = label(semconv.FUNCTION_NAME)
ERROR: Final = label(semconv.ERROR_TYPE)
MODE: Final = label(semconv.RECEIVER_MODE)
REASON: Final = label(semconv.UNTRACED_REASON)
DEPTH: Final = label(semconv.DEPTH)
