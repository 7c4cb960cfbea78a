"""What waits to be said: bounded, in order, and never lost."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from heliograph import instrumentor
from heliograph.telemetry import backlog as backlog_module
from heliograph.telemetry.backlog import Backlog
from tests.support.telemetry import Spans, short


class Waiting:
    """Stands for a finished dispatch."""

    def __init__(self, name: str, calls: int = 1) -> None:
        self.name = name
        self.begans = [None] * calls


class Said:
    """Notes what is said, and by which thread."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.threads: list[str] = []
        self.rounds = 0
        self.something = threading.Event()

    def say(self, dispatch: Any) -> None:
        self.names.append(dispatch.name)
        self.threads.append(threading.current_thread().name)

    def then(self) -> None:
        self.rounds += 1
        self.something.set()


@pytest.fixture
def spans() -> Spans:
    """Spans that wait for their export: with a processor that exports at once, nothing would wait here."""
    batched = Spans.__new__(Spans)
    batched.exporter = InMemorySpanExporter()
    batched.provider = TracerProvider(shutdown_on_exit=False)
    batched.provider.add_span_processor(BatchSpanProcessor(batched.exporter))
    return batched


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def backlog(said):
    made = Backlog(said.say, said.then)
    yield made
    made.close()


@pytest.fixture
def patient(monkeypatch):
    """Only who asks for it has things said: the thread of our own waits for more."""
    monkeypatch.setattr(backlog_module, "_DELAY", 3600)


def put(backlog: Any, *dispatches: Any) -> None:
    for one in dispatches:
        backlog.put(one)


def test_a_thread_of_our_own_says_what_waits(monkeypatch, backlog, said):
    """In the order in which it was put there, and on no other thread."""
    monkeypatch.setattr(backlog_module, "_DELAY", 0.05)
    put(backlog, Waiting("first"), Waiting("second"), Waiting("third"))

    assert said.something.wait(10)
    assert said.names == ["first", "second", "third"]
    assert set(said.threads) == {"heliograph"}


def test_it_goes_on_after_the_first_time(monkeypatch, backlog, said):
    """One thread for all times."""
    monkeypatch.setattr(backlog_module, "_DELAY", 0.01)
    for name in ("first", "second", "third"):
        said.something.clear()
        put(backlog, Waiting(name))
        assert said.something.wait(10)

    assert said.names == ["first", "second", "third"]
    assert [one.name for one in threading.enumerate()].count("heliograph") == 1


@pytest.mark.usefixtures("patient")
def test_too_much_is_said_by_whoever_sends(monkeypatch, backlog, said):
    """Dispatches count with their calls; then all is said, in order, and counting begins again."""
    monkeypatch.setattr(backlog_module, "_MOST_CALLS", 10)
    put(backlog, Waiting("first", 3), Waiting("second", 5))
    assert said.names == []
    put(backlog, Waiting("third", 0))

    assert said.names == ["first", "second", "third"]
    assert set(said.threads) == {threading.current_thread().name}
    put(backlog, Waiting("fourth", 9))
    assert said.names == ["first", "second", "third"]


@pytest.mark.usefixtures("patient")
def test_closing_says_all_and_ends_the_thread(backlog, said):
    """Nothing is lost."""
    put(backlog, Waiting("first"), Waiting("second"))
    thread = backlog._thread
    assert thread is not None
    backlog.close()
    thread.join(10)

    assert said.names == ["first", "second"]
    assert not thread.is_alive()


def test_what_is_put_there_after_the_end_is_said_at_once(backlog, said):
    """By whoever puts it there, without a thread."""
    backlog.close()
    put(backlog, Waiting("first"), Waiting("second"))

    assert said.names == ["first", "second"]
    assert backlog._thread is None


def test_where_no_thread_can_start_it_is_said_at_once(monkeypatch, backlog, said):
    """As while the interpreter shuts down; the next one tries again."""

    def fail(_: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        put(backlog, Waiting("first"), Waiting("second"))
    assert said.names == ["first", "second"]
    assert set(said.threads) == {threading.current_thread().name}

    monkeypatch.setattr(backlog_module, "_DELAY", 0.01)
    said.something.clear()
    put(backlog, Waiting("third"))
    assert said.something.wait(10)
    assert said.threads[2] == "heliograph"


@pytest.mark.usefixtures("patient")
def test_what_is_said_may_put_more_there(said):
    """An exporter that sends signals: these are said in the same round, after what waited before."""

    def say(dispatch: Any) -> None:
        said.say(dispatch)
        if dispatch.name == "first":
            put(made, Waiting("of the first"))

    made = Backlog(say, said.then)
    put(made, Waiting("first"), Waiting("second"))
    made.say_all()
    made.close()

    assert said.names == ["first", "second", "of the first"]


@pytest.mark.usefixtures("patient")
def test_saying_may_ask_for_all_to_be_said(said):
    """An exporter that flushes: nothing is said twice, and nobody waits for itself."""

    def say(dispatch: Any) -> None:
        said.say(dispatch)
        made.say_all()

    made = Backlog(say, said.then)
    put(made, Waiting("first"), Waiting("second"), Waiting("third"))
    made.say_all()
    made.close()

    assert said.names == ["first", "second", "third"]


@pytest.mark.usefixtures("patient")
def test_threads_lose_nothing_and_say_nothing_twice(monkeypatch, backlog, said):
    """However many put there and say at once; each thread's own stay in order."""
    monkeypatch.setattr(backlog_module, "_MOST_CALLS", 20)
    together = threading.Barrier(4)

    def putting(thread: int) -> None:
        together.wait(10)
        for number in range(250):
            put(backlog, Waiting(f"{thread}.{number:03}"))

    threads = [threading.Thread(target=putting, args=(one,)) for one in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    backlog.say_all()

    assert sorted(said.names) == [f"{thread}.{number:03}" for thread in range(4) for number in range(250)]
    for thread in range(4):
        own = [name for name in said.names if name.startswith(f"{thread}.")]
        assert own == sorted(own)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("patient")
def test_a_forked_child_says_its_own_and_the_parent_the_rest(backlog, said):
    """What waited before the fork is said once; the child starts anew, also when its parent was saying something."""
    put(backlog, Waiting("before"))
    reading, writing = os.pipe()
    with backlog._saying:
        child = os.fork()
        if child == 0:
            put(backlog, Waiting("of the child"))
            backlog.say_all()
            os.write(writing, ",".join(said.names).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as heard:
        of_the_child = heard.read()
    os.waitpid(child, 0)
    backlog.say_all()

    assert of_the_child == "of the child"
    assert said.names == ["before"]


FLUSHES = {
    "provider.force_flush": lambda spans, _metrics, _undo: spans.provider.force_flush(),
    "provider.shutdown": lambda spans, _metrics, _undo: spans.provider.shutdown(),
    "undo": lambda spans, _metrics, undo: (undo(), spans.provider.force_flush()),
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("how", FLUSHES)
def test_no_span_is_lost(instrument, spans, metrics, order_paid, how):
    """Whatever the application calls before it looks."""
    undo = instrument("heliograph", slow=1000)
    order_paid.connect(lambda **_: None, weak=False)
    for _ in range(3):
        order_paid.send(sender=None)
    assert spans.finished == []
    FLUSHES[how](spans, metrics, undo)

    assert [short(span.name) for span in spans.finished] == ["handle <lambda>", "send order_paid"] * 3
    spans.provider.shutdown()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("how", ["collect", "force_flush"])
def test_no_measurement_is_lost(instrument, metrics, order_paid, how):
    """A collection has all that was sent before it; so do spans then."""
    instrument("heliograph", slow=1000)
    waiting = instrumentor._installed["heliograph"].telemetry._backlog._waiting
    for _ in range(3):
        order_paid.send(sender=None)
    if how == "force_flush":
        metrics.provider.force_flush()

    assert metrics.total("heliograph.dispatch.duration") == 3
    assert list(waiting) == []


PROGRAM = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import {processor}, ConsoleSpanExporter

    import heliograph
    {first}
    provider = TracerProvider()
    provider.add_span_processor({processor}(ConsoleSpanExporter(formatter=lambda span: span.name + chr(10))))
    trace.set_tracer_provider(provider)
    order_paid = heliograph.Signal(name="shop.order_paid")
    order_paid.connect(lambda **_: None, weak=False)
    order_paid.send(sender=None)
"""


@pytest.mark.parametrize("processor", ["BatchSpanProcessor", "SimpleSpanProcessor"])
@pytest.mark.parametrize("first", ["", "heliograph.instrument()"], ids=["on its own", "instrumented"])
def test_nothing_is_lost_when_the_interpreter_exits(processor, first):
    """A program that ends at once, without a word to anybody, has exported its spans."""
    program = textwrap.dedent(PROGRAM.format(processor=processor, first=first))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert ran.stdout.split("\n") == ["handle __main__.<lambda>", "send order_paid", ""], ran.stderr
    assert (ran.stderr, ran.returncode) == ("", 0)
