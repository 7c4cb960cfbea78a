"""Signals with a ``send`` of their own, as plugin systems have them: the dispatch is seen, and the signal none the wiser.

Which receivers such a method calls is seen from Python 3.12 on; before that, what a test expects of them is nothing.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import sys
import types
import warnings
import weakref
from typing import Any, Generic, TypeVar

import pytest
from django.dispatch import Signal

from heliograph import instrumentor
from heliograph.adapters import receiver_calls
from tests.support.observers import Recording

SEES_RECEIVERS = hasattr(sys, "monitoring")
needs_monitoring = pytest.mark.skipif(not SEES_RECEIVERS, reason="capability monitoring: Python 3.12 or newer has it")
needs_asend = pytest.mark.skipif(not hasattr(Signal, "asend"), reason="capability asend: Django 4.2 has none")

T = TypeVar("T")


class Shop:
    """A sender with plugins, as an event or an organizer has them."""

    plugins = ("core", "stamps")


def plain_receivers(signal, sender):
    live = signal._live_receivers(sender)
    return live[0] if isinstance(live, tuple) else live


class PluginSignal(Generic[T], Signal):  # noqa: PYI059  # in the order in which such classes are found
    """Calls the receivers of active plugins only, in the order of their modules."""

    type: Any = Shop

    def send(self, sender: T, **named: Any) -> Any:
        """Send to active plugins."""
        if not isinstance(sender, self.type):
            raise ValueError("not a shop")
        return [(one, one(signal=self, sender=sender, **named)) for one in self._active(sender)]

    def send_robust(self, sender: T, **named: Any) -> Any:
        """Send to active plugins, and go on where one fails."""
        responses: list[Any] = []
        for one in self._active(sender):
            try:
                response = one(signal=self, sender=sender, **named)
            except Exception as error:
                responses.append((one, error))
            else:
                responses.append((one, response))
        return responses

    def send_chained(self, sender: T, chain: str, **named: Any) -> Any:
        """Give each receiver what the one before it has returned."""
        for one in self._active(sender):
            named[chain] = one(signal=self, sender=sender, **named)
        return named[chain]

    def send_later(self, queue: list[Any], **named: Any) -> None:
        """Not a dispatch: nothing is sent now."""
        queue.append(named)

    def _active(self, sender: Any) -> list[Any]:
        ordered = sorted(plain_receivers(self, sender), key=lambda one: (one.__module__, one.__name__))
        return [one for one in ordered if one.__module__.partition(".")[0] in sender.plugins]


def plugin(module: str, **functions: Any) -> Any:
    """Return a function as receiver of a plugin's module, under a name of its own."""
    for name, function in functions.items():
        function.__module__, function.__name__, function.__qualname__ = module, name, name
    return next(iter(functions.values()))


@pytest.fixture
def installed():
    """Django's signals report, and no class keeps a trace of it."""
    before = {cls: dict(vars(cls)) for cls in (Signal, PluginSignal)}
    undo = instrumentor._adapters["django"].install()
    yield
    undo()
    assert {cls: dict(vars(cls)) for cls in before} == before
    assert not receiver_calls.receiver_calls.is_on


@pytest.fixture
def signal():
    """A plugin system's signal."""
    return PluginSignal()


@pytest.fixture
def plugins(signal):
    """Receivers: two of active plugins, one of another."""
    quiet = plugin("unknown.receivers", quiet=lambda **_: "never")
    price = plugin("stamps.receivers", price=lambda total=0, **_: total + 1)
    tax = plugin("core.receivers", tax=lambda total=0, **_: total * 2)
    for one in (quiet, price, tax):
        signal.connect(one, weak=False)
    return types.SimpleNamespace(quiet=quiet, price=price, tax=tax)


def seen(observer: Recording) -> list[Any]:
    """Return what was heard: operation, outcome, and the receivers with theirs, where they can be seen."""
    return [
        (one.operation, one.outcome, [(call.receiver, call.outcome) for call in one.calls]) for one in observer.notes
    ]


def where_seen(*calls: tuple[str, str]) -> list[tuple[str, str]]:
    return list(calls) if SEES_RECEIVERS else []


def test_the_dispatch_is_seen_and_its_results_are_what_they_were(installed, observer, signal, plugins):
    """The receivers themselves, in the order and of the choice of the signal's own method."""
    shop = Shop()

    assert signal.send(shop, total=5) == [(plugins.tax, 10), (plugins.price, 6)]
    assert signal.send_robust(sender=shop) == [(plugins.tax, 0), (plugins.price, 1)]
    assert signal.send_chained(shop, "total", total=3) == 7
    calls = where_seen(("tax", "returned"), ("price", "returned"))
    assert seen(observer) == [
        ("send", "returned", calls),
        ("send_robust", "returned", calls),
        ("send_chained", "returned", calls),
    ]


def test_what_sends_nothing_is_no_dispatch(installed, observer, signal):
    """A further method is a dispatch if its name begins with send and it takes a sender."""
    queue: list[Any] = []
    signal.send_later(queue, total=1)

    assert queue == [{"total": 1}]
    assert observer.notes == []


def test_what_the_method_itself_raises_is_the_dispatchs_error(installed, observer, signal):
    """The sender is wrong, before any receiver is called."""
    with pytest.raises(ValueError, match="not a shop"):
        signal.send(sender=None)

    [note] = observer.notes
    assert (note.outcome, note.error, note.calls) == ("raised", "ValueError", ())


def test_a_signal_that_nobody_hears_is_known_to_have_no_receivers(installed, keeper, signal):
    """On every Python: there is nothing to see."""
    assert signal.send(Shop()) == []
    assert [list(one.receivers) for one in keeper.dispatches] == [[]]


@pytest.mark.skipif(SEES_RECEIVERS, reason="before Python 3.12")
def test_receivers_that_cannot_be_seen_are_unknown(installed, keeper, signal, plugins):
    """Not none: nothing is said about them."""
    signal.send(Shop())

    assert [one.receivers for one in keeper.dispatches] == [None]


def failing(**_):
    raise LookupError("failing")


@needs_monitoring
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_a_receiver_that_raises_is_seen_to(installed, observer, signal, plugins, error):
    """Whatever it raises, and whatever the method makes of it."""

    def raising(**_):
        raise error

    signal.connect(plugin("core.receivers", zebra=raising), weak=False)
    with pytest.raises(error):
        signal.send(Shop())

    [note] = observer.notes
    assert (note.outcome, note.error) == ("raised", error.__name__)
    assert [(call.receiver, call.outcome, call.error) for call in note.calls] == [
        ("tax", "returned", None),
        ("zebra", "raised", error.__name__),
    ]


@needs_monitoring
def test_what_the_method_captures_is_the_receivers_error_alone(instrument, spans, signal, plugins):
    """Its span is an error with the exception; the dispatch counts it."""
    instrument("django")
    signal.connect(plugin("core.receivers", zebra=lambda **_: failing()), weak=False)
    responses = signal.send_robust(Shop())

    assert [response for _, response in responses[::2]] == [0, 1]
    assert isinstance(responses[1][1], LookupError)
    dispatch, failed = spans.named("send_robust _OTHER"), spans.named("handle core.receivers.zebra")
    assert dispatch.status.is_unset
    assert dispatch.attributes["heliograph.dispatch.receiver.failed_count"] == 1
    assert dispatch.attributes["heliograph.dispatch.receiver.count"] == 3
    assert failed.attributes["error.type"] == "LookupError"
    assert [event.attributes["exception.message"] for event in failed.events] == ["failing"]


@needs_monitoring
def test_what_a_receiver_does_is_under_its_span(instrument, spans, signal):
    """Spans of the application, and signals it sends in turn."""
    instrument("django")
    other = Signal()
    other.connect(failing, weak=False)

    def works(**_):
        with spans.tracer.start_as_current_span("query"):
            other.send_robust(sender=None)

    signal.connect(plugin("core.receivers", works=works), weak=False)
    with spans.tracer.start_as_current_span("request"):
        signal.send(Shop())
        with spans.tracer.start_as_current_span("after"):
            pass

    assert spans.tree() == [
        (
            "request",
            [
                (
                    "send _OTHER",
                    [("handle works", [("query", [("send_robust _OTHER", [("handle failing", [])])])])],
                ),
                ("after", []),
            ],
        )
    ]


class HandsOver(Signal):
    """Checks something, and has Django's own method do the rest."""

    def send(self, sender: Any, **named: Any) -> Any:
        if sender == "nobody":
            raise ValueError("sender")
        return super().send(sender, **named)

    def send_robust(self, sender: Any, **named: Any) -> Any:
        return self.through_a_helper(sender, **named)

    def through_a_helper(self, sender: Any, **named: Any) -> Any:
        return [pair for one in [sender, sender] for pair in super(HandsOver, self).send_robust(one, **named)]


class HandsOverToo(HandsOver):
    """And so does a class above it."""

    def send(self, sender: Any, **named: Any) -> Any:
        return super().send(sender, more=1, **named)


def receiver(**named):
    return named.get("more", 0)


def test_a_method_that_hands_over_is_told_of_once(installed, observer):
    """What Django's own method records is the dispatch, however deep down it is called."""
    for signal, more in ((HandsOver(), 0), (HandsOverToo(), 1)):
        signal.connect(receiver)
        assert signal.send(None) == [(receiver, more)]
        assert signal.send_robust(None) == [(receiver, 0), (receiver, 0)]

    calls = [("receiver", "returned")]
    assert (
        seen(observer)
        == [
            ("send", "returned", calls),
            ("send_robust", "returned", calls),
            ("send_robust", "returned", calls),
        ]
        * 2
    )


def test_a_method_that_fails_before_it_hands_over_is_seen(installed, observer):
    """Nobody else would tell of it."""
    with pytest.raises(ValueError, match="sender"):
        HandsOver().send("nobody")

    assert seen(observer) == [("send", "raised", [])]


def test_a_receiver_that_sends_the_same_signal_again_is_not_handing_over(installed, observer, signal):
    """Both dispatches are told of, on every Python."""

    def again(depth=0, **_):
        return signal.send(Shop(), depth=depth - 1) if depth else "bottom"

    signal.connect(plugin("core.receivers", again=again), weak=False)
    assert signal.send(Shop(), depth=2) == [(again, [(again, [(again, "bottom")])])]

    assert seen(observer) == [("send", "returned", where_seen(("again", "returned")))] * 3


def warned_from(call: Any) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return caught[0].filename


class Deprecated(Signal):
    """Complains to who sends it, and lets receivers complain to whoever calls it."""

    def send(self, sender: Any, **named: Any) -> Any:
        if sender == "warn":
            warnings.warn("old", DeprecationWarning, stacklevel=2)
        if sender == "log":
            logging.getLogger(__name__).error("old", stacklevel=2)
        return [(one, one(signal=self, sender=sender, **named)) for one in plain_receivers(self, sender)]


def complaining(**_):
    warnings.warn("receiver", DeprecationWarning, stacklevel=3)


def test_warnings_and_log_lines_point_where_they_did(installed, observer, caplog):
    """The frame around the method is passed over: what it says of its sender is of the sender."""
    signal = Deprecated()
    assert warned_from(lambda: signal.send("warn")) == __file__
    signal.connect(complaining)
    assert warned_from(lambda: signal.send(None)) == __file__
    signal.disconnect(complaining)
    signal.send("log")

    assert [record.funcName for record in caplog.records] == ["test_warnings_and_log_lines_point_where_they_did"]
    assert [one.operation for one in observer.notes] == ["send"] * 3


def test_the_methods_look_like_their_own(installed):
    """Names, documentation, signature; and what they wrap can be had."""
    for name in ("send", "send_robust", "send_chained"):
        method: Any = vars(PluginSignal)[name]
        original = method.__wrapped__
        assert (method.__name__, method.__qualname__) == (name, f"PluginSignal.{name}")
        assert method.__doc__ == original.__doc__
        assert method.__module__ == __name__
        assert inspect.signature(method) == inspect.signature(original)
    assert not hasattr(vars(PluginSignal)["send_later"], "__wrapped__")


def test_classes_defined_later_are_seen_and_forgotten(observer):
    """As long as it is installed; undone, they are what they would be."""
    undo = instrumentor._adapters["django"].install()

    class Later(PluginSignal[Shop]):
        def send(self, sender: Any, **named: Any) -> Any:
            return "later"

    assert Later().send(Shop()) == "later"
    undo()
    assert Later().send(Shop()) == "later"

    assert [one.operation for one in observer.notes] == ["send"]
    assert not hasattr(Later.send, "__wrapped__")
    assert "__init_subclass__" not in vars(Signal)


def mortal_signal() -> Any:
    class Mortal(Signal):
        def send(self, sender: Any, **named: Any) -> Any:
            assert super().has_listeners(sender)
            return [(one, one(signal=self, sender=sender, **named)) for one in plain_receivers(self, sender)]

    def mortal(**_: Any) -> str:
        return "mortal"

    signal = Mortal()
    signal.connect(mortal, weak=False)
    return signal, [weakref.ref(one) for one in (Mortal, signal, mortal, mortal.__code__)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_classes_die_as_they_would(when, observer):
    """Whether they were there first or came later; their receivers and their code as well."""
    there = [mortal_signal()] if when == "before" else []
    undo = instrumentor._adapters["django"].install()
    signal, references = there.pop() if there else mortal_signal()
    [(_, response)] = signal.send(None)
    code = references.pop()
    del signal, _
    gc.collect()
    alive = [one() for one in references]
    undo()

    assert response == "mortal"
    assert [one.operation for one in observer.notes] == ["send"]
    assert alive == [None, None, None]
    assert code() in mortal_signal.__code__.co_consts  # it lives in the code of what made it, and nowhere else


def test_a_method_of_djangos_under_another_name_is_djangos(observer):
    """It is seen as that, receivers and all, and is itself again when undone."""

    class Robust(Signal):
        send = Signal.send_robust  # type: ignore[assignment]

    original = vars(Robust)["send"]
    signal = Robust()
    signal.connect(failing, weak=False)
    undo = instrumentor._adapters["django"].install()
    [(_, error)] = signal.send(sender=None)
    undo()

    assert isinstance(error, LookupError)
    assert seen(observer) == [("send_robust", "returned", [("failing", "raised")])]
    assert vars(Robust)["send"] is original


def checked(function):
    """Make receivers that share their code, as a plugin system's decorator does."""

    @functools.wraps(function)
    def wrapper(**named):
        return function(**named)

    return wrapper


class Handler:
    """Receivers that share their code: methods and objects."""

    def __init__(self, name: str) -> None:
        self.name = name

    def method(self, **_: Any) -> str:
        return self.name

    def __call__(self, **_: Any) -> str:
        return self.name


class Everybody(Signal):
    """Calls all there are, backwards."""

    def send(self, sender: Any, **named: Any) -> Any:
        backwards = list(reversed(plain_receivers(self, sender)))
        return [(one, one(signal=self, sender=sender, **named)) for one in backwards]


@needs_monitoring
def test_receivers_that_share_their_code_are_told_apart(installed, keeper):
    """By what they are bound to."""
    signal = Everybody()
    objects = [Handler("one"), Handler("two")]
    receivers: list[Any] = [
        *(checked(named) for named in (lambda **_: "first", lambda **_: "second")),
        *(one.method for one in objects),
        *objects,
        *(functools.partial(named, more=1) for named in (lambda more, **_: "partial", lambda more, **_: "partials")),
    ]
    for one in receivers:
        signal.connect(one, weak=False)
    called = [one for one, _ in signal.send(None)]

    [dispatch] = keeper.dispatches
    assert called == receivers[::-1]
    assert [call.receiver for call in dispatch.calls] == called


@needs_monitoring
def test_receivers_that_are_not_written_in_python_are_not_seen(installed, observer):
    """The dispatch is, and so are the others."""
    signal, kept = Everybody(), []

    class Kept(dict):  # type: ignore[type-arg]
        __call__ = dict.update

    signal.connect(Kept(), weak=False)
    signal.connect(lambda **_: kept.append(1), weak=False)
    signal.send(None)

    assert kept == [1]
    assert seen(observer) == [("send", "returned", [("<lambda>", "returned")])]


@needs_monitoring
def test_a_receiver_called_by_another_is_not_called_by_the_signal(installed, observer):
    """A function that a receiver calls is a function, connected or not; so is one that calls itself."""
    signal = Everybody()

    def first(depth=2, **_):
        return first(depth=depth - 1) if depth else "first"

    def second(**_):
        return first()

    signal.connect(first)
    signal.connect(second)
    assert signal.send(None) == [(second, "first"), (first, "first")]
    first()

    assert seen(observer) == [("send", "returned", [("second", "returned"), ("first", "returned")])]


@needs_monitoring
def test_a_receiver_of_two_signals_belongs_to_the_one_that_calls_it(installed, observer):
    """Also where one is sent by a receiver of the other."""
    signal, other = Everybody(), Signal()

    def both(**_):
        return "both"

    def sends(**_):
        return other.send(sender=None)

    signal.connect(both)
    signal.connect(sends)
    other.connect(both)
    signal.send(None)

    assert seen(observer) == [
        ("send", "returned", [("both", "returned")]),
        ("send", "returned", [("sends", "returned"), ("both", "returned")]),
    ]


@needs_monitoring
def test_only_receivers_of_the_sender_are_looked_at(installed, observer):
    """One that is connected to another sender and runs meanwhile is no call of this dispatch."""
    signal = Everybody()

    def other(**_):
        return "other"

    def mine(**_):
        return other()

    signal.connect(mine, sender=Shop)
    signal.connect(other, sender=Handler)
    signal.send(Shop)

    assert seen(observer) == [("send", "returned", [("mine", "returned")])]


def test_a_receiver_that_dies_during_the_send_is_not_kept(installed, observer):
    """Whether the method still calls it is the method's affair; nobody else holds it."""

    class Weak(Signal):
        dying: Any

        def send(self, sender: Any, **named: Any) -> Any:
            dying = self.dying
            self.dying = None
            reference = weakref.ref(dying)
            del dying
            return reference()

    signal: Any = Weak()
    signal.dying = Handler("dying")
    signal.connect(signal.dying)

    assert signal.send(None) is None
    assert [one.operation for one in observer.notes] == ["send"]


@needs_monitoring
def test_where_others_have_taken_the_interpreters_tools_receivers_are_unknown(keeper):
    """A debugger and a profiler come first; the dispatch is seen."""
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    for tool in (3, 4):
        monitoring.use_tool_id(tool, "somebody")
    try:
        undo = instrumentor._adapters["django"].install()
        signal = Everybody()
        signal.connect(receiver)
        assert signal.send(None) == [(receiver, 0)]
        undo()
        assert [monitoring.get_tool(tool) for tool in (3, 4)] == ["somebody", "somebody"]
    finally:
        for tool in (3, 4):
            monitoring.free_tool_id(tool)

    assert [one.receivers for one in keeper.dispatches] == [None]


@needs_monitoring
def test_undone_the_interpreter_reports_nothing(observer):
    """No event is left on any code, and the tool is free for others."""
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    undo = instrumentor._adapters["django"].install()
    signal = Everybody()
    signal.connect(receiver)
    signal.send(None)
    tool = receiver_calls.receiver_calls._tool
    assert monitoring.get_tool(tool) == "heliograph"
    assert monitoring.get_local_events(tool, receiver.__code__) != 0
    undo()

    assert monitoring.get_tool(tool) is None
    monitoring.use_tool_id(tool, "somebody")
    assert monitoring.get_events(tool) == 0
    assert monitoring.get_local_events(tool, receiver.__code__) == 0
    monitoring.free_tool_id(tool)
    assert [len(one.calls) for one in observer.notes] == [1]


class Awaited(Signal):
    """Awaits its receivers one after the other, plain and async ones mixed."""

    async def asend(self, sender: Any, **named: Any) -> Any:
        responses: list[Any] = []
        for one in reversed([one for receivers in self._live_receivers(sender) for one in receivers]):
            response = one(signal=self, sender=sender, **named)
            responses.append((one, await response if inspect.isawaitable(response) else response))
        return responses

    async def asend_robust(self, sender: Any, **named: Any) -> Any:
        _, live = self._live_receivers(sender)
        return await asyncio.gather(*(one(signal=self, sender=sender, **named) for one in live), return_exceptions=True)


async def waits(**_):
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return "waited"


async def fails(**_):
    await asyncio.sleep(0)
    raise LookupError("fails")


@needs_asend
def test_awaited_methods_are_seen(installed, observer):
    """With the receivers that they await, plain ones among them."""
    signal = Awaited()
    for one in (waits, receiver, fails):
        signal.connect(one)
    with pytest.raises(LookupError, match="fails"):
        asyncio.run(signal.asend(None))
    signal.disconnect(fails)
    assert asyncio.run(signal.asend(None)) == [(waits, "waited"), (receiver, 0)]

    assert [(one.operation, one.outcome) for one in observer.notes] == [("asend", "raised"), ("asend", "returned")]
    assert [[tuple(call) for call in one.calls] for one in observer.notes] == [
        where_seen(("fails", "async", "raised", "LookupError")),  # type: ignore[arg-type]
        where_seen(("receiver", "sync", "returned", None), ("waits", "async", "returned", None)),  # type: ignore[arg-type]
    ]


@needs_asend
@needs_monitoring
def test_receivers_that_wait_side_by_side_have_a_context_each(instrument, spans):
    """Spans that they start between two waits are under their own."""
    instrument("django")
    signal = Awaited()

    def working(name):
        async def works(**_):
            for step in range(2):
                with spans.tracer.start_as_current_span(f"{name} {step}"):
                    await asyncio.sleep(0)

        return works

    receivers = [working("a"), working("b")]
    for one in receivers:
        signal.connect(one)
    assert asyncio.run(signal.asend_robust(None)) == [None, None]

    assert spans.tree() == [
        ("asend_robust _OTHER", [("handle works", [(f"{name} 0", []), (f"{name} 1", [])]) for name in "ab"])
    ]


@needs_asend
@needs_monitoring
def test_a_cancelled_receiver_ends_as_such(installed, observer):
    """And what it does about it happens within its context; the cancellation goes on its way."""
    signal, did = Awaited(), []

    async def cancelled(**_):
        try:
            await asyncio.Event().wait()
        finally:
            did.append("cleaned up")

    async def main():
        signal.connect(cancelled)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(signal.asend(None), timeout=0.01)

    asyncio.run(main())
    assert did == ["cleaned up"]
    assert seen(observer) == [("asend", "cancelled", [("cancelled", "cancelled")])]


class AwaitsHandingOver(Signal):
    """Has Django's own method do it: awaited, or as what a plain method returns."""

    async def asend(self, sender: Any, **named: Any) -> Any:
        return await super().asend(sender, **named)

    def asend_robust(self, sender: Any, **named: Any) -> Any:
        return super().asend_robust(sender, **named)


@needs_asend
def test_an_awaited_method_that_hands_over_is_told_of_once(installed, observer):
    """Whether it is a coroutine function or returns what one does."""
    signal = AwaitsHandingOver()
    signal.connect(waits)
    assert asyncio.run(signal.asend(None)) == [(waits, "waited")]
    assert asyncio.run(signal.asend_robust(None)) == [(waits, "waited")]

    calls = [("waits", "returned")]
    assert seen(observer) == [("asend", "returned", calls), ("asend_robust", "returned", calls)]
    assert not inspect.iscoroutinefunction(AwaitsHandingOver.asend_robust)
    assert inspect.iscoroutinefunction(AwaitsHandingOver.asend)
