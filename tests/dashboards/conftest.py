"""Dashboards and configurations are made and read with tools that only the main environment has."""

from __future__ import annotations

from importlib.util import find_spec

_TOOLS = ("grafana_foundation_sdk", "promql_parser", "yaml")

collect_ignore_glob = [] if all(map(find_spec, _TOOLS)) else ["test_*.py"]
