"""Telemetry that fails in every way it can: not one send is lost or changed, none waits, nothing grows."""

from __future__ import annotations

import pytest

TIMES = 1200


@pytest.mark.parametrize(
    "fault",
    [
        "exporter raises",
        "exporter raises at once",
        "exporter hangs",
        "exporter is slow",
        "queue is full",
        "processor raises",
        "sampler raises",
        "log processor raises",
        "structlog raises",
        "nothing has a repr",
    ],
)
def test_no_send_is_lost_or_changed(compare, fault):
    """Results, errors and their order are those of the same sends unobserved, and memory does not grow with them."""
    observed = compare("telemetry", times=TIMES, fault=fault)

    assert observed["sends"] >= 2 * TIMES
    assert observed["grown"] < observed["sends"] // 4  # one block a send would be twice that
