"""Whatever is sent: the spans made late, and those made through OpenTelemetry's API alone, are the same spans.

A generated program runs twice, and all that can be seen of it is compared: what was exported, recorded, logged,
returned and raised, and what was current where.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import ExitStack, suppress
from contextvars import copy_context
from difflib import unified_diff
from typing import Any, NamedTuple

import pytest
import structlog
from hypothesis import event, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, TraceState

import heliograph
from heliograph import instrumentor
from heliograph.telemetry import semconv
from heliograph.telemetry.api_spans import ApiSpans
from heliograph.telemetry.late_spans import LateSpans

FOREIGN = SpanContext(0xF0, 0xE1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
STATE = TraceState([("vendor", "value")])
PARENTS = {
    "remote": FOREIGN,
    "remote, not sampled": SpanContext(0xF0, 0xE2, is_remote=True, trace_flags=TraceFlags(0)),
    "remote with a state": SpanContext(0xF0, 0xE3, True, TraceFlags(TraceFlags.SAMPLED), STATE),
}
SAMPLERS: dict[str, Sampler] = {
    "all": ALWAYS_ON,
    "none": ALWAYS_OFF,
    "as the parent": ParentBased(ALWAYS_ON),
    "half": TraceIdRatioBased(0.5),
    "as the parent, or half": ParentBased(TraceIdRatioBased(0.5)),
}
SENDERS = {"shop": object(), "oven": dict}
TIMES = {semconv.ROLLED_UP_DURATION, semconv.ROLLED_UP_WORST}


class Failure(Exception):
    """Raised by receivers on purpose."""


class Unspeakable(Exception):
    """Cannot be described."""

    def __str__(self) -> str:
        raise RuntimeError


class Halt(BaseException):
    """Not captured by ``send_robust``."""


FAILURES = (Failure, Unspeakable, Halt, asyncio.CancelledError)


# What programs are made of.


class Do(NamedTuple):
    """What a receiver does to its current span, or to the context."""

    what: str


class Child(NamedTuple):
    """What it does within a span of its own."""

    actions: list[Any]


class Receiver(NamedTuple):
    """What a receiver is like."""

    name: str
    is_async: bool
    uid: str | None
    actions: list[Any]
    failure: type[BaseException] | None


class Send(NamedTuple):
    """One send, and who hears it. If guarded, nothing that it raises gets further."""

    signal: str
    operation: str
    sender: str | None
    guarded: bool
    receivers: list[Receiver]


class Program(NamedTuple):
    """All sends of one run, and under what."""

    sends: list[Send]
    parent: str | None
    settings: dict[str, Any]
    sampler: str
    trace_id: int
    batched: bool
    metered: bool


DEEDS = (
    "attribute",
    "attributes",
    "event",
    "link",
    "rename",
    "status",
    "exception",
    "is recording",
    "ids",
    "end",
    "await",
    "with",
    "attach baggage",
    "attach span",
    "detach",
)
SIGNALS = ("shop.loud", "shop.quiet", "shop.other")
NAMES = ("app.loud", "app.quiet", "app.other")
LEVELS = ("off", "errors", "slow", "all")
levels = st.dictionaries(st.sampled_from([*SIGNALS, *NAMES, "*quiet"]), st.sampled_from(LEVELS), max_size=3)
failures = st.sampled_from([None, None, None, *FAILURES])
deeds = st.builds(Do, st.sampled_from(DEEDS))


def sends(depth: int) -> st.SearchStrategy[Send]:
    """Return sends within whose receivers there are more of them, *depth* deep."""
    within: list[st.SearchStrategy[Any]] = [deeds, deeds, st.builds(Child, st.lists(deeds, max_size=3))]
    if depth:
        within += [sends(depth - 1), st.builds(Child, st.lists(st.one_of(deeds, sends(depth - 1)), max_size=2))]
    receivers = st.builds(
        Receiver,
        name=st.sampled_from(NAMES),
        is_async=st.booleans(),
        uid=st.sampled_from([None, "uid"]),
        actions=st.lists(st.one_of(within), max_size=4),
        failure=failures,
    )
    return st.builds(
        Send,
        signal=st.sampled_from(SIGNALS),
        operation=st.sampled_from(["send", "send_robust", "asend", "asend_robust"]),
        sender=st.sampled_from([None, *SENDERS]),
        guarded=st.booleans(),
        receivers=st.lists(receivers, max_size=3),
    )


programs = st.builds(
    Program,
    sends=st.lists(sends(2), min_size=1, max_size=3),
    parent=st.sampled_from([None, "local", "local", *PARENTS]),
    settings=st.fixed_dictionaries(
        {
            "level": st.sampled_from(LEVELS[1:]),
            "slow": st.sampled_from([0, 1000]),
            "levels": levels,
            "budget": st.sampled_from([100, 100, 0, 1, 2]),
            "excluded_receivers": st.sampled_from([[], [], ["app.quiet"]]),
            "extra_attributes": st.sampled_from(
                [
                    [],
                    ["heliograph.receiver.dispatch_uid", "heliograph.sender.name"],
                    ["heliograph.signal.argument_names", "code.file.path", "code.line.number"],
                ]
            ),
        }
    ),
    sampler=st.sampled_from(["as the parent", "as the parent", *SAMPLERS]),
    trace_id=st.sampled_from([0x1, 0x2, (1 << 64) - 1, (1 << 64) - 2]),  # the ratio looks at the lower half
    batched=st.booleans(),
    metered=st.booleans(),
)


# How they run.


class Here(NamedTuple):
    """Where in a program something runs.

    Attributes:
        path: The positions that lead there.
        in_loop: Whether an event loop runs in this thread.
        alone: Whether nothing runs beside it, so that the order of things does not change if it waits for a thread.
        tokens: What was attached in this context and not detached again.
    """

    path: tuple[int, ...]
    in_loop: bool
    alone: bool
    tokens: list[Any]


class OneTrace(RandomIdGenerator):
    """Gives each trace the same id: whether it is sampled must not depend on when it is asked for."""

    def __init__(self, trace_id: int) -> None:
        self._trace_id = trace_id

    def generate_trace_id(self) -> int:
        return self._trace_id


class Unknown(SpanProcessor):
    """Does nothing, but nobody knows that: spans have to be started when they start."""


class Run:
    """A program that runs, and all that can be seen of it."""

    def __init__(self, program: Program, *, late: bool, limits: SpanLimits | None = None) -> None:
        self.program = program
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(
            sampler=SAMPLERS[program.sampler],
            id_generator=OneTrace(program.trace_id),
            shutdown_on_exit=False,
            span_limits=limits,
        )
        kind = BatchSpanProcessor if program.batched else SimpleSpanProcessor
        self.provider.add_span_processor(kind(self.exporter))
        if not late:
            self.provider.add_span_processor(Unknown())
        self.reader = InMemoryMetricReader()
        self.meters: Any = MeterProvider([self.reader], shutdown_on_exit=False)
        self.tracer = self.provider.get_tracer("application")
        self.results: dict[tuple[int, ...], Any] = {}
        self.current: dict[tuple[Any, ...], Any] = {}
        self.path: type[Any] = object

    def __call__(self) -> str:
        """Run the program; return what can be seen of it but for ids and times, a line each."""
        with structlog.testing.capture_logs() as logs:
            copy_context().run(self._run)
        spans = list(self.exporter.get_finished_spans())
        family = Family(spans)
        seen = {
            "spans": family.forest(),
            "metrics": self._metrics(),
            "results": {str(key): value for key, value in self.results.items()},
            "current": {str(key): family.described(value) for key, value in self.current.items()},
            "logs": sorted(json.dumps(_logged(line, family), sort_keys=True) for line in logs),
        }
        return json.dumps(seen, sort_keys=True, indent=1)

    def _run(self) -> None:
        wanted = {
            **self.program.settings,
            "tracer_provider": self.provider,
            "meter_provider": self.meters if self.program.metered else NoOpMeterProvider(),
        }
        with ExitStack() as stack:
            stack.callback(self.provider.shutdown)
            stack.enter_context(heliograph.instrument("heliograph", **wanted))
            self.path = type(instrumentor._installed["heliograph"].telemetry._spans)
            here = Here((), in_loop=False, alone=True, tokens=[])
            parent = self._parent()
            with trace.use_span(parent, end_on_exit=True) if parent is not None else ExitStack():
                for number, send in enumerate(self.program.sends):
                    with suppress(*FAILURES):
                        self.send(send, here._replace(path=(number,)))
                    self.look((number, "after"))
                while here.tokens:
                    self.detach(here)
                self.look(("the end",))
            self.provider.force_flush()

    def _parent(self) -> trace.Span | None:
        if self.program.parent == "local":
            return self.tracer.start_span("request")
        found = PARENTS.get(self.program.parent or "")
        return None if found is None else NonRecordingSpan(found)

    def look(self, key: tuple[Any, ...]) -> None:
        """Note what is current."""
        self.current[tuple(map(str, key))] = trace.get_current_span().get_span_context(), baggage.get_baggage("shop")

    def send(self, send: Send, here: Here) -> Any:
        """Send, from where no coroutine can be awaited."""
        operation = send.operation.removeprefix("a")
        if send.operation != operation and not here.in_loop and here.alone:
            return asyncio.run(self.asend(send, here))
        signal = self.signal(send, operation, here, threads=False)
        return self._result(send, here, lambda: getattr(signal, operation)(sender=SENDERS.get(send.sender or ""), n=1))

    async def asend(self, send: Send, here: Here) -> Any:
        """Send from a coroutine."""
        if not send.operation.startswith("a"):
            return self.send(send, here._replace(in_loop=True))
        signal = self.signal(send, send.operation, here._replace(in_loop=True), threads=here.alone)
        try:
            responses = await getattr(signal, send.operation)(sender=SENDERS.get(send.sender or ""), n=1)
        except FAILURES as error:
            self.results[here.path] = type(error).__name__
            if not send.guarded:
                raise
        else:
            self.results[here.path] = _in_words(responses)
        return None

    def _result(self, send: Send, here: Here, call: Any) -> None:
        try:
            self.results[here.path] = _in_words(call())
        except FAILURES as error:
            self.results[here.path] = type(error).__name__
            if not send.guarded:
                raise

    def signal(self, send: Send, operation: str, here: Here, *, threads: bool) -> heliograph.Signal:
        """Return a signal with the send's receivers, as far as their order is certain."""
        signal = heliograph.Signal(name=send.signal)
        due = list(enumerate(send.receivers))
        if operation.startswith("a"):
            due = [(at, one) for at, one in due if one.is_async or threads]
        elif here.in_loop or not here.alone:
            due = [(at, one._replace(is_async=False)) for at, one in due]
        beside = len(due) > 1 and any(one.is_async for _, one in due)
        for at, one in due:
            below = here._replace(path=(*here.path, at))
            if one.is_async or operation.startswith("a"):
                below = below._replace(tokens=[], in_loop=one.is_async, alone=here.alone and not beside)
            if not one.is_async and operation.startswith("a"):  # on a thread, while the loop runs on another
                below = below._replace(alone=False)
            failure = None if beside and not _is_captured(one.failure, operation) else one.failure
            actions = [self._quiet(action) if beside else action for action in one.actions]
            signal.connect(
                self.receiver(one._replace(failure=failure, actions=actions), below), weak=False, dispatch_uid=at
            )
        return signal

    def _quiet(self, action: Any) -> Any:
        """Return *action* so that it raises nothing: among several at once, who is first to fail is not certain."""
        if isinstance(action, Send):
            return action._replace(guarded=True)
        return Child([self._quiet(one) for one in action.actions]) if isinstance(action, Child) else action

    def receiver(self, plan: Receiver, here: Here) -> Any:
        """Return a receiver made to plan."""
        receiver: Any
        if plan.is_async:

            async def receive_async(**_: Any) -> Any:
                for number, action in enumerate(plan.actions):
                    await self.act_async(action, here._replace(path=(*here.path, number)))
                if plan.failure is not None:
                    raise Failure if plan.failure is asyncio.CancelledError else plan.failure
                return plan.name

            receiver = receive_async
        else:

            def receive(**_: Any) -> Any:
                for number, action in enumerate(plan.actions):
                    self.act(action, here._replace(path=(*here.path, number)))
                if plan.failure is not None:
                    raise plan.failure
                return plan.name

            receiver = receive
        receiver.__module__, _, receiver.__qualname__ = plan.name.rpartition(".")
        return receiver

    def act(self, action: Any, here: Here) -> None:
        """Do what a plain receiver does."""
        if isinstance(action, Send):
            self.send(action, here)
        elif isinstance(action, Child):
            with self.tracer.start_as_current_span(f"child {here.path[-1]}"):
                for number, one in enumerate(action.actions):
                    self.act(one, here._replace(path=(*here.path, number)))
        else:
            self.do(action.what, here)

    async def act_async(self, action: Any, here: Here) -> None:
        """Do what an async receiver does."""
        if isinstance(action, Send):
            await self.asend(action, here)
        elif isinstance(action, Child):
            with self.tracer.start_as_current_span(f"child {here.path[-1]}"):
                for number, one in enumerate(action.actions):
                    await self.act_async(one, here._replace(path=(*here.path, number)))
        elif action.what == "await":
            await asyncio.sleep(0)
        else:
            self.do(action.what, here)

    def do(self, what: str, here: Here) -> None:  # noqa: C901  # one branch a deed
        """Do something to the current span, or to the context."""
        span, number = trace.get_current_span(), here.path[-1]
        if what == "attribute":
            span.set_attribute(f"shop.{number}", number)
        elif what == "attributes":
            span.set_attributes({"shop.list": [number, 1], "heliograph.signal.name": "overwritten"})
        elif what == "event":
            span.add_event(f"event {number}", {"shop.number": number})
        elif what == "link":
            span.add_link(FOREIGN, {"shop.number": number})
        elif what == "rename":
            span.update_name(f"renamed {number}")
        elif what == "status":
            span.set_status([StatusCode.OK, StatusCode.ERROR][number % 2], ["", "because"][number % 2] or None)
        elif what == "exception":
            span.record_exception(Failure(str(number)), {"shop.number": number})
        elif what == "is recording":
            self.results[here.path] = span.is_recording()
        elif what == "ids":
            self.look(here.path)
        elif what == "end":
            span.end()
        elif what == "with":
            with suppress(Failure), span:
                raise Failure
        elif what == "attach baggage":
            here.tokens.append((otel_context.attach(baggage.set_baggage("shop", number)), None))
        elif what == "attach span":
            attached = self.tracer.start_span(f"attached {number}")
            here.tokens.append((otel_context.attach(trace.set_span_in_context(attached)), attached))
        elif what == "detach" and here.tokens:
            self.detach(here)

    def detach(self, here: Here) -> None:
        """Detach what was attached last, and end its span."""
        token, span = here.tokens.pop()
        if span is not None:
            span.end()
        otel_context.detach(token)

    def _metrics(self) -> Any:
        data: Any = self.reader.get_metrics_data()
        return {
            metric.name: sorted(
                (sorted(map(repr, (point.attributes or {}).items())), getattr(point, "count", None) or point.value)
                for point in metric.data.data_points
            )
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def _is_captured(failure: type[BaseException] | None, operation: str) -> bool:
    return failure is None or (operation.endswith("robust") and issubclass(failure, Exception))


def _in_words(responses: list[tuple[Any, Any]]) -> list[str]:
    return [one if isinstance(one, str) else type(one).__name__ for _, one in responses]


def _last_line(stacktrace: str) -> str:
    """Return the end of a stack trace: how far up it was known by then may depend on a thread."""
    return stacktrace.strip().rpartition("\n")[2]


def _logged(line: Any, family: Family) -> Any:
    line = {key: value for key, value in line.items() if key != "duration_s"}
    if "exception" in line:
        line["exception"] = _last_line(line["exception"])
    if "span_id" in line:
        line["span_id"] = family.chain(int(line["span_id"], 16))
        line["trace_id"] = line["trace_id"] in family.trace_ids
    return line


# What can be seen.


class Family:
    """Exported spans, by who is whose parent: spans without their ids and times."""

    def __init__(self, spans: list[ReadableSpan]) -> None:
        self._spans: dict[int, Any] = {span.context.span_id: span for span in spans if span.context is not None}
        assert len(self._spans) == len(spans), "a span is exported once"
        self.trace_ids = {format(span.context.trace_id, "032x") for span in self._spans.values()}

    def forest(self) -> list[Any]:
        """Return all spans as a forest, its branches sorted."""
        children: dict[int, list[Any]] = {}
        for span in self._spans.values():
            children.setdefault(span.parent.span_id if span.parent else 0, []).append(span)
        known = {0, *self._spans}
        roots = [span for key, found in children.items() if key not in known or key == 0 for span in found]
        return sorted((self._described(root, children) for root in roots), key=repr)

    def _described(self, span: Any, children: dict[int, list[Any]]) -> dict[str, Any]:
        below = children.get(span.context.span_id, [])
        for child in below:
            assert child.context.trace_id == child.parent.trace_id == span.context.trace_id
            assert child.parent == span.context
            if span.attributes.get("heliograph.operation.name") and "code.function.name" in child.attributes:
                assert span.start_time <= child.start_time <= child.end_time
                assert child.end_time <= span.end_time or "error.type" in span.attributes
        said = json.loads(span.to_json())
        for name in ("start_time", "end_time", "parent_id"):
            del said[name]
        said["context"] = int(span.context.trace_flags), span.context.is_remote, span.context.trace_state.to_header()
        said["parent"] = self._outer(span.parent)
        for event_said in said["events"]:
            del event_said["timestamp"]
            if "exception.stacktrace" in event_said["attributes"]:
                event_said["attributes"]["exception.stacktrace"] = _last_line(
                    event_said["attributes"]["exception.stacktrace"]
                )
        said["attributes"] = {key: value for key, value in sorted(span.attributes.items()) if key not in TIMES}
        said["scope"] = repr(span.instrumentation_scope)
        said["dropped"] = span.dropped_attributes, span.dropped_events, span.dropped_links
        said["children"] = sorted((self._described(child, children) for child in below), key=repr)
        return said  # type: ignore[no-any-return]

    def _outer(self, parent: SpanContext | None) -> str:
        if parent is None:
            return "none"
        if parent.span_id in self._spans:
            return "exported"
        return next((name for name, one in PARENTS.items() if one == parent), "missing")

    def chain(self, span_id: int) -> str:
        """Return the names from a root to a span."""
        span = self._spans.get(span_id)
        if span is None:
            remote = {one.span_id: name for name, one in PARENTS.items()}
            return remote.get(span_id, "not exported" if span_id else "none")
        return f"{self.chain(span.parent.span_id) if span.parent else ''} > {span.name}"

    def described(self, current: tuple[SpanContext, Any]) -> Any:
        """Return a span context that somebody has seen, and the baggage beside it."""
        context, carried = current
        flags = int(context.trace_flags)
        return self.chain(context.span_id), flags, context.is_remote, context.trace_state.to_header(), carried


def difference(late: str, plain: str) -> str:
    """Return the lines that are seen on one path alone."""
    return "\n".join(unified_diff(late.splitlines(), plain.splitlines(), "late", "plain", n=1, lineterm=""))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured, written to ended spans or detached elsewhere is not said a thousand times."""
    names = ("heliograph", "heliograph.dispatch", "opentelemetry.sdk.trace", "opentelemetry.context", "asyncio")
    for name in names:
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


@settings(max_examples=250)
@given(program=programs)
def test_spans_made_late_are_those_of_the_api(program):
    """Equal but for ids and times, whatever receivers do; and so is all else that can be seen."""
    late, plain = Run(program, late=True), Run(program, late=False)
    seen_late, seen_plain = late(), plain()

    assert (late.path, plain.path) == (LateSpans, ApiSpans)
    event(f"spans: {min(len(late.exporter.get_finished_spans()), 10)}")
    assert seen_late == seen_plain, difference(seen_late, seen_plain)


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "max_attributes": st.integers(0, 6),
        "max_span_attributes": st.integers(0, 6),
        "max_events": st.integers(0, 1),
        "max_attribute_length": st.integers(0, 8),
        "max_event_attributes": st.integers(0, 1),
    },
)


@settings(max_examples=30)
@given(program=programs, limits=LIMITS.filter(bool))
def test_where_spans_are_limited_so_are_ours(program, limits):
    """The same are dropped, and counted: with limits, spans are not made late."""
    late = Run(program, late=True, limits=SpanLimits(**limits))
    plain = Run(program, late=False, limits=SpanLimits(**limits))
    seen_late, seen_plain = late(), plain()

    assert (late.path, plain.path) == (ApiSpans, ApiSpans)
    assert seen_late == seen_plain, difference(seen_late, seen_plain)


@settings(max_examples=30)
@given(program=programs, limits=st.fixed_dictionaries({"max_links": st.integers(0, 1)}))
def test_a_limit_of_links_is_kept_by_spans_made_late(program, limits):
    """Who links writes, and who writes gets a span of the SDK's own."""
    late = Run(program, late=True, limits=SpanLimits(**limits))
    plain = Run(program, late=False, limits=SpanLimits(**limits))
    seen_late, seen_plain = late(), plain()

    assert (late.path, plain.path) == (LateSpans, ApiSpans)
    assert seen_late == seen_plain, difference(seen_late, seen_plain)
