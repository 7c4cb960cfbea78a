"""What is worth saying: levels by signal and receiver, defaults, what is slow."""

from __future__ import annotations

import asyncio

import pytest

import heliograph
from heliograph.config import Level, Settings
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Dispatch, Policy, Site
from heliograph.telemetry.policy import Patterns, Unmatched, Worth


class Library:
    """Names a signal."""

    system = "shop"

    def __init__(self, name):
        self.name_of = lambda _: name
        self.uid_of = lambda *_: None


def site(name: str) -> Site:
    return Site(Library(name), lambda: None)


def receiver_named(name: str):
    def receiver(**_):
        return None

    receiver.__module__, _, receiver.__qualname__ = name.rpartition(".")
    return receiver


def dispatch_of(signal: str, *receivers: str, policy: Policy = PROPAGATE) -> Dispatch:
    functions = [receiver_named(name) for name in receivers]
    dispatch = Dispatch(site(signal), None, "send", policy, functions, len(functions), (), None)
    dispatch.begans[:] = [0] * len(functions)
    return dispatch


def worth(**settings) -> Worth:
    return Worth(Settings.load(**settings))


def test_the_longest_pattern_decides():
    """A name spelled out beats any pattern, and a longer pattern a shorter one."""
    patterns = Patterns(
        {"*": Level.ALL, "shop.*": Level.SLOW, "shop.receivers.*": Level.ERRORS, "shop.receivers.reindex": Level.OFF}
    )

    assert patterns.find("blog.published") == ("*", Level.ALL)
    assert patterns.find("shop.order_paid") == ("shop.*", Level.SLOW)
    assert patterns.find("shop.receivers.notify") == ("shop.receivers.*", Level.ERRORS)
    assert patterns.find("shop.receivers.reindex") == ("shop.receivers.reindex", Level.OFF)
    assert Patterns({}).find("shop.order_paid") is None


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("post_save", "django.db.models.signals.post_save", True),
        ("post_save", "post_save", True),
        ("post_save", "shop.my_post_save", False),
        ("django.*", "django.db.models.signals.post_save", True),
        ("*.post_save", "django.db.models.signals.post_save", True),
        ("*save", "django.db.models.signals.post_save", True),
        ("signals.post_save", "django.db.models.signals.post_save", False),
        ("shop.receivers", "shop_receivers", False),
        ("shop.(x)", "shop.x", False),
    ],
)
def test_patterns_match_dotted_names(pattern, name, matches):
    """``*`` stands for anything; a name without a dot for the last segment; nothing else is special."""
    assert (Patterns({pattern: Level.ALL}).find(name) is not None) is matches


def test_an_excluded_signal_is_off_whatever_else_is_said():
    """Exclusion beats a level by name."""
    decided = worth(excluded_signals="shop.*", levels={"shop.order_paid": "all"})

    assert decided.signal_level(site("shop.order_paid")) is Level.OFF
    assert decided.signal_level(site("blog.published")) is Level.ALL


def test_included_signals_are_the_only_ones():
    """If any is included, the others are off, but for those with a level of their own."""
    decided = worth(included_signals="shop.*", levels={"blog.published": "slow"}, level="errors")

    assert decided.signal_level(site("shop.order_paid")) is Level.ERRORS
    assert decided.signal_level(site("blog.published")) is Level.SLOW
    assert decided.signal_level(site("blog.deleted")) is Level.OFF


@pytest.mark.parametrize("name", ["pre_init", "post_init", "class_prepared"])
def test_signals_sent_for_each_instance_are_off_by_default(name):
    """They are said something about when they are asked for by name, and not by a pattern."""
    signal = site(f"django.db.models.signals.{name}")

    assert worth().signal_level(signal) is Level.OFF
    assert worth(included_signals="django.*").signal_level(signal) is Level.OFF
    assert worth(included_signals=name).signal_level(signal) is Level.ALL
    assert worth(levels={f"django.db.models.signals.{name}": "slow"}).signal_level(signal) is Level.SLOW


@pytest.mark.parametrize(
    ("receiver", "level"),
    [
        ("django.db.reset_queries", Level.SLOW),
        ("django.db.close_old_connections", Level.SLOW),
        ("django.core.cache.close_caches", Level.SLOW),
        ("django.core.handlers.base.reset_urlconf", Level.SLOW),
        ("opentelemetry.instrumentation.celery.CeleryInstrumentor._trace_prerun", Level.OFF),
        ("shop.receivers.reindex", Level.ALL),
    ],
)
def test_house_keeping_is_seen_when_it_hurts(receiver, level):
    """Django's own receivers are slow, OpenTelemetry's off, the application's all; unless told otherwise."""
    dispatch = dispatch_of("django.core.signals.request_finished", receiver)

    assert worth().call_level(dispatch.calls[0]) is level
    assert worth().dispatch_level(dispatch) is level
    assert worth(levels={receiver: "all"}).call_level(dispatch.calls[0]) is Level.ALL
    assert worth(excluded_receivers=receiver).call_level(dispatch.calls[0]) is Level.OFF


def test_a_quiet_receiver_is_no_louder_than_its_signal():
    """At level errors, house-keeping is not reported for being slow."""
    dispatch = dispatch_of("django.core.signals.request_finished", "django.db.reset_queries")

    assert worth(level="errors").call_level(dispatch.calls[0]) is Level.ERRORS
    assert worth(level="off").call_level(dispatch.calls[0]) is Level.OFF


def test_a_level_for_a_receiver_beats_that_of_its_signal():
    """Louder or quieter; but nothing is said of a signal that is off."""
    dispatch = dispatch_of("shop.order_paid", "shop.receivers.reindex", "shop.receivers.notify")

    louder = worth(level="errors", levels={"shop.receivers.reindex": "all"})
    assert [louder.call_level(call) for call in dispatch.calls] == [Level.ALL, Level.ERRORS]
    quieter = worth(levels={"shop.receivers.reindex": "off"})
    assert [quieter.call_level(call) for call in dispatch.calls] == [Level.OFF, Level.ALL]
    off = worth(level="off", levels={"shop.receivers.reindex": "all"})
    assert [off.call_level(call) for call in dispatch.calls] == [Level.OFF, Level.OFF]


def test_a_dispatch_is_as_loud_as_its_loudest_receiver():
    """And never louder than its signal; one that nobody hears is as loud as its signal."""
    assert worth().dispatch_level(dispatch_of("shop.order_paid")) is Level.ALL
    assert worth(level="slow").dispatch_level(dispatch_of("shop.order_paid")) is Level.SLOW
    house_keeping = dispatch_of("shop.order_paid", "django.db.reset_queries", "opentelemetry.sdk.receiver")
    assert worth().dispatch_level(house_keeping) is Level.SLOW
    mixed = dispatch_of("shop.order_paid", "django.db.reset_queries", "shop.receivers.reindex")
    assert worth().dispatch_level(mixed) is Level.ALL


@pytest.mark.parametrize(
    ("level", "quick", "slow", "failed"),
    [
        (Level.OFF, False, False, False),
        (Level.ERRORS, False, False, True),
        (Level.SLOW, False, True, True),
        (Level.ALL, True, True, True),
    ],
)
def test_levels_say_what_deserves_a_span(level, quick, slow, failed):
    """Nothing, failed ones, slow ones too, everything."""
    decided = worth(slow=0.1)
    call = dispatch_of("shop.order_paid", "shop.receivers.reindex", policy=CAPTURE).calls[0]

    call.dispatch.endeds[0] = 99_999_999
    assert decided.deserves_span(call, level) is quick
    call.dispatch.endeds[0] = 100_000_000  # as long as what counts as slow is slow
    assert decided.deserves_span(call, level) is slow
    call.dispatch.endeds[0] = 1
    call.dispatch.fault(0, ValueError())
    assert decided.deserves_span(call, level) is failed
    call.dispatch.fault(0, asyncio.CancelledError())
    assert decided.deserves_span(call, level) is quick


def test_a_call_that_runs_is_not_slow_yet():
    """Slowness is known at the end."""
    call = dispatch_of("shop.order_paid", "shop.receivers.reindex").calls[0]

    assert worth(slow=0).is_slow(call) is False


def test_patterns_that_match_nothing_are_reported_with_what_looks_like_them():
    """A slip of the pen is never silent."""
    decided = worth(
        included_signals="post_sve, django.*",
        excluded_receivers=["shop.recievers.reindex", "*"],
        levels={"shop.receivers.*": "slow", "shop.signals.order_payed": "off"},
    )
    found = decided.unmatched(
        ["django.db.models.signals.post_save", "shop.signals.order_paid"], ["shop.receivers.reindex"]
    )

    assert found == [
        Unmatched("included_signals", "post_sve", ("django.db.models.signals.post_save",)),
        Unmatched("excluded_receivers", "shop.recievers.reindex", ("shop.receivers.reindex",)),
        Unmatched("levels", "shop.signals.order_payed", ("shop.signals.order_paid",)),
    ]
    assert str(found[0]) == (
        "included_signals: 'post_sve' matches nothing that is known here. "
        "Did you mean django.db.models.signals.post_save?"
    )
    assert str(Unmatched("levels", "zzz", ())) == "levels: 'zzz' matches nothing that is known here."


SAID = {
    # level: spans after one quick, one slow and one failing receiver each in a dispatch of its own
    "off": [],
    "errors": ["handle failing", "send_robust signal"],
    "all": ["handle failing", "handle quick", *["send_robust signal"] * 2],
}


@pytest.mark.parametrize("level", SAID)
def test_levels_decide_about_spans(instrument, spans, level):
    """What a level leaves out is not exported; what it keeps is whole."""
    instrument("heliograph", level=level, slow=1000)
    signal = heliograph.Signal(name="shop.signal")

    def quick(**_):
        return None

    def failing(**_):
        raise ValueError

    for receiver in (quick, failing):
        signal.connect(receiver)
        signal.send_robust(sender=None)
        signal.disconnect(receiver)

    assert sorted(spans.counts().elements()) == SAID[level]


def test_slow_receivers_have_spans_at_level_slow(instrument, spans, order_paid):
    """With a threshold of nothing each receiver is slow, with an hour none is."""
    order_paid.connect(lambda **_: None, weak=False)
    with instrument("heliograph", level="slow", slow=3600):
        order_paid.send(sender=None)
    assert spans.names == []
    with instrument("heliograph", level="slow", slow=0):
        order_paid.send(sender=None)
    assert spans.counts() == {"send order_paid": 1, "handle <lambda>": 1}
