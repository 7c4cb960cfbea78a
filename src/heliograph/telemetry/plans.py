"""What all dispatches of one signal have in common, decided once: levels, names, attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from heliograph.config import Level
from heliograph.fanout.describe import Described, PerObject, described
from heliograph.fanout.facts import Dispatch, Mode, Receiver, Site
from heliograph.telemetry import semconv
from heliograph.telemetry.policy import Worth

__all__ = ["Choices", "ReceiverPlan", "SignalPlan"]

Attributes = dict[str, AttributeValue]


class Choices(NamedTuple):
    """What those who make spans do not decide themselves.

    Attributes:
        signal_of: Returns what is said about a signal.
        roll_up: Counts a dispatch under its parent, in the context given; returns why it shall have no spans of its
            own, or None when it shall.
        record_exceptions: Whether receivers' exceptions become events of their spans.
    """

    signal_of: Callable[[Site], SignalPlan]
    roll_up: Callable[[Any, Context], str | None]
    record_exceptions: bool


class ReceiverPlan:
    """What is said about one receiver of one signal.

    Attributes:
        level: How much is said.
        span_name: The name of its spans.
        span_attributes: The attributes that all of its spans have.
        metric_attributes: Those of its measurements.
    """

    __slots__ = ("encoded", "level", "metric_attributes", "name", "span_attributes", "span_name")

    def __init__(self, signal: SignalPlan, receiver: Described, mode: Mode) -> None:
        self.level: Level = signal.worth.receiver_level(receiver.name, signal.level)
        self.name: str = receiver.name
        self.span_name: str = semconv.receiver_span_name(receiver.name)
        self.metric_attributes: Attributes = {
            **signal.attributes,
            semconv.FUNCTION_NAME: receiver.name,
            semconv.RECEIVER_MODE: mode.value,
        }
        self.span_attributes: Attributes = {**self.metric_attributes, **signal.place_of(receiver)}
        self.encoded: bytes | None = None


class SignalPlan:
    """What is said about one signal.

    Attributes:
        worth: Decides it.
        level: How much is said.
        unheard: How much is said about a dispatch that nobody hears.
        is_quiet: Whether there is nothing to say of a dispatch that neither failed nor was slow, metrics apart.
        attributes: The attributes that all that is said has.
        shows_uids: Whether it is said with which identifier a receiver is connected.
    """

    __slots__ = (
        "_by_name",
        "_concurrent",
        "_last",
        "_plain",
        "attributes",
        "is_quiet",
        "level",
        "name",
        "shows_uids",
        "system",
        "unheard",
        "worth",
    )

    def __init__(self, site: Site, worth: Worth) -> None:
        self.worth: Worth = worth
        self.system: str = site.system
        self.name: str = site.name
        self.level: Level = worth.signal_level(site)
        self.unheard: Level = worth.unheard_level(site.name)
        self.is_quiet: bool = self.level <= Level.SLOW and not worth.settings.levels
        self.attributes: Attributes = {semconv.SYSTEM_NAME: site.system, semconv.SIGNAL_NAME: site.name}
        self.shows_uids: bool = semconv.RECEIVER_DISPATCH_UID in worth.settings.extra_attributes
        self._plain: PerObject[ReceiverPlan] = PerObject()
        self._concurrent: PerObject[ReceiverPlan] = PerObject()
        self._by_name: dict[tuple[str, str], ReceiverPlan] = {}
        self._last: tuple[object, Sequence[ReceiverPlan]] = (None, ())  # what tells the receivers, and their plans

    def plans(self, dispatch: Dispatch) -> Sequence[ReceiverPlan]:
        """Return the plans of all receivers of a dispatch, by position."""
        receivers, first = dispatch.receivers or (), dispatch.first_async
        now = list(map(id, receivers)), first, self._plain.deaths[0], self._concurrent.deaths[0]
        known, plans = self._last
        if now == known:  # most often the same receivers hear a signal again: one comparison, and no look-up for each
            return plans
        plans = [self.plan(dispatch, position) for position in range(len(receivers))]
        ids = now[0]
        # An id tells nothing of what dies unnoticed, nor of a bound method, which is another object each time.
        if all(map(self._plain.values.__contains__, ids[:first])) and all(
            map(self._concurrent.values.__contains__, ids[first:])
        ):
            self._last = now, plans
        return plans

    def plan(self, dispatch: Dispatch, position: int) -> ReceiverPlan:
        """Return the plan of the receiver at *position*."""
        receiver = (dispatch.receivers or ())[position]
        function = receiver.__func__ if type(receiver) is MethodType else receiver
        mode, plans = (Mode.SYNC, self._plain) if position < dispatch.first_async else (Mode.ASYNC, self._concurrent)
        return plans.values.get(id(function)) or self._learn(function, mode, plans)

    def _learn(self, function: Receiver, mode: Mode, plans: PerObject[ReceiverPlan]) -> ReceiverPlan:
        description = described(function)
        plan = self._by_name.get((description.name, mode.value))
        if plan is None:  # functions come and go, their names are few
            plan = self._by_name.setdefault((description.name, mode.value), ReceiverPlan(self, description, mode))
        plans.keep(function, plan)
        return plan

    def place_of(self, receiver: Described) -> Attributes:
        """Return the attributes that say where a receiver is defined, those that were asked for."""
        path, line = receiver.location or (None, None)
        found: dict[str, AttributeValue | None] = {semconv.FILE_PATH: path, semconv.LINE_NUMBER: line}
        wanted = self.worth.settings.extra_attributes
        return {name: value for name, value in found.items() if value is not None and name in wanted}
