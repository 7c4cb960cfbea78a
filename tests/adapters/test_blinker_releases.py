"""A blinker whose inside is not known, or not its own: what is seen of it, and what is left alone."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
from typing import Any
from unittest import mock

import blinker
import pytest

from heliograph.adapters.blinker import BlinkerAdapter
from tests.support.blinker_signals import METHODS, ORIGINALS, anonymous, async_receiver, receiver


@pytest.mark.parametrize("name", METHODS)
def test_who_wrapped_a_method_before_us_is_still_called(blinker_adapter, observer, name):
    """Their wrapper is called, not done again; the dispatch is observed, its receivers cannot be."""
    theirs = mock.create_autospec(ORIGINALS[name], side_effect=ORIGINALS[name])
    signal = blinker.Signal()
    signal.connect(async_receiver if name == "send_async" else receiver)
    with mock.patch.object(blinker.Signal, name, theirs):
        undo = blinker_adapter.install()
        result = getattr(signal, name)("by position", value=1)
        if name == "send_async":
            result = asyncio.run(result)
        undo()
        assert vars(blinker.Signal)[name] is theirs

    assert [response for _, response in result] == ["heard later" if name == "send_async" else "heard"]
    assert [(note.operation, note.outcome, note.calls) for note in observer.notes] == [(name, "returned", ())]


def test_an_unknown_release_is_observed_from_outside(monkeypatch, instrument, spans, caplog):
    """Its dispatches are, its receivers are not; it says so once, and the results are its own."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.1")
    signal: Any = blinker.Signal()
    signal.connect(receiver)
    with mock.patch.object(blinker.Signal, "send", lambda self, *sender, **named: ["the future", sender, named]):
        with caplog.at_level(logging.WARNING):
            undo = instrument("blinker")
            instrument("blinker")()
        assert signal.send("by position", value=1) == ["the future", ("by position",), {"value": 1}]
        assert signal.send() == ["the future", (), {}]
        undo()

    [record] = caplog.records
    assert record.getMessage() == (
        "heliograph does not know the signal dispatcher of blinker 99.1; dispatches are observed, their receivers are not. "
        "A newer heliograph may know it."
    )
    assert spans.counts() == {"send _OTHER": 2}
    assert "heliograph.dispatch.receiver.count" not in spans.finished[0].attributes


def test_nothing_is_looked_at_inside_an_unknown_release(monkeypatch):
    """Nor is a blinker without a release, copied into a program, one that is known."""

    def no_release(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", no_release)
    anonymous.connect(receiver)
    try:
        assert list(BlinkerAdapter().connected()) == []
    finally:
        anonymous.disconnect(receiver)


def test_a_blinker_without_a_default_namespace_is_no_error(monkeypatch):
    """Releases before 1.6 have none."""
    monkeypatch.delattr("blinker.base.default_namespace")
    monkeypatch.delattr("blinker.default_namespace")

    assert BlinkerAdapter()._names.name_of(blinker.NamedSignal("alone")) == "alone"


def test_the_library_need_not_be_installed(monkeypatch):
    """Its adapter says whether it is, and imports nothing to find out."""
    assert BlinkerAdapter().available() is True
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert BlinkerAdapter().available() is False
