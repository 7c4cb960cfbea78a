"""Flask's own tests: all of them. Its signals are blinker's."""

from __future__ import annotations

from tests.peers.frame import Suite

SUITE = Suite(
    "Flask",
    observe=["blinker"],
    arguments=["tests"],
    needs=["pytest==9.0.2", "python-dotenv==1.2.1"],  # as in its own lock
    spans=["send request-started", "send template-rendered", "send got-request-exception"],
)
