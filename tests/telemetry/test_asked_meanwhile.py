"""Spans that are asked for while something ends: on another thread, by a weak reference, under a lock."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from heliograph.telemetry import roll_up
from heliograph.telemetry.dispatch_trace import DispatchTrace, PendingSpan
from tests.support.telemetry import Spans, short

OPCODES = range(1, 14)  # more than any of the functions under test has


@pytest.fixture
def spans() -> Spans:
    """Spans that wait for their export, as in production."""
    return Spans.batched()


@pytest.fixture(autouse=True)
def shut_down(instrument, spans):
    """What waits is exported at the end at the latest."""
    yield
    spans.provider.shutdown()


def named(name: str, does: Callable[[], Any]) -> Callable[..., None]:
    """Return a receiver of that name."""

    def receiver(**_: Any) -> None:
        does()

    receiver.__qualname__ = name
    return receiver


def exported(spans):
    """Flush, and return the context of each span by its short name."""
    spans.provider.force_flush()
    return {short(span.name): span.get_span_context() for span in spans.finished}


class Asking:
    """Asks a span something on a thread that is held within a function, before one of its opcodes.

    Args:
        function: In which it is held.
        opcode: Before which of its opcodes, counted from 1; never if it has fewer.
        ask: What is asked of the span.
    """

    def __init__(self, function: Any, opcode: int, ask: Callable[[Any], Any]) -> None:
        self._code, self._opcode, self._ask = function.__code__, opcode, ask
        self._held, self._go = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.answers: list[Any] = []

    def begin(self) -> None:
        """Ask the span that is current, and return when the thread is held or has its answer."""
        span = trace.get_current_span()
        self._thread = threading.Thread(target=self._run, args=(span,))
        self._thread.start()
        self._held.wait(10)

    def go_on(self) -> None:
        """Let the thread go on, and wait for its answer."""
        self._go.set()
        assert self._thread is not None
        self._thread.join(10)

    def _run(self, span: Any) -> None:
        sys.settrace(self._trace)
        try:
            self.answers.append(self._ask(span))
        except Exception as error:
            self.answers.append(error)
        finally:
            sys.settrace(None)
            self._held.set()

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code is not self._code:
            return None
        frame.f_trace_opcodes = True
        passed = 0

        def local(frame: Any, event: str, argument: Any) -> Any:
            nonlocal passed
            passed += event == "opcode"
            if event == "opcode" and passed == self._opcode and not self._held.is_set():
                self._held.set()
                self._go.wait(10)
            return local

        return local


@pytest.mark.parametrize("opcode", OPCODES)
def test_a_span_asked_while_its_receiver_ends_is_that_receivers(instrument, spans, order_paid, opcode):
    """Not that of the receiver that runs by the time of the answer."""
    instrument("heliograph", slow=1000)
    asking = Asking(PendingSpan.position.fget, opcode, lambda span: span.get_span_context())  # type: ignore[attr-defined]
    order_paid.connect(named("first", asking.begin), weak=False)
    order_paid.connect(named("second", asking.go_on), weak=False)
    order_paid.send(sender=None)

    assert asking.answers == [exported(spans)["handle first"]]


@pytest.mark.parametrize("opcode", OPCODES)
@pytest.mark.parametrize("where", ["running", "_level_at"])
def test_a_span_can_be_asked_while_its_dispatch_is_dropped(instrument, spans, order_paid, where, opcode):
    """Nothing is exported of a quick one at level slow; who asks meanwhile must not notice."""
    instrument("heliograph", level="slow", slow=1000, meter_provider=NoOpMeterProvider())
    function = DispatchTrace.running.fget if where == "running" else DispatchTrace._level_at  # type: ignore[attr-defined]
    asking = Asking(function, opcode, lambda span: span.is_recording())
    order_paid.connect(named("first", asking.begin), weak=False)
    with spans.tracer.start_as_current_span("request"):
        order_paid.send(sender=None)
    asking.go_on()

    assert [type(answer) for answer in asking.answers] == [bool]


@pytest.mark.parametrize("opcode", OPCODES)
def test_a_span_asked_while_its_dispatch_ends_is_exported(instrument, spans, order_paid, opcode):
    """At level all each receiver has a span, so its ids are what is told."""
    instrument("heliograph", slow=1000)
    asking = Asking(DispatchTrace._level_at, opcode, lambda span: span.get_span_context())
    order_paid.connect(named("first", asking.begin), weak=False)
    with spans.tracer.start_as_current_span("request"):
        order_paid.send(sender=None)
    asking.go_on()

    assert asking.answers == [exported(spans)["handle first"]]


def test_what_is_kept_by_a_span_is_not_found_by_the_next_receiver(instrument, order_paid):
    """Each receiver has a span of its own, also to whoever refers to it weakly."""
    instrument("heliograph", slow=1000)
    notes: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
    found = []

    def note(name: str) -> None:
        found.append(notes.get(trace.get_current_span()))
        notes[trace.get_current_span()] = name

    order_paid.connect(named("first", lambda: note("first")), weak=False)
    order_paid.connect(named("second", lambda: note("second")), weak=False)
    order_paid.send(sender=None)

    assert found == [None, None]


def test_a_loud_receiver_below_a_quiet_one_has_its_parents(instrument, spans, order_paid, order_shipped):
    """What is sent there waits, and what failed around it is said at once: the quiet receiver has a span all the same."""

    def fail() -> None:
        raise ValueError

    instrument("heliograph", level="errors", slow=1000, levels={"*loud": "all"})
    order_shipped.connect(named("loud", lambda: None), weak=False)
    order_paid.connect(named("outer", lambda: order_shipped.send(sender=None)), weak=False)
    order_paid.connect(named("failing", fail), weak=False)
    with spans.tracer.start_as_current_span("request"):
        order_paid.send_robust(sender=None)
    spans.provider.force_flush()

    shipped: tuple[str, list[Any]] = ("send order_shipped", [("handle loud", [])])
    paid = ("send_robust order_paid", [("handle outer", [shipped]), ("handle failing", [])])
    assert spans.tree() == [("request", [paid])]


class Looking(SpanExporter):
    """Notes whether others may ask for ids while spans are exported."""

    def __init__(self) -> None:
        self.free: list[bool] = []

    def export(self, spans: Any) -> SpanExportResult:
        thread = threading.Thread(target=self._look)
        thread.start()
        thread.join()
        return SpanExportResult.SUCCESS

    def _look(self) -> None:
        free = DispatchTrace.asking.acquire(timeout=1)
        self.free.append(free)
        if free:
            DispatchTrace.asking.release()


def test_others_may_ask_for_ids_while_a_roll_up_makes_room(instrument, order_paid, monkeypatch):
    """An exporter is other people's code: it may wait for somebody who asks."""
    monkeypatch.setattr(roll_up, "_OPEN_PARENTS", 1)
    exporter, provider = Looking(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument("heliograph", slow=1000, tracer_provider=provider, budget=1)
    order_paid.connect(named("first", lambda: None), weak=False)
    tracer = provider.get_tracer("tests")
    one, two = tracer.start_span("one"), tracer.start_span("two")
    for span in (one, one, one, two):
        with trace.use_span(span):
            order_paid.send(sender=None)

    assert exporter.free == [True] * 5  # two dispatches with a receiver each, and the roll-up of the others
