"""Processes that fork, that serve with workers forked beforehand, that run greenlets, and that end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.faults.conftest import note, start

gevent_is_here = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("gevent") is None,
    reason="capability gevent: only the main environment has it",
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="capability fork: POSIX has it")
def test_a_receiver_that_forks(compare):
    """The child sends within the send it was forked in; both export their own spans, each once."""
    times = 50
    observed = compare("forks", times=times)

    sends = 2 * times
    assert observed["spans"] == 3 * sends
    assert observed["spans of children"] == [6] * (sends // 10)  # two sends, with two receivers each


@gevent_is_here
def test_greenlets_that_wait_within_receivers(compare):
    """Each has its own context: what a receiver does is below the request of its own greenlet."""
    times = 500
    observed = compare("greenlets", times=times)

    sends = 2 * times
    assert observed["misplaced"] == 0
    assert observed["spans"] == 50 + sends * 4  # a request each; and a dispatch, two receivers and the work of one


ENDINGS = {
    "returns": 0,
    "sys.exit": 0,
    "an exit handler sends": 2,
    "a thread sends after the main one": 2,
    "an object sends when it dies": 0,
    "daemon threads send to the end": 0,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_while_spans_wait(tmp_path: Path, ending: str):
    """It ends, with 0, and what was sent before the exit handlers had run is exported: nothing had been flushed before."""
    times = 100
    path = tmp_path / "spans"
    found = []
    for observed in (False, True):
        start("endings", f"{ending} -> {path}", "", times, observed=observed, prints=ending != "sys.exit")
        found.append(json.loads(path.with_suffix(f".{observed}").read_text()))
    unobserved, seen = found
    note(f"the interpreter ends: {ending}", seen["sends"], unobserved["sends"] - seen["sends"])

    assert seen == unobserved
    assert seen["sends"] >= times
    spans = path.read_text().splitlines()
    if ending == "daemon threads send to the end":
        assert spans.count("send _OTHER") >= times
    else:
        assert len(spans) == 2 * (times + ENDINGS[ending])
