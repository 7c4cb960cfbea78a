"""Programs that run on their own, and the spans they leave behind, as trees."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

Tree = dict[str, Any]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts programs that find this directory's folders, and stops those that still run at the end.

    Keyword arguments are environment variables; None takes one away.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, **variables: str | Path | None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            env=_environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def grow() -> Callable[[Iterable[Mapping[str, Any]]], list[Tree]]:
    """Turns spans, as the SDK writes them in JSON, into trees."""
    return _grow


def _environment(variables: Mapping[str, str | Path | None]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DJANGO_"))}
    path = os.pathsep.join(filter(None, [str(HERE), inherited.get("PYTHONPATH")]))
    wanted = {**inherited, "PYTHONPATH": path, **variables}
    return {name: str(value) for name, value in wanted.items() if value is not None}


def _grow(spans: Iterable[Mapping[str, Any]]) -> list[Tree]:
    """Return trees of *spans*; those of one parent are in the order in which they ended.

    The root of a tree is a span whose parent is not among them. A span of another trace is nobody's child.
    """
    found = [(span, _tree(span)) for span in spans]
    trees = {(span["context"]["trace_id"], span["context"]["span_id"]): tree for span, tree in found}
    assert len(trees) == len(found)
    roots: list[Tree] = []
    for span, tree in found:
        parent = trees.get((span["context"]["trace_id"], span["parent_id"]))
        (roots if parent is None else parent["children"]).append(tree)
    return roots


def _tree(span: Mapping[str, Any]) -> Tree:
    assert span["start_time"] <= span["end_time"]
    return {
        "name": span["name"],
        "kind": span["kind"],
        "status": span["status"]["status_code"],
        "attributes": dict(span["attributes"]),
        "events": [event["name"] for event in span["events"]],
        "children": [],
    }
