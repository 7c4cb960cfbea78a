"""Roll-up: beyond a budget, the dispatches of one signal under one parent span become one span.

A roll-up's span is made when its parent has ended. Failed and slow dispatches have a budget to themselves, so
that a thousand healthy ones do not hide them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from heliograph.fanout.observer import attempt
from heliograph.telemetry import semconv
from heliograph.telemetry.finished import Finished

__all__ = ["RollUps", "RolledUp"]

_OPEN_PARENTS = 1024  # spans under which dispatches are counted at the same time; the oldest is closed first
_SIGNALS_PER_PARENT = 256

Key = tuple[int, int]


class RolledUp:
    """The dispatches of one signal under one parent span: how many there were, and those beyond the budget as one.

    Attributes:
        parent: A context in which the parent span is current.
        first: The first dispatch that was rolled up.
        count: How many were.
        duration: How long they took together, in seconds.
        worst: How long the longest took, in seconds.
        failed_count: How many receivers failed in them.
        end: When the last of them ended, in nanoseconds since the epoch.
    """

    __slots__ = ("count", "duration", "end", "failed_count", "first", "parent", "seen", "seen_special", "worst")

    first: Finished

    def __init__(self, parent: Context) -> None:
        self.parent = parent
        self.seen = self.seen_special = self.count = self.failed_count = self.end = 0
        self.duration = self.worst = 0.0

    def add(self, dispatch: Finished) -> None:
        """Take a dispatch in."""
        if not self.count:
            self.first = dispatch
        self.count += 1
        self.failed_count += len(dispatch.failures)
        self.duration += dispatch.duration
        self.worst = max(self.worst, dispatch.duration)
        self.end = max(self.end, dispatch.at(dispatch.ended))


class RollUps:
    """Counts dispatches per signal and parent span, and rolls up those beyond the budget.

    Args:
        budget: How many dispatches of a signal have spans of their own under one parent.
        emit: Makes the span of a roll-up.

    Attributes:
        parents: The spans under which dispatches are counted, by their ids; emptied, never replaced.
    """

    def __init__(self, budget: int, emit: Callable[[RolledUp], None]) -> None:
        self._budget = budget
        self._emit = emit
        self.parents: OrderedDict[Key, dict[str, RolledUp]] = OrderedDict()
        self._overdue: deque[dict[str, RolledUp]] = deque()
        self._counting = threading.Lock()  # never held while a span is made: that is other people's code

    def take(self, dispatch: Finished, outer: Context, *, special: bool) -> str | None:
        """Count *dispatch*; return why it shall have no spans of its own, or None when it shall."""
        parent = trace.get_current_span(outer).get_span_context()
        if not parent.is_valid:
            return None  # a trace of its own, which the sampler decides about
        self._make_room(parent)
        with self._counting:
            return self._count(dispatch, parent, outer, special=special)

    def is_open(self, span: SpanContext) -> bool:
        """Return whether anything was counted under *span*."""
        return (span.trace_id, span.span_id) in self.parents

    def ended(self, span: SpanContext) -> None:
        """Make the spans of what was rolled up under *span*, which has ended."""
        self._close((span.trace_id, span.span_id))

    def close_all(self) -> None:
        """Make the spans of all that is rolled up."""
        for key in list(self.parents):
            self._close(key)

    def close_orphans(self) -> None:
        """Make the spans of what was rolled up under spans that ended before anything was counted under them."""
        for key, counts in list(self.parents.items()):
            parents = [trace.get_current_span(one.parent) for one in counts.values()]
            # One that never records, such as a remote one, does not tell when it ends.
            if not any(parent.is_recording() or isinstance(parent, NonRecordingSpan) for parent in parents):
                self._close(key)

    def _count(self, dispatch: Finished, parent: SpanContext, outer: Context, *, special: bool) -> str | None:
        counts = self.parents.setdefault((parent.trace_id, parent.span_id), {})
        mine = counts.get(dispatch.signal.name)
        if mine is None:
            if len(counts) >= _SIGNALS_PER_PARENT:
                return semconv.BUDGET
            # A copy: a receiver's context turns into the outer one when the receiver leaves another attached.
            mine = counts[dispatch.signal.name] = RolledUp(Context(outer))
        if special:
            mine.seen_special += 1
        else:
            mine.seen += 1
        if (mine.seen_special if special else mine.seen) <= self._budget:
            return None
        mine.add(dispatch)
        return semconv.ROLLED_UP

    def _close(self, key: Key) -> None:
        with self._counting:
            self._overdue.append(self.parents.pop(key, {}))
        self.emit_overdue()

    def emit_overdue(self) -> None:
        """Make the spans of what had to make room, or was closed."""
        while self._overdue:
            try:
                counts = self._overdue.popleft()
            except IndexError:  # another thread makes them
                return
            for rolled_up in counts.values():
                if rolled_up.count:
                    attempt(self._emit, rolled_up)  # somebody's span is ending: it is not to fail because of ours

    def _make_room(self, parent: SpanContext) -> None:
        if len(self.parents) >= _OPEN_PARENTS and not self.is_open(parent):
            with self._counting:  # who asks holds a lock of its own: the spans are made later
                if self.parents:
                    self._overdue.append(self.parents.popitem(last=False)[1])
