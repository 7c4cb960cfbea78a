"""blinker's own tests: all of them."""

from __future__ import annotations

from tests.peers.frame import Suite

SUITE = Suite(
    "blinker",
    observe=["blinker"],
    # Unset, pytest-asyncio's option is a warning, and warnings are errors in these tests.
    arguments=["tests", "-o", "asyncio_default_fixture_loop_scope=function"],
    needs=["pytest-asyncio==1.5.0"],
    spans=["send _OTHER", "send_async _OTHER", "handle test_signals."],
)
