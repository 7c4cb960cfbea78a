"""Names of spans, metrics, attributes and events: said once, well formed, and used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heliograph.config import EXTRA_ATTRIBUTES
from heliograph.telemetry import semconv

SOURCE = Path(semconv.__file__).parent.parent
NAMES_PAGE = Path(__file__).parents[1] / "docs" / "names.md"
NAMES = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
DOTTED = {name: value for name, value in NAMES.items() if "." in value}


def test_no_name_is_said_twice():
    """Two constants with one value would be two truths."""
    assert len(set(NAMES.values())) == len(NAMES)


@pytest.mark.parametrize("name", DOTTED)
def test_names_are_well_formed(name):
    """Lower case, dots between namespaces, underscores within: OpenTelemetry's rules for names."""
    assert re.fullmatch(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*(?:\.[a-z][a-z0-9]*(?:_[a-z0-9]+)*)+", DOTTED[name])


@pytest.mark.parametrize("name", DOTTED)
def test_names_are_ours_or_stable_ones_of_opentelemetry(name):
    """A namespace of our own, beside ``code``, ``error`` and ``exception``; never ``messaging``."""
    assert DOTTED[name].partition(".")[0] in {"heliograph", "code", "error", "exception"}


@pytest.mark.parametrize("name", DOTTED)
def test_a_name_is_spelled_in_one_place(name):
    """Code uses the constant. The settings have a list of their own, below telemetry, which is compared here."""
    spelled = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(rf'^[^#]*"{re.escape(DOTTED[name])}"', path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    allowed = {"telemetry/semconv.py", *(["config.py"] if DOTTED[name] in EXTRA_ATTRIBUTES else [])}

    assert set(spelled) <= allowed
    assert "telemetry/semconv.py" in spelled


def test_every_name_is_in_the_docs():
    """Attributes, metrics, events and the reasons for leaving out: a reader of docs/names.md finds each."""
    shown = set(re.findall(r"`([^`\n]+)`", NAMES_PAGE.read_text(encoding="utf-8")))

    assert set(NAMES.values()) <= shown


def test_the_docs_say_where_buckets_end():
    """In milliseconds below a second, in seconds from there on."""
    page = NAMES_PAGE.read_text(encoding="utf-8").replace("\n", " ")
    [milliseconds, seconds] = re.findall(r"end at ([\d., and]+) milliseconds and at ([\d., and]+) seconds", page)[0]
    ends = [float(end) / 1000 for end in re.findall(r"[\d.]+", milliseconds)]

    assert (*ends, *(float(end) for end in re.findall(r"[\d.]+", seconds))) == semconv.DURATION_BUCKETS


def test_extra_attributes_are_known_names():
    """What the settings offer exists."""
    assert set(EXTRA_ATTRIBUTES) <= set(DOTTED.values())


def test_units_are_ucum():
    """Seconds, or an annotation in braces."""
    assert semconv.SECONDS == "s"
    assert all(re.fullmatch(r"\{[a-z]+\}", unit) for unit in (semconv.RECEIVERS, semconv.DISPATCHES))


def test_no_unit_is_in_the_name_of_a_metric():
    """It is an attribute of the metric."""
    metrics = (semconv.DISPATCH_DURATION, semconv.RECEIVER_DURATION, semconv.DISPATCH_RECEIVERS)
    assert not [name for name in metrics if re.search(r"(seconds|_s|_ms|milliseconds)$", name)]


def test_buckets_ascend():
    """As the SDK wants them."""
    for buckets in (semconv.DURATION_BUCKETS, semconv.RECEIVER_BUCKETS):
        assert list(buckets) == sorted(set(buckets))


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        ("django.db.models.signals.post_save", "send post_save"),
        ("post_save", "send post_save"),
        ("_OTHER", "send _OTHER"),
    ],
)
def test_a_dispatch_is_named_for_the_last_segment(signal, name):
    """Few names, so that a backend can group by them; the whole one is an attribute."""
    assert semconv.dispatch_span_name("send", signal) == name


def test_a_receiver_is_named_for_its_function():
    """With its module."""
    assert semconv.receiver_span_name("shop.receivers.reindex") == "handle shop.receivers.reindex"
