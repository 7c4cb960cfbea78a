"""PyDispatcher's signals: each dispatch seen whoever imported what when, and PyDispatcher none the wiser."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pydispatch
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult
from pydispatch import dispatcher, robust, robustapply
from pydispatch.dispatcher import send as send_by_name
from pydispatch.robust import sendRobust as send_robust_by_name

import heliograph
from heliograph import instrumentor
from heliograph.adapters import pydispatcher
from heliograph.adapters.pydispatcher import PyDispatcherAdapter
from heliograph.adapters.pydispatcher_calls import calling
from heliograph.fanout.observer import observe
from tests.support.observers import Recording

PLACES = [
    (dispatcher, "getAllReceivers"),
    (dispatcher, "liveReceivers"),
    (robustapply, "robustApply"),
    (robust, "getAllReceivers"),
    (robust, "liveReceivers"),
    (robust, "robustApply"),
]
ORIGINALS = {(module.__name__, name): vars(module)[name] for module, name in PLACES}
ENTRIES = [(dispatcher, "send"), (dispatcher, "sendExact"), (robust, "sendRobust")]

pizza_done = object()


def in_place():
    return {(module.__name__, name): vars(module)[name] for module, name in PLACES}


@pytest.fixture
def adapter():
    """PyDispatcher's adapter, as everybody gets it."""
    return instrumentor._adapters["pydispatcher"]


@pytest.fixture
def installed(adapter):
    """PyDispatcher reports."""
    undo = adapter.install()
    yield adapter
    undo()
    assert in_place() == ORIGINALS


@pytest.fixture(autouse=True)
def connections():
    """Each test begins and ends with nobody connected."""
    tables = (dispatcher.connections, dispatcher.senders, dispatcher.sendersBack)
    before = [dict(table) for table in tables]
    for table in tables:
        table.clear()
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


def heard(sender):
    return "heard"


def failing():
    raise ValueError("oven")


def last():
    return "last"


@pytest.mark.parametrize(
    ("function", "operation", "policy"),
    [
        (dispatcher.send, "send", "propagate"),
        (dispatcher.sendExact, "sendExact", "propagate"),
        (robust.sendRobust, "sendRobust", "capture"),
        (send_by_name, "send", "propagate"),
        (send_robust_by_name, "sendRobust", "capture"),
    ],
)
def test_each_way_to_send_is_observed(installed, keeper, function, operation, policy):
    """By its own verb, also for those who imported it by name before heliograph came; the functions stay what they are."""
    dispatcher.connect(heard, pizza_done, sender="oven")
    assert function(pizza_done, "oven", size="large") == [(heard, "heard")]

    [dispatch] = keeper.dispatches
    assert keeper.notes[0][:4] == (operation, f"{__name__}.pizza_done", "returned", None)
    assert [call.receiver for call in keeper.notes[0].calls] == ["heard"]
    assert (dispatch.policy.name, dispatch.sender, dispatch.argument_names) == (policy, "oven", ("size",))


def test_spans_say_what_came_of_each_receiver(instrument, spans):
    """The one that failed, and under ``send`` those that never ran because of it."""
    instrument("pydispatcher")
    for receiver in (heard, failing, last):
        dispatcher.connect(receiver, "pizza done")
    with pytest.raises(ValueError, match="oven"):
        dispatcher.send("pizza done", dict)
    [(_, first), (_, error), (_, third)] = robust.sendRobust("pizza done")

    assert (first, str(error), third) == ("heard", "oven", "last")
    assert spans.tree() == [
        ("send pizza done", [("handle heard", []), ("handle failing", [])]),
        ("sendRobust pizza done", [("handle heard", []), ("handle failing", []), ("handle last", [])]),
    ]
    assert dict(spans.named("send pizza done").attributes or {}) == {
        "heliograph.system.name": "pydispatcher",
        "heliograph.signal.name": "pizza done",
        "heliograph.operation.name": "send",
        "heliograph.error.policy": "propagate",
        "heliograph.sender.name": "dict",
        "heliograph.dispatch.receiver.count": 3,
        "heliograph.dispatch.receiver.failed_count": 1,
        "heliograph.dispatch.receiver.skipped": (f"{__name__}.last",),
        "error.type": "ValueError",
    }


@pytest.mark.parametrize("sender", [dispatcher.Anonymous, dispatcher.Any])
def test_nobody_in_particular_is_no_sender(installed, keeper, sender):
    """PyDispatcher's own words for that are not told as somebody."""
    dispatcher.send(pizza_done, sender)
    dispatcher.send()

    assert [(one.site.name, one.sender) for one in keeper.dispatches] == [
        (f"{__name__}.pizza_done", None),
        ("pydispatch.dispatcher.Any", None),
    ]


def test_children_of_a_receiver_are_below_it(instrument, spans):
    """A receiver that sends is around what it sends."""
    instrument("pydispatcher")

    def outer():
        with spans.tracer.start_as_current_span("work"):
            dispatcher.send("inner")

    dispatcher.connect(outer, "outer")
    dispatcher.connect(last, "inner")
    dispatcher.send("outer")

    assert spans.tree() == [("send outer", [("handle outer", [("work", [("send inner", [("handle last", [])])])])])]
    assert dict(spans.named("send inner").attributes or {})["heliograph.dispatch.depth"] == 1


def without_and_with(adapter, scene):
    """Return what *scene* comes to without heliograph and with it, and what was observed."""
    plain = scene()
    undo, recording = adapter.install(), Recording()
    stop = observe(recording)
    try:
        observed = scene()
    finally:
        stop()
        undo()
    return plain, observed, recording


def test_who_disconnects_during_a_send_has_the_effect_it_had(adapter):
    """PyDispatcher looks receivers up as it goes: one that leaves has it pass over the next. That stays so."""

    def scene():
        def leaving():
            dispatcher.disconnect(leaving, "scene")
            return "leaving"

        for receiver in (leaving, heard, last):
            dispatcher.connect(receiver, "scene")
        first = [response for _, response in dispatcher.send("scene")]
        return first, [response for _, response in dispatcher.send("scene")]

    plain, observed, recording = without_and_with(adapter, scene)

    assert plain == observed == (["leaving", "last"], ["heard", "last"])
    assert [[call.receiver for call in note.calls] for note in recording.notes] == [
        ["leaving", "last"],
        ["heard", "last"],
    ]


def test_who_connects_during_a_send_is_called_in_it(adapter):
    """As without us, and it is seen."""

    def scene():
        def late():
            return "late"

        def connecting():
            dispatcher.connect(late, "scene", weak=False)
            return "connecting"

        dispatcher.connect(connecting, "scene")
        responses = [response for _, response in dispatcher.send("scene")]
        dispatcher.disconnect(late, "scene", weak=False)
        return responses

    plain, observed, recording = without_and_with(adapter, scene)

    assert plain == observed == ["connecting", "late"]
    assert [[call.receiver for call in note.calls] for note in recording.notes] == [["connecting", "late"]]


def test_who_dies_during_a_send_is_not_kept_alive(adapter):
    """A receiver that an earlier one lets go of is gone, and not called."""

    def scene():
        holder: dict[str, Any] = {}

        def deleting():
            holder.clear()
            return reference() is None

        def later():
            return "later"

        dispatcher.connect(deleting, "scene")
        dispatcher.connect(later, "scene")
        reference = weakref.ref(later)
        holder["later"] = later
        del later
        return [response for _, response in dispatcher.send("scene")]

    plain, observed, recording = without_and_with(adapter, scene)

    assert plain == observed == [True]
    assert [[call.receiver for call in note.calls] for note in recording.notes] == [["deleting"]]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_not_captured_ends_the_dispatch(installed, observer, kind):
    """``sendRobust`` captures exceptions alone."""

    def stopping():
        raise kind

    dispatcher.connect(stopping, "stop")
    dispatcher.connect(last, "stop")
    with pytest.raises(kind):
        robust.sendRobust("stop")

    outcome = "cancelled" if kind is GeneratorExit else "raised"
    [note] = observer.notes
    assert (note.operation, note.outcome, [call[::2] for call in note.calls]) == (
        "sendRobust",
        outcome,
        [("stopping", outcome)],
    )


def test_an_error_of_who_compares_receivers_is_the_dispatchs(installed, observer):
    """It comes from the look-up, before any receiver is called."""

    class Odd:
        def __hash__(self) -> int:
            raise RuntimeError("odd")

        def __call__(self) -> None:
            raise AssertionError("called")

    dispatcher.connect(Odd(), "compared", weak=False)
    with pytest.raises(RuntimeError, match="odd"):
        dispatcher.send("compared")

    assert observer.outcomes == [("send", "raised")]


def test_who_asks_who_listens_gets_the_same_and_is_no_dispatch(installed, observer):
    """``getAllReceivers``, ``getReceivers`` and ``liveReceivers`` are there for everybody."""
    dispatcher.connect(heard, pizza_done)
    asked = dispatcher.getAllReceivers(signal=pizza_done)

    assert inspect.isgenerator(asked)
    assert list(dispatcher.liveReceivers(asked)) == [heard]
    assert list(dispatcher.liveReceivers(dispatcher.getReceivers(dispatcher.Any, pizza_done))) == [heard]
    assert observer.notes == []


def test_a_function_of_the_same_name_elsewhere_is_no_dispatch(installed, observer):
    """Whoever loops over receivers in a way of their own is not taken for PyDispatcher."""
    dispatcher.connect(last, pizza_done)

    def send():
        found = dispatcher.liveReceivers(dispatcher.getAllReceivers(dispatcher.Any, pizza_done))
        return [robustapply.robustApply(receiver) for receiver in found]

    assert send() == ["last"]
    assert observer.notes == []


def test_who_calls_robust_apply_within_a_receiver_is_no_receiver(installed, observer):
    """Also when it is called for a receiver of the same dispatch."""

    def calling():
        return [robustapply.robustApply(last), robustapply.robustApply(calling_nothing)]

    def calling_nothing():
        return "nothing"

    for receiver in (calling, last):
        dispatcher.connect(receiver, "apply")

    assert [response for _, response in dispatcher.send("apply")] == [["last", "nothing"], "last"]
    assert [call.receiver for call in observer.notes[0].calls] == ["calling", "last"]


class Callable:
    def __call__(self, a, b=2):
        return a, b

    def method(self, a, *more, **named):
        return a, more, named

    @classmethod
    def of_class(cls, b):
        return b


RECEIVERS = {
    "nothing": lambda: "nothing",
    "one": lambda a: a,
    "default": lambda a, b="default": (a, b),
    "any": lambda **named: named,
    "positional": lambda *arguments, **named: (arguments, named),
    "by keyword alone": lambda a=1, *, b=2: (a, b),
    "positional alone": eval("lambda a=0, /, **named: (a, named)"),
    "signal": lambda signal, sender: (signal, sender),
    "object": Callable(),
    "method": Callable().method,
    "class method": Callable.of_class,
    "partial": functools.partial(heard, 1),
    "class": Callable,
    "built-in": len,
}
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((), {"a": 1, "b": 2, "c": 3}),
    ((7,), {"b": 2}),
    ((7,), {"a": 1}),
    ((7, 8), {"c": 3, "signal": "s", "sender": "d"}),
    ((7, 8, 9), {}),
]


def result_of(function, receiver, arguments, named):
    try:
        return function(receiver, *arguments, **named)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("kind", RECEIVERS)
@pytest.mark.parametrize(("arguments", "named"), ARGUMENTS)
def test_receivers_get_the_arguments_they_got(installed, kind, arguments, named):
    """Those that fit, and the same errors where none do."""
    receiver = RECEIVERS[kind]
    original = ORIGINALS["pydispatch.robustapply", "robustApply"]
    expected = result_of(original, receiver, arguments, dict(named))
    dispatcher.connect(receiver, pizza_done, weak=False)

    assert result_of(robustapply.robustApply, receiver, arguments, dict(named)) == expected
    payload = {name: one for name, one in named.items() if name not in {"signal", "sender"}}
    expected = result_of(original, receiver, arguments, {"signal": pizza_done, "sender": "oven", **payload})
    for stop in (lambda: None, observe(Recording())):
        [(_, response)] = robust.sendRobust(pizza_done, "oven", *arguments, **payload)
        stop()
        assert (type(response), str(response)) == expected if isinstance(response, Exception) else response == expected


def test_a_payload_named_as_an_argument_of_theirs_is_refused_as_before(installed):
    """``robustApply`` takes the receiver as ``receiver``."""
    dispatcher.connect(heard, pizza_done)
    with pytest.raises(TypeError, match=r"robustApply\(\) got multiple values for argument 'receiver'"):
        dispatcher.send(pizza_done, receiver="mine")


def test_what_is_replaced_looks_like_the_originals(installed):
    """Names and signatures; and no function that sends is replaced."""
    for module, name in PLACES:
        original, replaced = ORIGINALS[module.__name__, name], vars(module)[name]
        assert replaced is not original
        assert (replaced.__name__, replaced.__qualname__) == (name, name)
        assert replaced.__module__ == original.__module__
        assert replaced.__doc__ == original.__doc__
        assert inspect.signature(replaced) == inspect.signature(original)
    for module, name in ENTRIES:
        assert "heliograph" not in vars(module)[name].__code__.co_filename


def test_installing_twice_is_installing_once(adapter):
    """The originals come back with the last undo, whatever the order; undoing twice is undoing once."""
    first, second = adapter.install(), adapter.install()
    replaced = in_place()
    first()
    first()
    assert in_place() == replaced
    second()

    assert in_place() == ORIGINALS


def test_undone_in_the_middle_of_a_send(adapter, observer):
    """The dispatch that runs is told of, with the receivers called until then, and nothing is left in the context."""

    def undoing():
        undo()

    for receiver in (heard, undoing, last):
        dispatcher.connect(receiver, "undone")
    undo = adapter.install()
    for _ in range(2):
        assert [response for _, response in dispatcher.send("undone")] == ["heard", None, "last"]

    assert [[call.receiver for call in note.calls] for note in observer.notes] == [["heard", "undoing"]]
    assert in_place() == ORIGINALS
    assert calling.get() is None


def test_installed_in_the_middle_of_a_send(adapter, observer):
    """The dispatch that runs was not seen to begin, and is none; the next is one."""
    undos = []

    def installing():
        undos.append(adapter.install())

    for receiver in (installing, last):
        dispatcher.connect(receiver, "installed")
    for _ in range(2):
        dispatcher.send("installed")
    for undo in undos:
        undo()

    assert [[call.receiver for call in note.calls] for note in observer.notes] == [["installing", "last"]]
    assert in_place() == ORIGINALS


@pytest.fixture
def unknown_release(monkeypatch):
    """A PyDispatcher of the future."""
    monkeypatch.setattr(pydispatch, "__version__", "9.3.0")
    pydispatcher._say_unknown.cache_clear()


def test_an_unknown_release_is_observed_from_outside(unknown_release, keeper, caplog):
    """Its dispatches are, its receivers are not; it says so once, and results and errors are its own."""
    originals = {name: vars(module)[name] for module, name in ENTRIES}
    for receiver in (heard, failing):
        dispatcher.connect(receiver, pizza_done, sender="oven")
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            undo = PyDispatcherAdapter().install()
        with pytest.raises(ValueError, match="oven"):
            dispatcher.send(pizza_done, sender="oven", size="large")
        with pytest.raises(ValueError, match="oven"):
            dispatcher.sendExact(signal=pizza_done, sender="oven")
        assert [receiver for receiver, _ in robust.sendRobust(pizza_done, "oven")] == [heard, failing]
        undo()

    [record] = caplog.records
    assert record.getMessage().startswith("heliograph does not know the dispatcher of PyDispatcher 9.3.0;")
    assert [note[:4] for note in keeper.notes] == [
        ("send", f"{__name__}.pizza_done", "raised", "ValueError"),
        ("sendExact", f"{__name__}.pizza_done", "raised", "ValueError"),
        ("sendRobust", f"{__name__}.pizza_done", "returned", None),
    ] * 2
    assert {(one.receivers, one.sender) for one in keeper.dispatches} == {(None, "oven")}
    assert keeper.dispatches[0].argument_names == ("size",)
    assert {name: vars(module)[name] for module, name in ENTRIES} == originals


def test_an_unknown_release_that_nobody_observes_is_as_it_was(unknown_release):
    """Its functions are called, and that is all."""
    dispatcher.connect(last, pizza_done)
    undo = PyDispatcherAdapter().install()
    assert dispatcher.send(pizza_done) == robust.sendRobust(pizza_done) == [(last, "last")]
    undo()


def test_who_has_replaced_what_calls_receivers_is_still_called(adapter, observer, monkeypatch):
    """Theirs is called, not done again; the dispatch is observed, its receivers cannot be."""
    calls = []

    @functools.wraps(robustapply.robustApply)
    def theirs(receiver, *arguments, **named):
        calls.append(receiver)
        return ORIGINALS["pydispatch.robustapply", "robustApply"](receiver, *arguments, **named)

    monkeypatch.setattr(robustapply, "robustApply", theirs)
    dispatcher.connect(last, pizza_done)
    undo = adapter.install()
    assert dispatcher.send(pizza_done) == [(last, "last")]
    undo()

    assert calls == [last]
    assert robustapply.robustApply is theirs
    assert [(note.operation, note.calls) for note in observer.notes] == [("send", ())]


def test_who_replaces_ours_stays_when_we_go(adapter):
    """Taking ours out would take theirs out; without observers ours does what the original does."""
    undo = adapter.install()
    ours = robustapply.robustApply

    def theirs(receiver, *arguments, **named):
        return "theirs", ours(receiver, *arguments, **named)

    robustapply.robustApply = theirs
    try:
        dispatcher.connect(last, pizza_done)
        undo()
        assert dispatcher.send(pizza_done) == [(last, ("theirs", "last"))]
    finally:
        robustapply.robustApply = ORIGINALS["pydispatch.robustapply", "robustApply"]
    assert in_place() == ORIGINALS


def test_connected_receivers_and_signals_are_known_by_name(installed):
    """For filters that match nothing; what has no name is ``_OTHER``."""
    own = object()
    for signal in (pizza_done, "paid", own):
        dispatcher.connect(heard, signal)

    assert sorted(installed.connected(), key=lambda pair: pair[0]) == [
        ("_OTHER", heard),
        ("paid", heard),
        (f"{__name__}.pizza_done", heard),
    ]
    assert {"paid", f"{__name__}.pizza_done"} <= set(installed.signal_names())
    assert "_OTHER" not in installed.signal_names()


def test_an_unhashable_signal_fails_as_before(installed, observer):
    """PyDispatcher says so, once somebody is connected to anything."""
    assert dispatcher.send([]) == []
    dispatcher.connect(heard, pizza_done)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        dispatcher.send([])

    assert [(note.signal, note.outcome) for note in observer.notes] == [("_OTHER", "returned"), ("_OTHER", "raised")]


def test_the_library_need_not_be_installed(monkeypatch):
    """Its adapter says whether it is, and imports nothing to find out."""
    assert PyDispatcherAdapter().available() is True
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert PyDispatcherAdapter().available() is False


def test_nothing_is_imported_before_it_is_needed():
    """PyDispatcher is imported by ``instrument``, not by ``import heliograph``."""
    program = "import sys, heliograph; print('pydispatch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "False\n"


def test_threads_send_at_once(installed, observer):
    """No receiver call is lost, doubled, or told of with another thread's dispatch."""
    threads, rounds = 8, 200
    start = threading.Barrier(threads)

    def echo(number):
        return number

    dispatcher.connect(echo, pizza_done)

    def work(number):
        start.wait(timeout=30)
        return {response for _ in range(rounds) for _, response in dispatcher.send(pizza_done, number=number)}

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(work, range(threads)))

    assert results == [{number} for number in range(threads)]
    assert len(observer.notes) == threads * rounds
    assert {note.calls for note in observer.notes} == {(("echo", "sync", "returned", None),)}


def test_without_observers_nothing_is_recorded(installed):
    """Results are PyDispatcher's, errors too."""
    for receiver in (heard, failing):
        dispatcher.connect(receiver, pizza_done)

    assert [receiver for receiver, _ in robust.sendRobust(pizza_done)] == [heard, failing]
    with contextlib.suppress(ValueError):
        dispatcher.send(pizza_done)
    assert dispatcher.sendExact(pizza_done) == []


class KnownToNobody(Sampler):
    """Has spans made through OpenTelemetry's API."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "known to nobody"


def test_all_receivers_are_counted_though_the_span_began_before_they_were_known():
    """One that asks for its span has the dispatch's begin: what its attributes say is what holds at its end."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=KnownToNobody())
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def first(**_):
        with provider.get_tracer("tests").start_as_current_span("child"):
            pass

    def second(**_):
        return None

    with heliograph.instrument("pydispatcher", tracer_provider=provider):
        for receiver in (first, second):
            dispatcher.connect(receiver, pizza_done)
        dispatcher.send(pizza_done)

    counts = [
        (span.attributes or {})["heliograph.dispatch.receiver.count"]
        for span in exporter.get_finished_spans()
        if span.name.startswith("send ")
    ]
    assert counts == [2]
