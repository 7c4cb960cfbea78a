"""Scrapy's functions that send: observed before or after import, timed to the end, and Scrapy none the wiser.

Twisted needs no reactor here: Deferreds are fired by hand. A crawl on each reactor is in ``end_to_end/``.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import subprocess
import sys
import textwrap
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("scrapy")

import scrapy
from pydispatch import dispatcher
from scrapy import signals
from scrapy.exceptions import DontCloseSpider, IgnoreRequest, ScrapyDeprecationWarning, StopDownload
from scrapy.signalmanager import SignalManager
from scrapy.utils import signal as sending
from scrapy.utils.signal import send_catch_log as send_catch_log_by_name
from twisted.internet import defer
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.failure import Failure

from heliograph import instrumentor
from heliograph.adapters import pydispatcher
from heliograph.adapters import scrapy as adapters_scrapy
from heliograph.adapters.pydispatcher_calls import calling
from tests.support.observers import Recording, observing

# What Scrapy says of Deferreds, and of the older of its functions.
pytestmark = pytest.mark.filterwarnings("ignore::scrapy.exceptions.ScrapyDeprecationWarning")

PLACES = ("getAllReceivers", "liveReceivers", "robustApply", "_send_catch_log_asyncio")
FUNCTIONS = ("send_catch_log", "send_catch_log_deferred", "_send_catch_log_deferred", "send_catch_log_async")
ORIGINALS = {name: vars(sending)[name] for name in (*PLACES, *FUNCTIONS)}


def in_place():
    return {name: vars(sending)[name] for name in ORIGINALS}


@pytest.fixture
def installed():
    """Scrapy reports."""
    undo = instrumentor._adapters["pydispatcher"].install()
    yield
    undo()
    assert in_place() == ORIGINALS
    assert calling.get() is None


@pytest.fixture
def manager():
    """A signal manager of a crawler of its own."""

    class Crawler:
        """Stands for one."""

    return SignalManager(Crawler())


@pytest.fixture
def no_asyncio(monkeypatch):
    """Scrapy finds a reactor without asyncio."""
    monkeypatch.setattr("scrapy.utils.signal.is_asyncio_available", lambda: False)
    monkeypatch.setattr("scrapy.utils.defer.is_asyncio_available", lambda: False)


@pytest.fixture
def connect(manager):
    """Connects receivers, in order, to one signal."""

    def connect(*receivers, signal=signals.item_scraped):
        for receiver in receivers:
            manager.connect(receiver, signal)

    return connect


def plain():
    return "plain"


def failing():
    raise ValueError("oven")


def values(responses):
    """Responses without the receivers; an error by its class."""
    errors = [response.value if isinstance(response, Failure) else response for _, response in responses]
    return [type(one) if isinstance(one, BaseException) else one for one in errors]


def outcomes(observation):
    """Operation, signal and outcome of each dispatch, and receiver and outcome of each call."""
    return [
        (one.operation, one.signal.rpartition(".")[2], one.outcome, [call[::2] for call in one.calls])
        for one in observation.notes
    ]


# ------------------------------------------------------------------------------------------------------- send_catch_log


def test_send_catch_log_is_observed(installed, keeper, manager, connect, caplog):
    """Errors are logged and become Failures, by Scrapy itself."""
    connect(plain, failing)
    responses = manager.send_catch_log(signals.item_scraped, item={})

    assert values(responses) == ["plain", ValueError]
    assert isinstance(responses[1][1], Failure)
    [record] = [one for one in caplog.records if one.name == "scrapy.utils.signal"]
    assert record.getMessage() == f"Error caught on signal handler: {failing}"
    assert (record.funcName, record.pathname) == ("send_catch_log", sending.__file__)
    assert outcomes(keeper) == [
        ("send_catch_log", "item_scraped", "returned", [("plain", "returned"), ("failing", "raised")])
    ]
    [dispatch] = keeper.dispatches
    assert (dispatch.site.name, dispatch.site.system) == ("scrapy.signals.item_scraped", "pydispatcher")
    assert (dispatch.policy.name, dispatch.argument_names) == ("capture", ("item",))
    assert dispatch.sender is manager.sender


def test_who_imported_it_by_name_is_observed(installed, observer, connect, manager):
    """The function stays what it is; what it looks up is what is replaced."""
    connect(plain)
    assert send_catch_log_by_name is sending.send_catch_log is ORIGINALS["send_catch_log"]
    assert values(send_catch_log_by_name(signals.item_scraped, manager.sender)) == ["plain"]

    assert outcomes(observer) == [("send_catch_log", "item_scraped", "returned", [("plain", "returned")])]


@pytest.mark.parametrize(
    ("error", "dont_log", "logged"),
    [
        (DontCloseSpider, {"dont_log": DontCloseSpider}, 0),
        (DontCloseSpider, {"dont_log": (IgnoreRequest, DontCloseSpider)}, 0),
        (DontCloseSpider, {"dont_log": [DontCloseSpider]}, 0),
        (StopDownload, {}, 0),
        (DontCloseSpider, {}, 1),
        (DontCloseSpider, {"dont_log": IgnoreRequest}, 1),
    ],
)
def test_an_error_by_which_a_receiver_answers_is_no_failure(
    installed, keeper, manager, connect, caplog, error, dont_log, logged
):
    """What Scrapy is asked not to log says something to the sender: keep the spider open, stop the download."""

    def answering():
        raise error

    connect(answering)
    assert values(manager.send_catch_log(signals.item_scraped, **dont_log)) == [error]

    assert [record.levelname for record in caplog.records] == ["ERROR"] * logged
    outcome = "raised" if logged else "returned"
    assert outcomes(keeper) == [("send_catch_log", "item_scraped", "returned", [("answering", outcome)])]
    assert keeper.dispatches[0].argument_names == ()


def test_what_scrapy_logs_is_logged_within_the_receivers_span(instrument, spans, connect, manager):
    """So that the log line finds the span of the receiver that failed, and the next receiver is not below it."""
    from opentelemetry import trace

    current = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            current.append(trace.get_current_span().get_span_context().span_id)

    def after():
        current.append(trace.get_current_span().get_span_context().span_id)

    instrument("pydispatcher")
    connect(failing, after)
    handler = Handler()
    logging.getLogger("scrapy.utils.signal").addHandler(handler)
    manager.send_catch_log(signals.item_scraped)
    logging.getLogger("scrapy.utils.signal").removeHandler(handler)

    ids = [span.context.span_id for span in (spans.named("handle failing"), spans.named("handle after"))]
    assert current == ids
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_log_filter_that_raises_leaves_nothing_behind(installed, observer, manager, connect, inside):
    """The loop is left in the middle; the dispatch ends there, outside the receiver's context."""

    def refuse(record):
        raise RuntimeError("filter")

    logger = logging.getLogger("scrapy.utils.signal")
    logger.addFilter(refuse)
    connect(failing, plain)
    with pytest.raises(RuntimeError, match="filter"):
        manager.send_catch_log(signals.item_scraped)
    logger.removeFilter(refuse)

    assert outcomes(observer) == [("send_catch_log", "item_scraped", "cancelled", [("failing", "raised")])]
    assert inside.heard == [("enter", "failing"), ("end", "failing"), ("finished", "send_catch_log")]


def test_what_a_plain_send_does_not_wait_for_is_not_touched(installed, observer, manager, connect, caplog):
    """It returns coroutines and Deferreds as they are, and complains about the latter."""
    deferred: Deferred[str] = Deferred()

    async def coroutine():
        raise AssertionError("never awaited")

    def returns_deferred():
        return deferred

    connect(coroutine, returns_deferred)
    (_, first), (_, second) = manager.send_catch_log(signals.item_scraped)

    assert inspect.iscoroutine(first)
    first.close()
    assert second is deferred
    assert deferred._callbacks == []
    assert caplog.records[0].getMessage().startswith("Cannot return deferreds from signal handler")
    assert [outcome for *_, calls in outcomes(observer) for _, outcome in calls] == ["returned", "returned"]


# ---------------------------------------------------------------------------------------------- send_catch_log_deferred


def result_of(deferred):
    """Return what *deferred* has fired with."""
    fired: list[Any] = []
    deferred.addCallback(fired.append)
    [result] = fired
    return result


@pytest.mark.parametrize("function", ["method", "function"])
def test_deferreds_and_coroutines_are_observed_to_their_end(installed, keeper, manager, connect, no_asyncio, function):
    """The dispatch ends with the last of them, not when the function returns."""
    first: Deferred[str] = Deferred()
    second: Deferred[str] = Deferred()
    third: Deferred[str] = Deferred()

    def returns_deferred():
        return first

    async def coroutine():
        return f"coroutine {await second}"

    @inlineCallbacks
    def steps(signal, sender):
        return f"steps {yield third}"

    connect(plain, returns_deferred, coroutine, steps, failing)
    if function == "method":
        pending = manager.send_catch_log_deferred(signals.item_scraped)
    else:
        pending = sending.send_catch_log_deferred(signals.item_scraped, manager.sender)
    assert keeper.notes == []
    first.callback("deferred")
    assert keeper.notes == []
    second.callback("ended")
    assert keeper.notes == []
    third.callback("ended")

    assert values(result_of(pending)) == ["plain", "deferred", "coroutine ended", "steps ended", ValueError]
    assert outcomes(keeper) == [
        (
            "send_catch_log_deferred",
            "item_scraped",
            "returned",
            [
                ("plain", "returned"),
                ("returns_deferred", "returned"),
                ("coroutine", "returned"),
                ("steps", "returned"),
                ("failing", "raised"),
            ],
        )
    ]
    [dispatch] = keeper.dispatches
    ends = {call.receiver.__name__: call.ended or 0 for call in dispatch.calls}
    assert ends["failing"] < ends["returns_deferred"] < ends["coroutine"] < ends["steps"]
    assert dispatch.ended is not None
    assert dispatch.ended >= ends["steps"]


def test_errors_that_come_late_are_the_receivers(installed, observer, manager, connect, no_asyncio, caplog):
    """Of a Deferred and of a coroutine; one by which it answers is none."""
    gate: Deferred[None] = Deferred()

    def returns_deferred():
        return gate.addCallback(lambda _: 1 / 0)

    async def coroutine():
        await defer.succeed(None)
        raise KeyError("late")

    def answering():
        return defer.fail(DontCloseSpider())

    connect(returns_deferred, coroutine, answering)
    pending = manager.send_catch_log_deferred(signals.item_scraped, dont_log=DontCloseSpider)
    gate.callback(None)

    assert values(result_of(pending)) == [ZeroDivisionError, KeyError, DontCloseSpider]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert [call for *_, calls in outcomes(observer) for call in calls] == [
        ("returns_deferred", "raised"),
        ("coroutine", "raised"),
        ("answering", "returned"),
    ]


def test_a_cancelled_dispatch_is_no_failure(installed, observer, manager, connect, no_asyncio):
    """Twisted passes the cancellation on to what receivers have returned."""

    def returns_deferred():
        return Deferred()

    async def coroutine():
        await Deferred()

    connect(returns_deferred, coroutine)
    pending = manager.send_catch_log_deferred(signals.item_scraped)
    pending.cancel()

    assert [call for *_, calls in outcomes(observer) for call in calls] == [
        ("returns_deferred", "cancelled"),
        ("coroutine", "cancelled"),
    ]
    pending.addErrback(lambda _: None)


def test_without_asyncio_send_catch_log_async_is_told_by_its_own_name(
    installed, observer, manager, connect, no_asyncio
):
    """Although another of Scrapy's functions does the work then."""
    gate: Deferred[str] = Deferred()

    async def coroutine():
        return await gate

    connect(coroutine, failing)
    pending = Deferred.fromCoroutine(manager.send_catch_log_async(signals.item_scraped))
    gate.callback("done")

    assert values(result_of(pending)) == ["done", ValueError]
    assert outcomes(observer) == [
        ("send_catch_log_async", "item_scraped", "returned", [("coroutine", "returned"), ("failing", "raised")])
    ]


def test_spans_of_what_goes_on_meanwhile_are_not_below_a_receiver(instrument, spans, manager, connect, no_asyncio):
    """A receiver's span is current while the receiver runs, at each of its steps, and at no other time."""
    first: Deferred[None] = Deferred()
    second: Deferred[None] = Deferred()

    def span(name):
        with spans.tracer.start_as_current_span(name):
            pass

    async def one():
        span("one begins")
        await first
        span("one ends")

    @inlineCallbacks
    def two(signal, sender):
        span("two begins")
        yield second
        span("two ends")

    def three():
        return second.addCallback(lambda _: span("a callback"))

    instrument("pydispatcher")
    connect(one, two, three)
    with spans.tracer.start_as_current_span("sender"):
        pending = manager.send_catch_log_deferred(signals.item_scraped)
        span("meanwhile")
    with spans.tracer.start_as_current_span("reactor"):
        second.callback(None)
        first.callback(None)
    assert values(result_of(pending)) == [None, None, None]

    assert spans.tree() == [
        (
            "sender",
            [
                (
                    "send_catch_log_deferred item_scraped",
                    [
                        ("handle one", [("one begins", []), ("one ends", [])]),
                        ("handle two", [("two begins", []), ("two ends", [])]),
                        ("handle three", []),
                    ],
                ),
                ("meanwhile", []),
            ],
        ),
        ("reactor", [("a callback", [])]),
    ]


# ------------------------------------------------------------------------------------------------- send_catch_log_async


def test_on_asyncio_receivers_run_beside_each_other(installed, keeper, manager, connect):
    """Coroutines, futures and plain results; errors are exceptions, not Failures."""

    async def main():
        gate = asyncio.Event()

        async def waiting():
            await gate.wait()
            return "waited"

        async def opening():
            gate.set()
            return "opened"

        def future():
            return asyncio.ensure_future(asyncio.sleep(0, "future"))

        async def late():
            await asyncio.sleep(0)
            raise KeyError("late")

        connect(waiting, opening, plain, future, failing, late)
        return await manager.send_catch_log_async(signals.item_scraped, item={})

    responses = asyncio.run(main())
    assert values(responses) == ["waited", "opened", "plain", "future", ValueError, KeyError]
    assert not [one for _, one in responses if isinstance(one, Failure)]
    assert outcomes(keeper) == [
        (
            "send_catch_log_async",
            "item_scraped",
            "returned",
            [
                ("waiting", "returned"),
                ("opening", "returned"),
                ("plain", "returned"),
                ("future", "returned"),
                ("failing", "raised"),
                ("late", "raised"),
            ],
        )
    ]
    assert keeper.dispatches[0].argument_names == ("item",)


def test_an_answer_of_a_coroutine_is_no_failure(installed, observer, manager, connect):
    """As it is none of a plain receiver."""

    async def answering():
        raise DontCloseSpider

    connect(answering)
    responses = asyncio.run(manager.send_catch_log_async(signals.item_scraped, dont_log=DontCloseSpider))

    assert values(responses) == [DontCloseSpider]
    assert outcomes(observer) == [("send_catch_log_async", "item_scraped", "returned", [("answering", "returned")])]


def test_two_dispatches_at_once_are_two(installed, observer, manager, connect):
    """The same receivers of the same signal, begun before either has ended."""

    async def main():
        both_have_begun = asyncio.Barrier(2)

        async def receiver(number):
            await both_have_begun.wait()
            return number

        connect(receiver)
        return await asyncio.gather(
            *(manager.send_catch_log_async(signals.item_scraped, number=number) for number in (1, 2))
        )

    assert [values(one) for one in asyncio.run(main())] == [[1], [2]]
    expected = ("send_catch_log_async", "item_scraped", "returned", [("receiver", "returned")])
    assert outcomes(observer) == [expected, expected]


def test_a_dispatch_may_be_cancelled(installed, observer, manager, connect):
    """Before its receivers have begun, and while they wait."""

    async def main():
        begun = asyncio.Event()

        async def waiting():
            begun.set()
            await asyncio.Event().wait()

        connect(waiting)
        early = asyncio.ensure_future(manager.send_catch_log_async(signals.item_scraped))
        early.cancel()
        late = asyncio.ensure_future(manager.send_catch_log_async(signals.item_scraped))
        await begun.wait()
        late.cancel()
        return await asyncio.gather(early, late, return_exceptions=True)

    assert [type(one) for one in asyncio.run(main())] == [asyncio.CancelledError] * 2
    assert outcomes(observer) == [("send_catch_log_async", "item_scraped", "cancelled", [("waiting", "cancelled")])]


def test_a_receiver_may_send_the_same_signal(installed, observer, manager, connect):
    """Its own dispatch is one of its own, and neither loses a receiver."""

    async def again(depth):
        if depth:
            await manager.send_catch_log_async(signals.item_scraped, depth=depth - 1)

    connect(again, plain)
    asyncio.run(manager.send_catch_log_async(signals.item_scraped, depth=2))

    expected = ("send_catch_log_async", "item_scraped", "returned", [("again", "returned"), ("plain", "returned")])
    assert outcomes(observer) == [expected] * 3


def test_tasks_that_a_receiver_leaves_behind_are_not_taken_for_it(installed, observer, manager, connect):
    """They inherit its context, and nothing of the dispatch."""
    left = []

    async def main():
        async def background():
            return calling.get()

        async def leaving():
            left.append(asyncio.ensure_future(background()))

        connect(leaving)
        await manager.send_catch_log_async(signals.item_scraped)
        return await left[0], calling.get()

    assert asyncio.run(main()) == (None, None)


# ------------------------------------------------------------------------------------------------ before, after, and gone


def test_what_is_replaced_looks_like_the_originals(installed):
    """Names, signatures, and whether it is awaited; what others call is not replaced at all."""
    for name in PLACES:
        original, replaced = ORIGINALS[name], vars(sending)[name]
        assert replaced is not original
        assert (replaced.__name__, replaced.__qualname__) == (name, name)
        assert replaced.__module__ == original.__module__
        assert inspect.signature(replaced) == inspect.signature(original)
        assert inspect.iscoroutinefunction(replaced) == inspect.iscoroutinefunction(original)
    assert {name: vars(sending)[name] for name in FUNCTIONS} == {name: ORIGINALS[name] for name in FUNCTIONS}


def test_scrapys_signals_are_known_by_name(installed):
    """All of them, sent or not."""
    own = {f"scrapy.signals.{name}" for name, one in vars(signals).items() if type(one) is object}

    assert "scrapy.signals.spider_opened" in own
    assert own <= set(instrumentor._adapters["pydispatcher"].signal_names())


def test_warnings_point_where_they_pointed(installed, observer, manager, connect, no_asyncio):
    """At who calls the older function, and at Scrapy for a receiver that returns a Deferred."""
    connect(lambda: defer.succeed("deferred"))
    manager.connect(returning := (lambda: defer.succeed("deferred")), signals.item_scraped)
    with pytest.warns(ScrapyDeprecationWarning) as caught:
        assert values(result_of(sending.send_catch_log_deferred(signals.item_scraped, manager.sender))) == ["deferred"]

    assert returning is not None
    assert [(one.filename, str(one.message).partition(",")[0]) for one in caught] == [
        (__file__, "send_catch_log_deferred() is deprecated"),
        (sending.__file__, "pydispatch.robustapply.robustApply returned a Deferred"),
    ]


@pytest.mark.parametrize("first", ["scrapy", "heliograph"])
def test_it_does_not_matter_who_is_imported_first(first):
    """Scrapy is observed, was not imported for that, and has its own functions back in the end."""
    program = f"""
        import sys
        if {first!r} == "scrapy":
            import scrapy.utils.signal
        import heliograph
        from heliograph.fanout.observer import observe
        from tests.support.observers import Recording
        undo, recording = heliograph.instrument("pydispatcher"), Recording()
        observe(recording)
        print(any(name == "scrapy" or name.startswith("twisted.internet") for name in sys.modules))
        from scrapy import signals
        from scrapy.utils import signal
        signal.send_catch_log(signals.spider_opened)
        undo()
        from pydispatch import dispatcher, robustapply
        print(recording.outcomes, signal.send_catch_log(signals.spider_opened), recording.outcomes)
        print([signal.getAllReceivers is dispatcher.getAllReceivers, signal.robustApply is robustapply.robustApply])
        here = {{name: vars(signal)[name].__code__.co_filename for name in {PLACES!r}}}
        print([name for name, path in here.items() if "heliograph" in path])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    sent = [("send_catch_log", "returned")]
    assert done.stdout.splitlines() == [str(first == "scrapy"), f"{sent} [] {sent}", "[True, True]", "[]"]


@pytest.fixture
def unknown_release(monkeypatch):
    """A Scrapy of the future, which looks receivers up in another way."""

    def send_catch_log(signal=dispatcher.Any, sender=dispatcher.Anonymous, *arguments, **named):
        return ["the future", signal, sender, named]

    async def send_catch_log_async(signal=dispatcher.Any, sender=dispatcher.Anonymous, *arguments, **named):
        await asyncio.sleep(0)
        if named:
            raise ValueError("future")
        return ["the future"]

    waited: Deferred[Any] = Deferred()
    monkeypatch.setattr(scrapy, "__version__", "9.3.0")
    monkeypatch.setattr(sending, "send_catch_log", send_catch_log)
    monkeypatch.setattr(sending, "send_catch_log_async", send_catch_log_async)
    monkeypatch.setattr(sending, "_send_catch_log_deferred", lambda *_, **__: waited)
    monkeypatch.delattr(sending, "_send_catch_log_asyncio")
    pydispatcher._say_unknown.cache_clear()
    return waited


def test_an_unknown_release_that_nobody_observes_is_as_it_was(unknown_release, manager):
    """Its functions are called and awaited, and that is all."""
    undo = pydispatcher.PyDispatcherAdapter().install()
    assert manager.send_catch_log(signals.item_scraped)[0] == "the future"
    assert asyncio.run(manager.send_catch_log_async(signals.item_scraped)) == ["the future"]
    undo()


def test_an_unknown_release_is_observed_from_outside(unknown_release, keeper, manager, caplog):
    """Its dispatches are, to their end; its receivers are not; it says so once, and results are its own."""
    before = dict(vars(sending))
    with caplog.at_level(logging.WARNING):
        undo = pydispatcher.PyDispatcherAdapter().install()
    assert manager.send_catch_log(signals.item_scraped, item=1)[0] == "the future"
    assert asyncio.run(manager.send_catch_log_async(signals.item_scraped)) == ["the future"]
    with pytest.raises(ValueError, match="future"):
        asyncio.run(manager.send_catch_log_async(signals.item_scraped, item=1))
    pending = manager.send_catch_log_deferred(signals.item_scraped)
    assert len(keeper.notes) == 3
    unknown_release.callback("the future")
    undo()

    assert result_of(pending) == "the future"
    [record] = caplog.records
    assert record.getMessage().startswith("heliograph does not know the dispatcher of Scrapy 9.3.0;")
    assert [note[:4] for note in keeper.notes] == [
        ("send_catch_log", "scrapy.signals.item_scraped", "returned", None),
        ("send_catch_log_async", "scrapy.signals.item_scraped", "returned", None),
        ("send_catch_log_async", "scrapy.signals.item_scraped", "raised", "ValueError"),
        ("send_catch_log_deferred", "scrapy.signals.item_scraped", "returned", None),
    ]
    assert {one.receivers for one in keeper.dispatches} == {None}
    assert dict(vars(sending)) == before


LOOP = "[robustApply(one, signal=signal) for one in liveReceivers(getAllReceivers(sender, signal))]"


@pytest.mark.parametrize(
    ("loops", "known"),
    [
        ({"send_catch_log": LOOP, "send_catch_log_deferred": LOOP}, True),
        ({"send_catch_log": LOOP}, False),
        ({"send_catch_log": LOOP, "send_catch_log_deferred": "[]"}, False),
        ({"send_catch_log": LOOP, "_send_catch_log_deferred": LOOP, "send_catch_log_async": "[]"}, False),
    ],
)
def test_a_release_is_known_by_what_its_functions_look_up(loops, known):
    """Those before 2.14 have fewer functions; one that looks up something else is none that is known."""
    module = ModuleType("scrapy.utils.signal")
    vars(module).update({name: ORIGINALS[name] for name in ("getAllReceivers", "liveReceivers", "robustApply")})
    for name, loop in loops.items():
        exec(f"def {name}(signal, sender): return {loop}", vars(module))

    assert adapters_scrapy.is_known(module) is known
    assert list(adapters_scrapy.senders(module)) == list(loops)


def test_without_observers_nothing_changes(installed, manager, connect, no_asyncio):
    """Results of all three, with nobody to tell."""
    connect(plain, failing)

    assert values(manager.send_catch_log(signals.item_scraped)) == ["plain", ValueError]
    assert values(result_of(manager.send_catch_log_deferred(signals.item_scraped))) == ["plain", ValueError]
    assert values(asyncio.run(sending._send_catch_log_asyncio(signals.item_scraped, manager.sender))) == [
        "plain",
        ValueError,
    ]


def test_observers_that_come_and_go_meanwhile_change_nothing(installed, manager, connect):
    """A dispatch begun unobserved is told to nobody."""

    async def main():
        begun, gate = asyncio.Event(), asyncio.Event()

        async def waiting():
            begun.set()
            await gate.wait()
            return "waited"

        connect(waiting)
        running = asyncio.ensure_future(manager.send_catch_log_async(signals.item_scraped))
        await begun.wait()
        recording = Recording()
        with observing(recording):
            gate.set()
            return values(await running), recording.notes

    assert asyncio.run(main()) == (["waited"], [])
