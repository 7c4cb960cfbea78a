"""A finished dispatch in words: all that telemetry needs of it, and nothing of the program's own objects.

It may wait for an exporter, so it holds no receiver, sender, exception or payload: these live as long as they
would without us.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from opentelemetry.trace import SpanContext

from heliograph.config import Level
from heliograph.fanout import describe
from heliograph.fanout.facts import Dispatch, Outcome
from heliograph.fanout.plain import plain
from heliograph.telemetry.plans import ReceiverPlan, SignalPlan
from heliograph.telemetry.policy import is_worth
from heliograph.telemetry.tracebacks import bare_traceback, full_traceback, message_of

__all__ = ["Failure", "Finished"]


class Failure:
    """What a receiver, or a dispatch, raised.

    Attributes:
        type: The qualified class of the exception.
        message: Its message, as far as its ``__str__`` works; None where messages are not to be told.
        stacktrace: Its traceback without local variables, which are payload; without the messages, where they are not
            to be told.
    """

    __slots__ = ("message", "stacktrace", "type")

    def __init__(self, error: BaseException, *, messages: bool) -> None:
        self.type: str = describe.error_type(error)
        self.message: str | None = message_of(error) if messages else None
        self.stacktrace: str = full_traceback(error) if messages else bare_traceback(error)


_NOTHING: dict[int, Any] = {}  # never written to: what most dispatches have to say of failures


class Finished:
    """A finished dispatch in words.

    Attributes:
        signal: What is said about its signal.
        receivers: What is said about each receiver, in the order in which they were due; None when they are unknown.
        sender: The sender's name, or None.
        failures: What receivers raised, by position.
        inside: What was left by the observer that stood inside; its business alone.
        untraced: Why it has no span of its own, if so.
        As in :class:`~heliograph.fanout.facts.Dispatch`: operation, policy, argument_names, depth, started_at, began,
            ended, outcome, begans, endeds.
    """

    __slots__ = (
        "argument_names",
        "began",
        "begans",
        "depth",
        "ended",
        "endeds",
        "error",
        "failures",
        "first_async",
        "inside",
        "operation",
        "outcome",
        "policy",
        "receivers",
        "sender",
        "signal",
        "started_at",
        "uids",
        "untraced",
    )

    def __init__(self, dispatch: Dispatch, signal: SignalPlan) -> None:
        self.signal: SignalPlan = signal
        self.operation: str = dispatch.operation
        self.policy: str = dispatch.policy.name
        self.argument_names: tuple[str, ...] = dispatch.argument_names
        self.depth: int = dispatch.depth
        self.started_at: int = dispatch.started_at
        self.began: int = dispatch.began
        self.ended: int = dispatch.ended or dispatch.began
        self.outcome: Outcome | None = dispatch.outcome
        self.begans: list[int | None] = dispatch.begans
        self.endeds: list[int | None] = dispatch.endeds
        self.first_async: int = dispatch.first_async
        self.sender: str | None = describe.sender_name(dispatch.sender)
        self.receivers: Sequence[ReceiverPlan] | None = None
        self.failures: dict[int, Failure] = _NOTHING
        self.error: Failure | None = None
        self.uids: dict[int, str] = _NOTHING
        self.inside: Any = dispatch.inside
        self.untraced: str | None = None
        if dispatch.receivers is not None:
            self.receivers = signal.plans(dispatch)
            if self.inside is not None:
                self.inside.plans = self.receivers
            if signal.shows_uids:
                self.uids = _uids(dispatch)
        if dispatch.errors or dispatch.error is not None:
            self._note_failures(dispatch)

    def _note_failures(self, dispatch: Dispatch) -> None:
        self.failures, by_error = {}, {}
        messages = self.signal.worth.settings.exception_messages
        for position, error in dispatch.errors.items():
            if dispatch.faults[position] is Outcome.RAISED:
                self.failures[position] = by_error[id(error)] = Failure(error, messages=messages)
        if dispatch.error is not None and dispatch.outcome is Outcome.RAISED:
            self.error = by_error.get(id(dispatch.error)) or Failure(dispatch.error, messages=messages)

    @property
    def duration(self) -> float:
        """Seconds from the start of the send to its end."""
        return (self.ended - self.began) / 1e9

    @property
    def failed(self) -> bool:
        """Whether the send itself raised."""
        return self.outcome is Outcome.RAISED

    @property
    def level(self) -> Level:
        """How much is said about it: no more than about the most talkative of its receivers."""
        level = self.signal.level
        if not self.receivers:
            return level if self.receivers is None else self.signal.unheard
        loudest = Level.OFF
        for receiver in self.receivers:
            if receiver.level >= level:
                return level
            loudest = max(loudest, receiver.level)
        return loudest

    @property
    def skipped(self) -> tuple[str, ...]:
        """The names of the receivers that never ran because an earlier one raised."""
        if not self.failed or self.receivers is None:
            return ()
        return tuple(plan.name for plan, began in zip(self.receivers, self.begans, strict=True) if began is None)

    @property
    def deserves_span(self) -> bool:
        """Whether the dispatch itself is worth a span."""
        return is_worth(self.level, failed=self.failed, slow=self.slow)

    @property
    def special(self) -> bool:
        """Whether anything about it is out of the ordinary."""
        return self.failed or self.slow or bool(self.failures)

    def spoken(self, asked_for: Collection[int]) -> list[int]:
        """Return the positions of the receivers that are worth a span, or were asked for theirs."""
        return [
            position
            for position, plan in enumerate(self.receivers or ())
            if self.begans[position] is not None
            and (
                plan.level is Level.ALL
                or position in asked_for
                or is_worth(plan.level, failed=position in self.failures, slow=self.is_slow(position))
            )
        ]

    def span_context(self, position: int | None = None) -> SpanContext | None:
        """Return the context of the span of the receiver at *position*, or of the dispatch's own; None for no span."""
        context = None if self.inside is None else self.inside.exported_context(position)
        return context if context is not None and context.is_valid else None

    def foreign_parent(self) -> SpanContext | None:
        """Return the context of the span around the send; None for no span, and for one of ours, which is not to be asked."""
        context = None if self.inside is None else self.inside.foreign_parent()
        return context if context is not None and context.is_valid else None

    def is_slow(self, position: int) -> bool:
        """Return whether the receiver at *position* was slow."""
        began, ended = self.begans[position], self.endeds[position]
        return began is not None and ended is not None and ended - began >= self.signal.worth.slow

    @property
    def slow(self) -> bool:
        """Whether the dispatch itself was slow."""
        return self.ended - self.began >= self.signal.worth.slow

    def at(self, moment: int | None) -> int:
        """Return *moment*, a reading of the monotonic clock, in nanoseconds since the epoch."""
        return self.started_at + (moment or self.began) - self.began


def _uids(dispatch: Dispatch) -> dict[int, str]:
    found = {at: dispatch.site.dispatch_uid(receiver) for at, receiver in enumerate(dispatch.receivers or ())}
    return {position: plain(uid) for position, uid in found.items() if uid is not None}
