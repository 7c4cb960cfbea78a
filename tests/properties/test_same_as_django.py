"""Whatever receivers there are: heliograph.Signal does what Django's does, and observing changes nothing of it."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import django
import django.dispatch
import pytest
from asgiref.sync import sync_to_async
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import heliograph
from heliograph import instrumentor
from tests.support.observers import Recording, observing
from tests.support.telemetry import Metrics, Spans

DJANGO = django.dispatch.Signal
KNOWS_ASYNC = django.VERSION >= (5, 0)


class Failure(Exception):
    """Raised by receivers on purpose."""


class Plan(NamedTuple):
    """What a receiver is like."""

    kind: str
    fails: bool
    sender: str | None
    steps: int


KINDS = ["function", "method", "partial", "object", *(["async"] if KNOWS_ASYNC else [])]
SENDERS = {"shop": object(), "oven": object()}
plans = st.lists(
    st.builds(
        Plan,
        kind=st.sampled_from(KINDS),
        fails=st.booleans(),
        sender=st.sampled_from([None, *SENDERS]),
        steps=st.integers(min_value=0, max_value=2),
    ),
    max_size=7,
)
operations = st.sampled_from(["send", "send_robust", *(["asend", "asend_robust"] if KNOWS_ASYNC else [])])
senders = st.sampled_from([None, *SENDERS])


def receiver_for(number: int, plan: Plan, ran: list[int]) -> Any:  # noqa: C901  # one branch a kind
    """Return a receiver made to plan, which notes that it ran."""

    def body(value: Any) -> Any:
        ran.append(number)
        if plan.fails:
            raise Failure(number)
        return number, value

    if plan.kind == "async":

        async def receiver(value: Any, **_: Any) -> Any:
            for _step in range(plan.steps):
                await asyncio.sleep(0)
            return body(value)

        return receiver
    if plan.kind == "partial":
        import functools

        def with_more(value: Any, more: Any, **_: Any) -> Any:
            return body(value)

        partial = functools.partial(with_more, more=1)
        partial.__qualname__ = "partial"  # type: ignore[attr-defined]  # Django asks for it when it fails
        return partial

    class Holder:
        def method(self, value: Any, **_: Any) -> Any:
            return body(value)

        def __call__(self, value: Any, **_: Any) -> Any:
            return body(value)

    holder = Holder()
    holder.__qualname__ = "Holder"  # type: ignore[attr-defined]
    if plan.kind == "method":
        return holder.method
    if plan.kind == "object":
        return holder

    def function(value: Any, **_: Any) -> Any:
        return body(value)

    return function


def outcome(Signal: type[Any], plans: list[Plan], operation: str, sender: str | None) -> Any:
    """Send to receivers made to plan; return all that can be seen of it."""
    signal, ran = Signal(), list[int]()
    receivers = [receiver_for(number, plan, ran) for number, plan in enumerate(plans)]
    for one, plan in zip(receivers, plans, strict=True):
        signal.connect(one, sender=SENDERS.get(plan.sender or ""), weak=False)
    value = object()
    try:
        result = getattr(signal, operation)(sender=SENDERS.get(sender or ""), value=value)
        if operation.startswith("a"):
            result = asyncio.run(result)
    except Failure as error:
        if operation == "asend":  # a thread and a loop at the same time: who fails first is anybody's guess
            asyncio.run(sync_to_async(lambda: None)())  # the one thread for plain receivers is done with them now
            return "raised", None, None
        plain = [number for number in ran if plans[number].kind != "async"]
        # Which async receivers got how far when one failed is the dispatcher's affair and differs between releases.
        return "raised", plans[error.args[0]].kind == "async", plain
    seen = []
    for returned, response in result:
        number = receivers.index(returned)
        assert returned is receivers[number] or plans[number].kind == "method"
        if isinstance(response, Failure):
            assert response.args == (number,)
            seen.append((number, "failed"))
        else:
            assert response == (number, value)
            assert response[1] is value
            seen.append((number, "returned"))
    return "returned", seen, sorted(ran)


@contextmanager
def observed(how: str):
    """Let nobody, an observer, or telemetry observe."""
    with ExitStack() as stack:
        if how != "unobserved":
            stack.enter_context(observing(Recording()))
            stack.callback(instrumentor._adapters["django"].install())
        if how == "traced":
            stack.enter_context(
                heliograph.instrument(tracer_provider=Spans().provider, meter_provider=Metrics().provider)
            )
        yield


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """What is captured is not printed a thousand times."""
    for name in ("django.dispatch", "heliograph.dispatch"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


@pytest.mark.parametrize("how", ["observed", "traced"])
@settings(max_examples=60)
@given(plans=plans, operation=operations, sender=senders)
def test_any_receivers_give_the_same_results_on_both_signals_observed_or_not(how, plans, operation, sender):
    """Same pairs in the same order, same errors, same receivers run."""
    expected = outcome(DJANGO, plans, operation, sender)
    assert outcome(heliograph.Signal, plans, operation, sender) == expected
    with observed(how):
        assert outcome(DJANGO, plans, operation, sender) == expected
        assert outcome(heliograph.Signal, plans, operation, sender) == expected


@settings(max_examples=60)
@given(plans=plans, operation=operations, sender=senders)
def test_what_is_heard_is_what_happened(plans, operation, sender):
    """Each receiver that ran has a call with its outcome, and the dispatch has that of the send."""
    recording = Recording(keep=True)
    with observing(recording):
        kind, *_ = outcome(heliograph.Signal, plans, operation, sender)
    [dispatch] = recording.dispatches

    due = [plan for plan in plans if plan.sender in (None, sender)]
    assert dispatch.outcome is not None
    assert dispatch.outcome.value == kind
    assert len(dispatch.receivers or ()) == len(due)
    assert all(call.outcome is not None and call.ended is not None for call in dispatch.calls)
    assert len(dispatch.calls) + len(dispatch.skipped) == len(due)
    if kind == "returned":
        assert dispatch.failed_count == sum(plan.fails for plan in due)
    else:
        assert dispatch.failed_count >= 1


@settings(max_examples=40)
@given(plans=plans, operation=operations, sender=senders)
def test_the_spans_are_those_of_the_calls(plans, operation, sender):
    """One span a dispatch, one a call, all ended, all in one trace."""
    spans, recording = Spans(), Recording()
    with observing(recording), heliograph.instrument("heliograph", tracer_provider=spans.provider, slow=1000):
        outcome(heliograph.Signal, plans, operation, sender)
    [note] = recording.notes

    [(name, children)] = spans.tree()
    assert name == f"{operation} _OTHER"
    assert len(children) == len(note.calls)
    assert len({span.context.trace_id for span in spans.finished}) == 1
    failed = sum(call.outcome == "raised" for call in note.calls)
    assert sum(span.name.startswith("handle") and not span.status.is_ok for span in spans.finished) == failed


class BothSignals(RuleBasedStateMachine):
    """Connects, disconnects, sends and forgets on both signals alike, observed or not."""

    receivers: Bundle[int] = Bundle("receivers")

    def __init__(self) -> None:
        super().__init__()
        self.signals: list[Any] = [DJANGO(), heliograph.Signal()]
        self.alive: dict[int, Any] = {}
        self.next = 0
        self.undos = ExitStack()
        gc.disable()  # what dies when a reference goes must not wait for it

    def teardown(self) -> None:
        self.undos.close()
        gc.enable()

    @rule(target=receivers, kind=st.sampled_from([kind for kind in KINDS if kind != "async"]), fails=st.booleans())
    def make(self, kind: str, fails: bool) -> int:
        number, self.next = self.next, self.next + 1
        self.alive[number] = receiver_for(number, Plan(kind, fails, None, 0), [])
        return number

    @rule(
        number=receivers,
        sender=senders,
        weak=st.booleans(),
        uid=st.sampled_from([None, None, "uid", ("other", "uid")]),
    )
    def connect(self, number: int, sender: str | None, weak: bool, uid: Any) -> None:
        for signal in self.signals:
            signal.connect(self.alive[number], sender=SENDERS.get(sender or ""), weak=weak, dispatch_uid=uid)

    @rule(number=receivers, sender=senders)
    def disconnect(self, number: int, sender: str | None) -> None:
        django_says, own_says = (
            signal.disconnect(self.alive[number], sender=SENDERS.get(sender or "")) for signal in self.signals
        )
        assert own_says == django_says

    @rule(sender=senders, uid=st.sampled_from(["uid", ("other", "uid")]))
    def disconnect_uid(self, sender: str | None, uid: Any) -> None:
        django_says, own_says = (
            signal.disconnect(sender=SENDERS.get(sender or ""), dispatch_uid=uid) for signal in self.signals
        )
        assert own_says == django_says

    @rule(number=consumes(receivers))
    def forget(self, number: int) -> None:
        del self.alive[number]

    @rule(how=st.sampled_from(["unobserved", "observed", "traced"]))
    def observe(self, how: str) -> None:
        self.undos.close()
        self.undos.enter_context(observed(how))

    @rule(sender=senders)
    def send(self, sender: str | None) -> None:
        django_got, own_got = (self.responses(signal, sender) for signal in self.signals)
        assert own_got == django_got

    @invariant()
    def same_listeners(self) -> None:
        for sender in (None, *SENDERS.values()):
            django_says, own_says = (signal.has_listeners(sender) for signal in self.signals)
            assert own_says == django_says

    def responses(self, signal: Any, sender: str | None) -> list[Any]:
        result = signal.send_robust(sender=SENDERS.get(sender or ""), value="value")
        seen = []
        for _, response in result:
            if isinstance(response, Failure):
                seen.append(("failed", response.args[0]))
                response.__traceback__ = None  # its frames would keep the receivers
            else:
                seen.append(("returned", response[0]))
        return seen


BothSignals.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestBothSignals = pytest.mark.usefixtures("quiet")(BothSignals.TestCase)
