"""Celery's signals: each found, named and traced, however it is sent, and Celery none the wiser."""

from __future__ import annotations

import functools
import inspect
import logging
import subprocess
import sys
import textwrap
import warnings
from typing import Any
from unittest import mock

import celery
import pytest
from celery import Celery, signals
from celery.app import trace as celery_trace
from celery.utils.dispatch import Signal
from celery.utils.dispatch import signal as dispatcher

from heliograph import instrumentor
from heliograph.adapters.celery import CeleryAdapter
from tests.support.observers import CallNote

HEARD = (CallNote("receiver", "sync", "returned", None),)
ORIGINAL = vars(Signal)["send"]
CODE = ORIGINAL.__code__

boiled = Signal(name="boiled")


class Stove:
    """Holds a signal."""

    lit = Signal()


@pytest.fixture
def adapter():
    """Celery's adapter, as everybody gets it."""
    return instrumentor._adapters["celery"]


@pytest.fixture
def installed(adapter):
    """Celery's signals report."""
    undo = adapter.install()
    yield adapter
    undo()
    assert (vars(Signal)["send"], vars(Signal)["send_robust"], ORIGINAL.__code__) == (ORIGINAL, ORIGINAL, CODE)


@pytest.fixture
def connect():
    """Connects receivers for the length of a test."""
    before: list[tuple[Signal, list[Any]]] = []

    def connect(signal, one, **connection):
        before.append((signal, signal.receivers[:]))
        return signal.connect(one, **connection)

    yield connect
    for signal, receivers in reversed(before):  # Celery 5.4 does not find again what it retries
        signal.receivers[:] = receivers
        signal.sender_receivers_cache.clear()


@pytest.fixture
def app():
    """An application whose tasks run where they are called."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.task_always_eager = True
    return app


def receiver(**_):
    return "heard"


def failing(**_):
    raise LookupError("plate")


BUILT_IN = sorted(name for name, value in vars(signals).items() if isinstance(value, Signal))


def test_celery_has_the_signals_that_this_is_about():
    """So that the next test is about more than nothing."""
    assert {"before_task_publish", "task_prerun", "task_postrun", "task_failure", "worker_ready"} <= set(BUILT_IN)
    assert len(BUILT_IN) > 30


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_signal_is_observed_under_its_name(installed, observer, name):
    """With its module's name, which Celery's own name for it lacks."""
    with mock.patch.object(getattr(signals, name), "receivers", []):
        assert getattr(signals, name).send(sender=None) == []

    assert [(note.signal, note.operation, note.outcome) for note in observer.notes] == [
        (f"celery.signals.{name}", "send", "returned")
    ]


def test_signals_of_an_application_have_names(installed, observer):
    """From the module or class that holds them; else Celery's own name for it, such as an application's."""
    held_by_nobody = Signal()
    for signal in (boiled, Stove.lit, Celery(set_as_current=False).on_configure, held_by_nobody):
        signal.send(sender=None)

    names = [note.signal for note in observer.notes if note.calls == ()]
    assert names == [f"{__name__}.boiled", f"{__name__}.Stove.lit", "app.on_configure", "_OTHER"]
    assert {f"{__name__}.boiled", "celery.signals.task_prerun"} <= set(installed.signal_names())


def test_both_ways_to_send_are_one(installed, observer):
    """``send_robust`` is an alias of ``send`` in Celery, and stays one; what it sends is a ``send``."""
    assert Signal.send_robust is Signal.send
    boiled.send_robust(sender=None)

    assert [note.operation for note in observer.notes] == ["send"]


def test_errors_are_responses_and_are_logged_by_celery(instrument, spans, connect, caplog):
    """As without us, word for word; and they are on the receiver's span and counted on the dispatch's."""
    connect(boiled, receiver)
    connect(boiled, failing)
    plain = boiled.send(sender=None)
    instrument("celery")
    with caplog.at_level(logging.ERROR, dispatcher.__name__):
        observed = boiled.send(sender=None)

    assert [[(one, type(response)) for one, response in result] for result in (plain, observed)] == [
        [(receiver, str), (failing, LookupError)]
    ] * 2
    before, after = (record for record in caplog.records if record.name == dispatcher.__name__)
    assert (before.getMessage(), before.levelno, before.funcName) == (
        after.getMessage(),
        after.levelno,
        after.funcName,
    )
    assert [record.exc_info[0] for record in (before, after) if record.exc_info] == [LookupError] * 2
    assert spans.tree() == [("send boiled", [("handle receiver", []), ("handle failing", [])])]
    assert dict(spans.named("send boiled").attributes) == {
        "heliograph.system.name": "celery",
        "heliograph.signal.name": f"{__name__}.boiled",
        "heliograph.operation.name": "send",
        "heliograph.error.policy": "capture",
        "heliograph.dispatch.receiver.count": 2,
        "heliograph.dispatch.receiver.failed_count": 1,
    }
    assert dict(spans.named("handle failing").attributes)["error.type"] == "LookupError"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_celery_lets_through_is_let_through(installed, observer, connect, stop):
    """A worker is stopped by such errors; later receivers are not called."""

    def stopping(**_):
        raise stop

    connect(boiled, stopping)
    connect(boiled, receiver)
    with pytest.raises(stop):
        boiled.send(sender=None)

    assert [(note.outcome, note.error, [call.receiver for call in note.calls]) for note in observer.notes] == [
        ("raised", stop.__name__, ["stopping"])
    ]


def test_a_task_that_is_run_is_traced(instrument, spans, connect, app):
    """Its signals are named, and so is what sends them: the task, never one of its calls."""
    instrument("celery", excluded_signals=["app.*"])

    @app.task(name="shop.bake")
    def bake(what):
        return f"{what}, baked"

    for signal in (signals.task_prerun, signals.task_success, signals.task_postrun):
        connect(signal, receiver)
    assert bake.delay("pizza").get() == "pizza, baked"

    assert spans.tree() == [
        (f"send {name}", [("handle receiver", [])]) for name in ("task_prerun", "task_success", "task_postrun")
    ]
    assert {span.attributes["heliograph.sender.name"] for span in spans.finished if span.name.startswith("send")} == {
        f"{__name__}.bake"
    }
    assert "pizza" not in str([dict(span.attributes) for span in spans.finished])


def test_a_published_task_is_named_like_one_that_runs(instrument, spans, connect, app):
    """Celery sends its name; another text than that of a known task may hold anything, and is not said."""
    instrument("celery", excluded_signals=["app.*"])
    app.conf.task_always_eager = False
    connect(signals.before_task_publish, receiver)
    connect(signals.after_task_publish, receiver)

    @app.task(name="shop.fry")
    def fry():
        return None

    fry.delay()
    app.send_task("4111 1111 1111 1111")
    boiled.send(sender="celery@somewhere")

    dispatches = [span for span in spans.finished if span.name.startswith("send ")]
    assert [(span.name, span.attributes["heliograph.sender.name"]) for span in dispatches] == [
        ("send before_task_publish", f"{__name__}.fry"),
        ("send after_task_publish", f"{__name__}.fry"),
        ("send before_task_publish", "str"),
        ("send after_task_publish", "str"),
        ("send boiled", "str"),
    ]


def test_a_send_that_was_bound_before_is_observed(adapter, observer, connect):
    """Celery keeps the bound methods of some signals from its import on, and sends with those."""
    kept, of_the_class = boiled.send, Signal.send
    assert celery_trace.send_prerun.__func__ is ORIGINAL
    connect(boiled, receiver)
    connect(signals.task_prerun, receiver)
    undo = adapter.install()
    for send in (kept, celery_trace.send_prerun, functools.partial(of_the_class, boiled)):
        assert send(sender="stove", degrees=100) == [(receiver, "heard")]
    undo()
    assert kept(sender="stove") == [(receiver, "heard")]

    assert [(note.signal, note.operation, note.calls) for note in observer.notes] == [
        (f"{__name__}.boiled", "send", HEARD),
        ("celery.signals.task_prerun", "send", HEARD),
        (f"{__name__}.boiled", "send", HEARD),
    ]


def test_a_send_that_was_bound_while_we_were_there_works_when_we_are_gone(adapter, observer, connect):
    """It does what Celery's does; and is observed when somebody observes again."""
    connect(boiled, receiver)
    undo = adapter.install()
    kept = boiled.send
    undo()
    assert kept(sender=None) == [(receiver, "heard")]

    assert [note.calls for note in observer.notes] == [HEARD]  # there is still an observer, and nothing else to ask


def test_the_replaced_method_looks_like_the_original(installed):
    """Name, docstring, signature."""
    replaced = vars(Signal)["send"]

    assert replaced is not ORIGINAL
    assert (replaced.__name__, replaced.__qualname__, replaced.__module__, replaced.__doc__) == (
        "send",
        "Signal.send",
        dispatcher.__name__,
        ORIGINAL.__doc__,
    )
    assert inspect.signature(replaced) == inspect.signature(Signal.send)
    assert str(inspect.signature(ORIGINAL)) == "(self, sender, **named)"


@pytest.mark.parametrize("payload", [{"self": 1}, {"signal": 1}])
def test_a_payload_that_celery_refuses_is_refused(adapter, connect, observer, payload):
    """``self`` by the send, ``signal`` by the call of each receiver, bound before or not."""
    connect(boiled, receiver)
    kept = boiled.send
    plain = attempt(boiled.send, payload)
    undo = adapter.install()
    observed = [attempt(send, payload) for send in (boiled.send, kept)]
    undo()

    assert observed == [plain, plain]


def attempt(send, payload):
    """Return what sending *payload* comes to: which error, or which responses."""
    try:
        return [(one, type(response), str(response)[-40:]) for one, response in send(None, **payload)]
    except TypeError:
        return "refused"


def test_retried_receivers_are_known_by_their_own_names(instrument, spans, connect):
    """``connect(retry=True)`` connects a function of Celery's that says nothing of what it calls; the uid is theirs too."""
    instrument("celery", extra_attributes=["heliograph.receiver.dispatch_uid", "code.line.number"])
    tries = iter([LookupError("once")])

    def reluctant(**_):
        for error in tries:
            raise error
        return "at last"

    def patient(**_):
        return "at once"

    connected = connect(boiled, reluctant, retry=True)
    with_uid = connect(boiled, patient, retry=True, dispatch_uid="shop.patient")
    with mock.patch("kombu.utils.functional.sleep"):
        responses = boiled.send(sender=None)

    assert responses == [(connected, "at last"), (with_uid, "at once")]
    assert spans.tree() == [("send boiled", [("handle reluctant", []), ("handle patient", [])])]
    attributes = [dict(spans.named(f"handle {name}").attributes) for name in ("reluctant", "patient")]
    assert [one.get("heliograph.receiver.dispatch_uid") for one in attributes] == [None, "shop.patient"]
    assert [one["code.line.number"] for one in attributes] == [
        one.__code__.co_firstlineno for one in (reluctant, patient)
    ]


def test_lambdas_partials_methods_and_objects_are_received(instrument, spans, connect):
    """Whatever can be connected has a name."""
    instrument("celery")

    class Cook:
        def boil(self, **_):
            return "boiled"

        def __call__(self, **_):
            return "called"

    cook, other = Cook(), Cook()
    connect(boiled, lambda **_: "lambda", weak=False)
    connect(boiled, functools.partial(receiver, pan="copper"), weak=False)
    connect(boiled, cook.boil)
    connect(boiled, other)

    assert [response for _, response in boiled.send(sender=None)] == ["lambda", "heard", "boiled", "called"]
    assert spans.tree() == [
        (
            "send boiled",
            [("handle <lambda>", []), ("handle receiver", []), ("handle boil", []), ("handle __call__", [])],
        )
    ]


def test_receivers_hear_the_senders_they_are_connected_to(installed, observer, connect, app):
    """A task's name, a task, and a task that is not there yet when the receiver is connected."""

    @app.task(name="shop.stir")
    def stir():
        return None

    def by_name(**_):
        return "name"

    def by_promise(**_):
        return "promise"

    connect(boiled, by_name, sender="shop.stir")
    connect(boiled, by_promise, sender=stir)
    app.finalize()
    heard = [[response for _, response in boiled.send(sender=one)] for one in ("shop.stir", app.tasks["shop.stir"], 1)]

    assert heard == [["name"], ["promise"], []]
    assert [[call.receiver for call in note.calls] for note in observer.notes if note.signal.endswith("boiled")] == [
        ["by_name"],
        ["by_promise"],
        [],
    ]


def test_a_signal_with_a_cache_uses_it(installed, observer, connect):
    """Celery's own sentinel for senders that nobody listens to stays in it."""
    signal = Signal(use_caching=True)
    connect(signal, receiver, sender=Stove)
    for sender in (Stove, CeleryAdapter, CeleryAdapter):
        signal.send(sender=sender)

    assert signal.sender_receivers_cache[CeleryAdapter] is dispatcher.NO_RECEIVERS
    assert [note.calls for note in observer.notes] == [HEARD, (), ()]


def test_receivers_that_are_connected_are_known(installed, connect):
    """Also those that are tried again."""
    connect(signals.task_prerun, receiver)
    connect(boiled, failing, retry=True)

    known = {(name, getattr(one, "__name__", "")) for name, one in installed.connected()}
    assert {("celery.signals.task_prerun", "receiver"), (f"{__name__}.boiled", "_try_receiver_over_time")} <= known


@pytest.mark.parametrize("way", ["send", "kept"])
def test_a_warning_points_where_it_would_without_us(adapter, observer, connect, way):
    """A receiver's warning about its sender's call: no frame more between them, but for a send bound before we came."""

    def warning(**_):
        warnings.warn("too hot", UserWarning, stacklevel=3)

    connect(boiled, warning)
    send = boiled.send
    undo = adapter.install()
    if way == "send":
        send = boiled.send
    with pytest.warns(UserWarning, match="too hot") as caught:
        send(sender=None)
    undo()

    assert [one.filename == __file__ for one in caught] == [way == "send"]


def test_installing_twice_is_installing_once(adapter):
    """The originals come back with the last undo; undoing twice is undoing once."""
    first, second = adapter.install(), adapter.install()
    replaced, forwarding = vars(Signal)["send"], ORIGINAL.__code__
    first()
    first()
    assert (vars(Signal)["send"], ORIGINAL.__code__) == (replaced, forwarding)
    second()

    assert (vars(Signal)["send"], vars(Signal)["send_robust"], ORIGINAL.__code__) == (ORIGINAL, ORIGINAL, CODE)


def test_who_wrapped_send_before_us_is_still_called(adapter, observer, connect):
    """Theirs is called, not done again; the dispatch is observed, its receivers cannot be. The alias is none any more."""
    calls = []

    def theirs(self, sender, **named):
        calls.append("theirs")
        return ORIGINAL(self, sender, **named)

    connect(boiled, receiver)
    with mock.patch.object(Signal, "send", theirs):
        undo = adapter.install()
        assert boiled.send(sender=None) == [(receiver, "heard")]
        assert Signal.send_robust is not Signal.send
        undo()
        assert vars(Signal)["send"] is theirs

    assert calls == ["theirs"]
    assert ("send", ()) in [(note.operation, note.calls) for note in observer.notes]


@pytest.fixture
def unknown_release(monkeypatch):
    """A Celery of the future, whose inside is another."""
    monkeypatch.setattr(celery, "VERSION", (9, 3, 0, "", ""))
    monkeypatch.delattr(dispatcher, "NO_RECEIVERS")

    def send(self, sender, **named):
        return ["the future", sender, named]

    send.__module__ = dispatcher.__name__
    monkeypatch.setattr(Signal, "send", send)
    monkeypatch.setattr(Signal, "send_robust", send)


def test_an_unknown_release_is_observed_from_outside(unknown_release, observer, caplog):
    """Its dispatches are, bound before or not, its receivers are not; it says so once, and the results are its own."""
    kept = boiled.send
    with caplog.at_level(logging.WARNING, "heliograph"):
        for _ in range(2):
            undo = CeleryAdapter().install()
            assert boiled.send("by position", value=1) == ["the future", "by position", {"value": 1}]
            assert kept(sender=None) == ["the future", None, {}]
            undo()

    [record] = caplog.records
    assert record.getMessage().startswith("heliograph does not know the signal dispatcher of Celery 9.3;")
    assert [(note.operation, note.outcome, note.calls) for note in observer.notes] == [("send", "returned", ())] * 4


def test_an_unknown_release_may_have_one_way_to_send_and_a_closure(unknown_release, observer, monkeypatch):
    """Then only those are observed who look its method up."""
    future = ["the future"]

    def send(self, sender, **named):
        return future

    send.__module__ = dispatcher.__name__
    monkeypatch.setattr(Signal, "send", send)
    monkeypatch.delattr(Signal, "send_robust")
    kept, code = boiled.send, send.__code__
    undo = CeleryAdapter().install()
    assert [kept(sender=None), boiled.send(sender=None)] == [future, future]
    assert send.__code__ is code
    undo()

    assert vars(Signal)["send"] is send
    assert [(note.operation, note.calls) for note in observer.notes] == [("send", ())]


def test_the_library_need_not_be_installed(monkeypatch):
    """Its adapter says whether it is."""
    assert CeleryAdapter().available() is True
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert CeleryAdapter().available() is False


def run(program: str) -> list[str]:
    """Run a program of its own, and return the lines that it printed."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_celery_that_is_not_used_is_not_imported():
    """Neither by heliograph, nor to say which signals there are; and there is nothing to undo but waiting."""
    assert run(
        """
        import sys
        import heliograph
        from heliograph import instrumentor

        finders = list(sys.meta_path)
        undo = heliograph.instrument()
        celery = instrumentor._adapters["celery"]
        print(celery.available(), celery.signal_names(), list(celery.connected()), len(sys.meta_path) - len(finders))
        undo()
        print([name for name in sys.modules if name.partition(".")[0] in {"celery", "kombu", "billiard"}])
        print(sys.meta_path == finders)
        """
    ) == ["True [] [] 1", "[]", "True"]


OBSERVE = """
import heliograph
from heliograph.fanout.observer import observe

class Observer:
    def interested(self, site):
        return not site.name.startswith("app.")
    def finished(self, dispatch):
        print(dispatch.site.name, len(dispatch.calls))

heliograph.instrument("celery")
observe(Observer())
"""
IMPORT_CELERY = """
from celery import Celery, signals
import celery.app.trace
"""
COOK = """
def cook(**_):
    pass

def bake():
    print("baking")

signals.task_prerun.connect(cook)
signals.before_task_publish.connect(cook)
signals.after_task_publish.connect(cook)
app = Celery(broker="memory://", backend="cache+memory://")
task = app.task(bake)
task.delay()
task.apply()
"""


@pytest.mark.parametrize("program", [OBSERVE + IMPORT_CELERY, IMPORT_CELERY + OBSERVE], ids=["after", "before"])
def test_celery_is_observed_when_it_is_imported_later_and_when_it_was_before(program):
    """With the signals that it sends with methods bound at its import."""
    assert run(program + COOK) == [
        "celery.signals.before_task_publish 1",
        "celery.signals.after_task_publish 1",
        "celery.signals.task_prerun 1",
        "baking",
    ]


def test_opentelemetrys_own_receivers_are_not_seen(instrument, spans, connect, app):
    """Neither they nor dispatches that have no others; its task's span is where the receivers' are."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.celery").CeleryInstrumentor()
    instrument("celery", excluded_signals=["app.*"])
    connect(signals.task_prerun, receiver)
    instrumentation.instrument(tracer_provider=spans.provider)
    try:

        @app.task(name="shop.taste")
        def taste():
            with spans.tracer.start_as_current_span("spoon"):
                return "good"

        assert taste.delay().get() == "good"
    finally:
        instrumentation.uninstrument()

    assert spans.tree() == [("run/shop.taste", [("send task_prerun", [("handle receiver", [])]), ("spoon", [])])]
