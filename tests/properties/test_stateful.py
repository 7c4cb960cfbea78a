"""Whatever happens to a signal, in whatever order: four of them go through it alike.

One is Django's as Django has it: of a copy of its module that nobody instruments. One is Django's, observed. Two are
heliograph's, observed and not. Each has receivers of its own, which may fail, connect, disconnect, forget or send
while they run; and after each step all four have called the same, returned the same, and let go of the same.

``HELIOGRAPH_SEARCH=seconds`` searches at random for that long, beyond the examples that are the same on every machine.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib.util
import logging
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import django
import django.dispatch
import pytest
import structlog
from asgiref.sync import sync_to_async
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import heliograph
from heliograph import instrumentor
from tests.support.observers import Recording, observing
from tests.support.telemetry import Metrics, Spans

KNOWS_ASYNC = django.VERSION >= (5, 0)
VERBS = ["send", "send_robust", *(["asend_robust"] if KNOWS_ASYNC else [])]
KINDS = ["function", "method", "partial", "object", *(["async"] if KNOWS_ASYNC else [])]
ACTIONS = [
    "nothing",
    "nothing",
    "fail",
    "interrupt",
    "connect",
    "disconnect",
    "forget",
    "collect",
    "send",
    "send_robust",
]
SENDERS: dict[str | None, Any] = {
    None: None,
    "shop": lambda: None,
    "oven": lambda: None,
}  # a cache refers to them weakly
DEEPEST = 3
MOST = 8  # receivers


class Failure(Exception):
    """Raised by receivers on purpose."""


class Interrupt(BaseException):
    """The same, for what no ``except Exception`` catches."""


def pristine() -> Any:
    """Return Django's dispatcher from a module of its own, which is instrumented by nobody."""
    spec = importlib.util.find_spec("django.dispatch.dispatcher")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Signal


class World:
    """A signal and its receivers."""

    def __init__(self, signal: Any) -> None:
        self.signal = signal
        self.heard: list[tuple[int, Any]] = []
        self.holders: dict[int, Any] = {}
        self.born: dict[int, weakref.ref[Any]] = {}
        self._depth = 0

    def make(self, number: int, kind: str, action: str, target: int) -> None:
        """Make a receiver that does *action* to the receiver *target* when it is called."""
        holder = _holder(self, number, kind, action, target)
        self.holders[number] = holder
        self.born[number] = weakref.ref(holder)

    def receiver(self, number: int) -> Any:
        """Return what is connected for a number, or None if it has been forgotten."""
        holder = self.holders.get(number)
        return holder.method if isinstance(holder, _Methods) else holder

    def connect(self, number: int, sender: str | None = None, *, weak: bool = True, uid: Any = None) -> None:
        receiver = self.receiver(number)
        if receiver is not None:
            self.signal.connect(receiver, sender=SENDERS[sender], weak=weak, dispatch_uid=uid)

    def disconnect(self, number: int, sender: str | None = None) -> Any:
        receiver = self.receiver(number)
        return None if receiver is None else self.signal.disconnect(receiver, sender=SENDERS[sender])

    def disconnect_uid(self, sender: str | None, uid: Any) -> Any:
        return self.signal.disconnect(sender=SENDERS[sender], dispatch_uid=uid)

    def forget(self, number: int) -> None:
        self.holders.pop(number, None)

    def send(self, verb: str, sender: str | None) -> Any:
        """Send; return what came of it, in words."""
        try:
            result = getattr(self.signal, verb)(sender=SENDERS[sender], value=sender)
            if verb.startswith("a"):
                result = asyncio.run(result)
                asyncio.run(sync_to_async(lambda: None)())  # asgiref's one thread has let go of the receivers by now
        except (Failure, Interrupt) as error:
            error.__traceback__ = None  # its frames would keep the receivers
            return "raised", type(error).__name__, error.args
        return [(_number(receiver), _words(response)) for receiver, response in result]

    def called(self, number: int, action: str, target: int, value: Any) -> Any:
        """Do what the receiver does."""
        self.heard.append((number, value))
        if action == "fail":
            raise Failure(number)
        if action == "interrupt":
            raise Interrupt(number)
        if action in {"connect", "disconnect", "forget"}:
            getattr(self, action)(target)
        elif action == "collect":
            gc.collect()
        elif action in {"send", "send_robust"} and self._depth < DEEPEST:
            self._depth += 1
            try:
                return self.send(action, "oven")
            finally:
                self._depth -= 1
        return number

    @property
    def alive(self) -> list[int]:
        """The numbers of all receivers that have not died."""
        return [number for number, reference in self.born.items() if reference() is not None]


class _Methods:
    def __init__(self, number: int, body: Any) -> None:
        self.number = number
        self._body = body

    def method(self, value: Any, **_: Any) -> Any:
        return self._body(value)


def _holder(world: World, number: int, kind: str, action: str, target: int) -> Any:
    body = functools.partial(_call, weakref.ref(world), number, action, target)
    if kind == "method":
        return _Methods(number, body)
    if kind == "object":
        one: Any = _Callable(number, body)
        return one

    def function(value: Any, **_: Any) -> Any:
        return body(value)

    async def coroutine(value: Any, **_: Any) -> Any:
        await asyncio.sleep(0)
        if action in {"fail", "interrupt"}:
            raise Failure(number)
        return number

    made: Any = {"function": function, "async": coroutine}.get(kind) or functools.partial(function)
    made.number, made.__qualname__ = number, kind
    return made


class _Callable:
    """A callable object, with the name that Django wants when it fails."""

    __qualname__: Any

    def __init__(self, number: int, body: Any) -> None:
        self.number = number
        self._body = body
        self.__dict__["__qualname__"] = "object"

    def __call__(self, value: Any, **_: Any) -> Any:
        return self._body(value)


def _call(world: weakref.ref[World], number: int, action: str, target: int, value: Any) -> Any:
    there = world()
    assert there is not None
    return there.called(number, action, target, value)


def _number(receiver: Any) -> int:
    number: int = receiver.number if hasattr(receiver, "number") else receiver.__self__.number
    return number


def _words(response: Any) -> Any:
    if isinstance(response, BaseException):
        response.__traceback__ = None
        return type(response).__name__, response.args
    return response


def observations() -> dict[str, Any]:
    """Return ways to observe, each a function that begins it and lets an ``ExitStack`` end it."""

    def by_an_observer(undos: ExitStack) -> None:
        undos.enter_context(observing(Recording()))
        undos.callback(instrumentor._adapters["django"].install())

    def traced(undos: ExitStack, provider: TracerProvider, **arguments: Any) -> None:
        arguments = {"excluded_signals": ["unobserved.*"], **arguments}
        undos.callback(provider.shutdown)
        undos.enter_context(
            heliograph.instrument(tracer_provider=provider, meter_provider=Metrics().provider, **arguments)
        )

    def later(undos: ExitStack) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter(), schedule_delay_millis=3_600_000))
        traced(undos, provider, level="errors", slow=1000)

    return {
        "nobody": lambda _: None,
        "an observer": by_an_observer,
        "all at once": lambda undos: traced(undos, Spans().provider),
        "errors, later": later,
        "nothing is sampled": lambda undos: traced(undos, Spans(sampler=ALWAYS_OFF).provider),
    }


OBSERVATIONS = observations()
numbers = st.integers(min_value=0, max_value=MOST - 1)
senders = st.sampled_from(list(SENDERS))
uids = st.sampled_from(["uid", ("other", "uid")])


class FourSignals(RuleBasedStateMachine):
    """Goes through the same with all of them."""

    PRISTINE = pristine()

    def __init__(self) -> None:
        super().__init__()
        self.undos = ExitStack()
        gc.collect()
        gc.disable()  # what dies when a reference goes must not wait for it

    @initialize(caching=st.booleans())
    def begin(self, caching: bool) -> None:
        own = [heliograph.Signal(use_caching=caching, name=f"{name}.signal") for name in ("unobserved", "observed")]
        django_signals = [make(use_caching=caching) for make in (self.PRISTINE, django.dispatch.Signal)]
        self.worlds = [World(signal) for signal in (*django_signals, *own)]

    def teardown(self) -> None:
        self.undos.close()
        gc.enable()

    def all(self, method: str, *arguments: Any, **named: Any) -> None:
        """Do the same in each world; all come to the same."""
        first, *others = (getattr(world, method)(*arguments, **named) for world in self.worlds)
        for other in others:
            assert other == first

    @rule(number=numbers, kind=st.sampled_from(KINDS), action=st.sampled_from(ACTIONS), other=numbers)
    def make(self, number: int, kind: str, action: str, other: int) -> None:
        self.all("make", number, kind, action, other)

    @rule(number=numbers, sender=senders, weak=st.booleans(), uid=st.one_of(st.none(), uids))
    def connect(self, number: int, sender: str | None, weak: bool, uid: Any) -> None:
        self.all("connect", number, sender, weak=weak, uid=uid)

    @rule(number=numbers)
    def connect_to_all(self, number: int) -> None:
        self.all("connect", number)

    @rule(number=numbers, sender=senders)
    def disconnect(self, number: int, sender: str | None) -> None:
        self.all("disconnect", number, sender)

    @rule(sender=senders, uid=uids)
    def disconnect_uid(self, sender: str | None, uid: Any) -> None:
        self.all("disconnect_uid", sender, uid)

    @rule(number=numbers)
    def forget(self, number: int) -> None:
        self.all("forget", number)

    @rule(verb=st.sampled_from(VERBS), sender=st.sampled_from(["shop", "oven"]))
    def send(self, verb: str, sender: str) -> None:
        self.all("send", verb, sender)

    @rule()
    def collect(self) -> None:
        gc.collect()

    @rule(how=st.sampled_from(list(OBSERVATIONS)))
    def observe(self, how: str) -> None:
        self.undos.close()
        OBSERVATIONS[how](self.undos)

    @invariant()
    def the_same_were_called(self) -> None:
        first, *others = (world.heard for world in self.worlds)
        for other in others:
            assert other == first

    @invariant()
    def the_same_are_alive(self) -> None:
        first, *others = (world.alive for world in self.worlds)
        for other in others:
            assert other == first

    @invariant()
    def the_same_listen(self) -> None:
        for sender in ("shop", "oven"):
            first, *others = (world.signal.has_listeners(SENDERS[sender]) for world in self.worlds)
            for other in others:
                assert other == first


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What is captured is not printed a thousand times."""
    logging.disable(logging.CRITICAL)
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    yield
    structlog.reset_defaults()
    logging.disable(logging.NOTSET)


def test_four_signals_go_through_the_same_alike():
    """The same examples on every machine."""
    run_state_machine_as_test(FourSignals, settings=settings(max_examples=30, stateful_step_count=30))


@pytest.mark.skipif("HELIOGRAPH_SEARCH" not in os.environ, reason="asked for by HELIOGRAPH_SEARCH=seconds alone")
def test_a_search_for_what_tells_them_apart():
    """Examples at random, other ones each time, for as long as was asked."""
    end = time.monotonic() + float(os.environ.get("HELIOGRAPH_SEARCH", "0"))
    wide = settings(max_examples=50, stateful_step_count=60, derandomize=False)
    examples = 0
    while time.monotonic() < end:
        run_state_machine_as_test(FourSignals, settings=wide)
        examples += wide.max_examples
    print(f"{examples} examples of up to {wide.stateful_step_count} steps")
    assert examples > 0
