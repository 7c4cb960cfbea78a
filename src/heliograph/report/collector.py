"""Listens to dispatches while a program runs and turns them into words at once.

Nothing of a dispatch stays alive because of it: no sender, no receiver, no error, no payload. What it keeps
has a size that does not grow with the number of dispatches.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable
from time import perf_counter_ns, time

from heliograph.config import Level
from heliograph.fanout.describe import receiver_name
from heliograph.fanout.facts import Dispatch, Receiver, ReceiverCall, Site
from heliograph.report import model
from heliograph.report.lines import Branch, DispatchNode, ReceiverNode, Tree
from heliograph.report.requests import Requests
from heliograph.report.totals import Counts
from heliograph.telemetry.policy import Worth

__all__ = ["Collector"]

KINDS_OF_REQUEST = 200
LINES_OF_A_GROUP = 400
DEEPEST = 16
_MOST_OPEN = 4096

_Place = tuple[int, int, int]


class Collector:
    """An observer from whose facts a report is made.

    Args:
        worth: Decides what gets a line of its own. What does not still counts in the totals.
        kinds_of_request: How many different fan-outs of requests are kept.
        lines: How many lines each may have, and what was sent outside of requests.
    """

    def __init__(
        self, worth: Worth, *, kinds_of_request: int = KINDS_OF_REQUEST, lines: int = LINES_OF_A_GROUP
    ) -> None:
        self._worth = worth
        self._started_at, self._began = time(), perf_counter_ns()
        self._counts = Counts()
        self._requests = Requests(kinds_of_request, lines)
        self._outside = Tree(lines)
        self._opened: dict[_Place, ReceiverNode | None] = {}
        # Reentrant: a signal may be sent by a finalizer, which runs at any moment.
        self._lock = threading.RLock()
        _collectors.add(self)

    def interested(self, site: Site, /) -> bool:
        """Return whether anything is said about the signal at all."""
        return self._worth.signal_level(site) is not Level.OFF

    def finished(self, dispatch: Dispatch, /) -> None:
        """Add a dispatch to the report."""
        with self._lock:
            self._counts.sent(dispatch)
            request = self._requests.current(dispatch)
            tree = self._outside if request is None else request.tree
            troubled = self._add(dispatch, tree)
            if request is not None:
                self._requests.follow(request, dispatch, troubled=troubled)

    def report(
        self, program: str, *, connected: Iterable[tuple[str, Receiver]] = (), unmatched: Iterable[str] = ()
    ) -> model.Report:
        """Return the report on what was heard so far. Requests that have not ended count as ended.

        Args:
            program: What was run, in words.
            connected: Names of signals and receivers connected to them now.
            unmatched: What to say about filters that match nothing.
        """
        with self._lock:
            groups = self._requests.groups()
            if self._outside.roots.nodes or self._outside.left_out:
                groups.append(self._group_outside())
            return model.Report(
                program=program,
                started_at=self._started_at,
                duration=(perf_counter_ns() - self._began) / 1e9,
                level=str(self._worth.settings.level),
                slow=self._worth.settings.slow,
                totals=self._totals(),
                groups=tuple(groups),
                receivers=tuple(self._counts.receivers()),
                failures=tuple(self._counts.failures()),
                orphans=tuple(self._counts.unheard()),
                never_called=tuple(self._counts.never_called(filter(self._is_expected, connected))),
                left_out=self._left_out(),
                unmatched=tuple(unmatched),
            )

    def receivers_called(self) -> list[str]:
        """Return the names of all receivers that were called so far."""
        with self._lock:
            return [one.receiver for one in self._counts.receivers()]

    def _add(self, dispatch: Dispatch, tree: Tree) -> bool:
        """Count the calls and give lines to those worth one; return whether one failed or was slow."""
        worth = self._worth
        shown = []
        troubled = False
        for call in dispatch.calls:
            level = worth.call_level(call)
            opened = self._opened.pop(_place(call), None) if self._opened else None
            if level is not Level.OFF:
                slow = worth.is_slow(call)
                troubled = troubled or slow or call.failed
                name = receiver_name(call.receiver)
                self._counts.called(call, name, slow=slow)
                if opened is not None or worth.deserves_span(call, level):
                    shown.append((call, name, slow))
        if shown or self._is_worth_a_line(dispatch):
            self._show(dispatch, shown, tree)
        return troubled

    def _is_worth_a_line(self, dispatch: Dispatch) -> bool:
        if dispatch.receivers is not None and not dispatch.receivers:
            return False  # nobody heard it: the table of orphans says how often
        return self._worth.deserves_span(dispatch, self._worth.dispatch_level(dispatch))

    def _show(self, dispatch: Dispatch, shown: list[tuple[ReceiverCall, str, bool]], tree: Tree) -> None:
        node = self._node(dispatch, tree)
        if node is None:
            tree.left_out += 1
            return
        node.add(dispatch)
        for call, name, slow in shown:
            line = node.receiver(name, call.mode.value)
            if line is not None:
                line.add(call, slow=slow)
        for receiver in dispatch.skipped:
            line = node.receiver(receiver_name(receiver)) if self._is_due(dispatch, receiver) else None
            if line is not None:
                line.skipped += 1

    def _node(self, dispatch: Dispatch, tree: Tree) -> DispatchNode | None:
        if dispatch.depth > DEEPEST:
            return None
        branch = self._branch(dispatch.outer, tree)
        return None if branch is None else branch.node(dispatch)

    def _branch(self, outer: ReceiverCall | None, tree: Tree) -> Branch | None:
        """Return where to put what *outer* has sent: its own line is there before it has ended."""
        while outer is not None and not self._will_hear_of(outer):
            outer = outer.dispatch.outer
        if outer is None:
            return tree.roots
        place = _place(outer)
        if place not in self._opened:
            if len(self._opened) >= _MOST_OPEN:  # most likely calls that were given up and never end
                del self._opened[next(iter(self._opened))]
            node = self._node(outer.dispatch, tree)
            name, mode = receiver_name(outer.receiver), outer.mode.value
            self._opened[place] = None if node is None else node.receiver(name, mode)
        opened = self._opened[place]
        return None if opened is None else opened.sent()

    def _will_hear_of(self, outer: ReceiverCall) -> bool:
        if self._worth.call_level(outer) is Level.OFF:
            return False
        calls = outer.dispatch.calls
        return outer.dispatch.ended is None or any(call.ended is None for call in calls)

    def _is_expected(self, connected: tuple[str, Receiver]) -> bool:
        """Tell whether a receiver would have got a line, had it been called."""
        name, receiver = connected
        level = self._worth.receiver_level(receiver_name(receiver), self._worth.level_of(name))
        return level >= max(self._worth.settings.level, Level.ERRORS)

    def _is_due(self, dispatch: Dispatch, receiver: Receiver) -> bool:
        level = self._worth.receiver_level(receiver_name(receiver), self._worth.signal_level(dispatch.site))
        return level >= self._worth.settings.level

    def _group_outside(self) -> model.Group:
        lines = self._outside.roots.lines()
        total = sum(line.total for line in lines)
        worst = max((line.worst for line in lines), default=0.0)
        return model.Group(request=0, count=1, total=total, worst=worst, lines=lines, left_out=self._outside.left_out)

    def _totals(self) -> model.Totals:
        counts = self._counts
        return model.Totals(
            requests=self._requests.count,
            dispatches=counts.dispatches,
            calls=counts.calls,
            failed=counts.failed,
            slow=counts.slow,
            orphans=counts.orphans,
        )

    def _left_out(self) -> model.LeftOut:
        counts = self._counts
        return model.LeftOut(
            requests=self._requests.left_out,
            calls=counts.calls_left_out,
            failures=counts.failures_left_out,
            sends=counts.sends_left_out,
        )

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()


def _place(call: ReceiverCall) -> _Place:
    return id(call.dispatch), call.position, call.began


_collectors: weakref.WeakSet[Collector] = weakref.WeakSet()


def _renew_locks() -> None:
    for collector in _collectors:
        collector._renew_lock()  # noqa: SLF001  # of this module


if hasattr(os, "register_at_fork"):
    # Another thread may hold the lock while a process forks; in the child nobody would ever let go of it.
    os.register_at_fork(after_in_child=_renew_locks)
