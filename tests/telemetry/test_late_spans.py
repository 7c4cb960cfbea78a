"""What only spans made late have: contexts used again, ids given when asked for, and nothing made that nobody asks for."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan

from heliograph import instrumentor
from heliograph.telemetry.dispatch_trace import PendingSpan
from heliograph.telemetry.late_spans import FactSpan, LateSpans
from tests.support.telemetry import Spans, short


@pytest.fixture
def spans() -> Spans:
    """Spans that wait for their export, as in production: nothing is said before it is asked for."""
    return Spans.batched()


@pytest.fixture(autouse=True)
def late(instrument, spans):
    """The path under test is the one that runs; what waits is exported at the end at the latest."""
    yield
    spans.provider.shutdown()


def on_late_path():
    return type(instrumentor._installed["heliograph"].telemetry._spans) is LateSpans


def named(name, **body):
    """Return a receiver of that name."""

    def receiver(**_):
        return body["does"]()

    receiver.__qualname__ = name
    return receiver


def exported(spans):
    """Flush, and return the ids of each span by its short name."""
    spans.provider.force_flush()
    return {short(span.name): span.get_span_context() for span in spans.finished}


def ids(context):
    return context.trace_id, context.span_id


def current_context():
    return trace.get_current_span().get_span_context()


def test_healthy_receivers_share_a_context_and_have_spans_of_their_own(instrument, spans, order_paid):
    """Nobody kept it, so it is used again; each receiver is exported once, as a span made from facts."""
    instrument("heliograph", slow=1000)
    seen: list[int] = []
    for name in ("first", "second", "third"):
        order_paid.connect(named(name, does=lambda: seen.append(id(otel_context.get_current()))), weak=False)
    order_paid.send(sender=None)

    assert on_late_path()
    assert len(set(seen)) == 1
    assert list(exported(spans)) == ["handle first", "handle second", "handle third", "send order_paid"]
    assert {type(span) for span in spans.finished} == {FactSpan}


@pytest.mark.parametrize("how", ["span", "context", "copied context"])
def test_whoever_keeps_what_was_current_in_a_receiver_keeps_that_receiver(instrument, spans, order_paid, how):
    """A span, a context of OpenTelemetry's or one of Python's, kept beyond the receiver, is never another's."""
    instrument("heliograph", slow=1000)
    ways: dict[str, Callable[[], Any]] = {
        "span": trace.get_current_span,
        "context": otel_context.get_current,
        "copied context": contextvars.copy_context,
    }
    keep = ways[how]
    kept: dict[str, Any] = {}

    def keeping(name):
        return named(name, does=lambda: kept.update({name: keep()}))

    for name in ("first", "second", "third"):
        order_paid.connect(keeping(name), weak=False)
    order_paid.send(sender=None)
    asked = {
        f"handle {name}": one.run(current_context)
        if isinstance(one, contextvars.Context)
        else (trace.get_current_span(one) if how == "context" else one).get_span_context()
        for name, one in kept.items()
    }

    assert len({id(one) for one in kept.values()}) == 3
    found = exported(spans)
    assert asked == {name: found[name] for name in asked}


def test_of_receivers_one_of_which_was_kept_only_that_one_is_asked(instrument, spans, order_paid):
    """The receivers before and after it go on to share a context that nobody keeps."""
    instrument("heliograph", slow=1000)
    kept: list[trace.Span] = []
    contexts: list[int] = []

    def note():
        contexts.append(id(otel_context.get_current()))

    for name in ("first", "second"):
        order_paid.connect(named(name, does=note), weak=False)
    order_paid.connect(named("keeping", does=lambda: kept.append(trace.get_current_span())), weak=False)
    for name in ("third", "fourth"):
        order_paid.connect(named(name, does=note), weak=False)
    order_paid.send(sender=None)

    assert contexts[0] == contexts[1]
    assert contexts[2] == contexts[3]
    assert kept[0].get_span_context() == exported(spans)["handle keeping"]


def test_a_span_kept_by_a_healthy_receiver_that_has_none_becomes_the_outer_one(instrument, spans, order_paid):
    """At level slow nothing is exported: who asks afterwards gets the span that the signal was sent under."""
    instrument("heliograph", level="slow", slow=1000, meter_provider=NoOpMeterProvider())
    kept: list[trace.Span] = []
    order_paid.connect(named("keeping", does=lambda: kept.append(trace.get_current_span())), weak=False)
    with spans.tracer.start_as_current_span("request") as request:
        order_paid.send(sender=None)
        asked, recording = kept[0].get_span_context(), kept[0].is_recording()
        kept[0].set_attribute("shop.order", 1)

    assert isinstance(kept[0], PendingSpan)
    assert (asked, recording) == (request.get_span_context(), True)
    assert list(exported(spans)) == ["request"]
    assert dict(spans.named("request").attributes or {}) == {"shop.order": 1}


def test_a_span_that_is_asked_for_while_its_dispatch_waits_is_exported(instrument, spans, order_paid):
    """Whoever has been told ids finds them: it is only decided when it is said."""
    instrument("heliograph", level="slow", slow=1000)
    kept: list[trace.Span] = []
    order_paid.connect(named("keeping", does=lambda: kept.append(trace.get_current_span())), weak=False)
    order_paid.send(sender=None)
    asked = kept[0].get_span_context()

    assert exported(spans)["handle keeping"] == asked


def test_a_task_that_outlives_its_receiver_finds_that_receiver(instrument, spans, order_paid):
    """Though it asks for its parent only when all receivers have ended, and others have run in between."""
    instrument("heliograph", slow=1000)
    asked = {}

    async def main():
        carry_on = asyncio.Event()
        tasks = []

        async def background(name):
            await carry_on.wait()
            asked[f"handle {name}"] = current_context()

        def starting(name):
            async def receiver(**_):
                tasks.append(asyncio.create_task(background(name)))

            receiver.__qualname__ = name
            return receiver

        for name in ("first", "second"):
            order_paid.connect(starting(name), weak=False)
        await order_paid.asend(sender=None)
        carry_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())

    found = exported(spans)
    assert asked == {name: found[name] for name in ("handle first", "handle second")}


def test_a_thread_that_outlives_its_receiver_finds_that_receiver(instrument, spans, order_paid):
    """Given a copy of the context, as executors that carry it do."""
    instrument("heliograph", slow=1000)
    asked = {}
    carry_on = threading.Event()

    def background(name):
        assert carry_on.wait(10)
        asked[f"handle {name}"] = current_context()

    with ThreadPoolExecutor(2) as pool:
        for name in ("first", "second"):
            order_paid.connect(
                named(name, does=lambda name=name: pool.submit(contextvars.copy_context().run, background, name)),
                weak=False,
            )
        order_paid.send(sender=None)
        carry_on.set()

    found = exported(spans)
    assert asked == {name: found[name] for name in ("handle first", "handle second")}


def test_threads_that_send_at_once_are_told_ids_that_are_exported(instrument, spans, order_paid):
    """As a log line in each receiver would be: each has its own, and all are there."""
    instrument("heliograph", level="errors")
    asked: list[trace.SpanContext] = []
    together = threading.Barrier(4)
    for name in ("first", "second"):
        order_paid.connect(named(name, does=lambda: asked.append(current_context())), weak=False)

    def sending():
        together.wait(10)
        for _ in range(25):
            order_paid.send(sender=None)

    threads = [threading.Thread(target=sending) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans.provider.force_flush()

    handled = [span for span in spans.finished if span.name.startswith("handle ")]
    assert len({one.span_id for one in asked}) == 200
    assert sorted(ids(one) for one in asked) == sorted(ids(span.get_span_context()) for span in handled)


def test_threads_of_one_receiver_that_write_at_once_write_to_one_span(instrument, spans, order_paid):
    """It is made once."""
    instrument("heliograph")
    together = threading.Barrier(4)

    def receiver(**_):
        span = trace.get_current_span()

        def write(number):
            together.wait(10)
            span.set_attribute(f"shop.{number}", number)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))

    order_paid.connect(receiver)
    order_paid.send(sender=None)
    spans.provider.force_flush()

    [span] = spans.all_named("handle receiver")
    attributes = span.attributes or {}
    assert {key: value for key, value in attributes.items() if key.startswith("shop.")} == {
        f"shop.{number}": number for number in range(4)
    }


def test_a_receiver_is_recording_until_it_has_ended(instrument, spans, order_paid):
    """As the SDK's spans are; and one that ends itself has ended."""
    instrument("heliograph")
    kept: list[trace.Span] = []
    recording: list[bool] = []

    def receiver(**_):
        span = trace.get_current_span()
        recording.append(span.is_recording())
        kept.append(span)

    def ending(**_):
        trace.get_current_span().end()
        recording.append(trace.get_current_span().is_recording())

    order_paid.connect(receiver)
    order_paid.connect(ending)
    order_paid.send(sender=None)
    recording.append(kept[0].is_recording())

    assert recording == [True, False, False]
    assert sorted(exported(spans)) == ["handle ending", "handle receiver", "send order_paid"]


def test_what_is_written_to_a_span_after_its_receiver_is_lost(instrument, spans, order_paid):
    """As it is with the SDK's own, ended spans; nothing fails."""
    instrument("heliograph")
    kept: list[trace.Span] = []
    order_paid.connect(named("keeping", does=lambda: kept.append(trace.get_current_span())), weak=False)
    order_paid.send(sender=None)
    kept[0].set_attribute("shop.order", 1)
    kept[0].end()

    spans.provider.force_flush()
    assert "shop.order" not in (spans.named("handle keeping").attributes or {})


def test_only_what_was_written_to_is_a_span_of_the_sdks_own(instrument, spans, order_paid):
    """And whatever failed; asking for ids does not make one."""
    instrument("heliograph", slow=1000)

    def failing(**_):
        raise ValueError

    order_paid.connect(failing)
    order_paid.connect(named("asking", does=current_context), weak=False)
    order_paid.connect(named("writing", does=lambda: trace.get_current_span().add_event("baked")), weak=False)
    order_paid.send_robust(sender=None)
    spans.provider.force_flush()

    assert {short(span.name): type(span) for span in spans.finished} == {
        "handle failing": ReadableSpan,
        "handle asking": FactSpan,
        "handle writing": ReadableSpan,
        "send_robust order_paid": FactSpan,
    }


def test_a_backlog_keeps_nothing_of_the_program(instrument, spans, order_paid):
    """No receiver, no sender, no payload: they die as early as they would without us."""

    class Thing:
        def __call__(self, **_):
            return current_context()

    instrument("heliograph", slow=1000)
    receiver, sender, payload = Thing(), Thing(), Thing()
    alive = [weakref.ref(one) for one in (receiver, sender, payload)]
    order_paid.connect(receiver)
    order_paid.send(sender=sender, value=payload)
    order_paid.disconnect(receiver)
    del receiver, sender, payload
    gc.collect()

    assert [reference() for reference in alive] == [None, None, None]
    assert len(exported(spans)) == 2


def test_a_provider_that_is_shut_down_breaks_no_send(instrument, spans, order_paid):
    """What was sent before is exported, what is sent afterwards is not, and nobody is told."""
    instrument("heliograph", slow=1000)
    order_paid.connect(named("first", does=current_context), weak=False)
    order_paid.send(sender=None)
    spans.provider.shutdown()
    responses = order_paid.send(sender=None)

    assert len(responses) == 1
    assert [short(span.name) for span in spans.finished] == ["handle first", "send order_paid"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_a_receiver_exports_each_span_once(instrument, spans, order_paid):
    """The parent exports what waited and the receiver that forked; the child only what it sends itself."""
    instrument("heliograph", slow=1000)
    reading, writing = os.pipe()

    def forking(**_):
        if os.fork() == 0:
            order_paid.disconnect(forking)
            order_paid.connect(named("of_the_child", does=lambda: None), weak=False)
            order_paid.send(sender=None)
            spans.provider.force_flush()
            os.write(writing, "\n".join(short(span.name) for span in spans.finished).encode())
            os._exit(0)
        os.wait()

    order_paid.connect(named("before", does=lambda: None), weak=False)
    order_paid.send(sender=None)
    order_paid.connect(forking)
    order_paid.send(sender=None)
    spans.provider.force_flush()
    os.close(writing)
    with os.fdopen(reading) as child:
        of_the_child = child.read().splitlines()

    assert of_the_child == ["handle before", "handle of_the_child", "send order_paid"]
    assert [short(span.name) for span in spans.finished] == [
        "handle before",
        "send order_paid",
        "handle before",
        "handle forking",
        "send order_paid",
    ]


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="references are counted")
def test_a_dispatch_leaves_no_context_behind(instrument, spans, order_paid):
    """Once all is exported, what stood in for the receivers is gone."""
    instrument("heliograph", slow=1000)
    alive: list[weakref.ref[trace.Span]] = []

    def note():
        alive.append(weakref.ref(trace.get_current_span()))

    for name in ("first", "second"):
        order_paid.connect(named(name, does=note), weak=False)
    order_paid.send(sender=None)
    spans.provider.force_flush()
    gc.collect()

    assert [reference() for reference in alive] == [None, None]


def test_a_receiver_at_the_place_of_a_dead_one_has_its_own_name(instrument, spans, order_paid):
    """What is known of the receivers of the last dispatch is not believed of others that came to have their ids."""
    instrument("heliograph")
    seen: list[str] = []
    for number in range(200):
        receiver = named(f"receiver_{number % 7}", does=lambda: None)
        order_paid.connect(receiver)
        order_paid.send(sender=None)
        order_paid.disconnect(receiver)
        seen.append(f"handle receiver_{number % 7}")
        del receiver

    spans.provider.force_flush()
    assert [short(span.name) for span in spans.finished if span.name.startswith("handle")] == seen


def test_bound_methods_and_what_cannot_be_referred_to_weakly_are_told_apart(instrument, spans, order_paid):
    """A bound method is another object at each send, and an id says nothing of what dies unnoticed."""

    class Kitchen:
        def cook(self, **_: object) -> None: ...

        def clean(self, **_: object) -> None: ...

    class Slotted:
        __slots__ = ()

        def __call__(self, **_: object) -> None: ...

    instrument("heliograph")
    kitchen = Kitchen()
    for _ in range(50):
        for receiver, weak in ((kitchen.cook, True), (kitchen.clean, True), (Slotted(), False)):
            order_paid.connect(receiver, weak=weak)
            order_paid.send(sender=None)
            order_paid.disconnect(receiver)

    spans.provider.force_flush()
    names = [span.name.rpartition(".<locals>.")[2] for span in spans.finished if span.name.startswith("handle")]
    assert names == ["Kitchen.cook", "Kitchen.clean", "Slotted.__call__"] * 50
