"""PyDispatcher's own tests: all of them."""

from __future__ import annotations

from tests.peers.frame import Suite

SUITE = Suite(
    "PyDispatcher",
    observe=["pydispatcher"],
    arguments=["tests"],
    spans=["send this", "sendRobust this", "handle tests.test_dispatcher."],
)
