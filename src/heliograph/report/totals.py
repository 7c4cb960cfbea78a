"""Numbers by receiver, by failure and by signal: as many as there is room for, however long the program runs."""

from __future__ import annotations

from collections.abc import Iterable

from heliograph.fanout.describe import error_type, receiver_name
from heliograph.fanout.facts import Dispatch, Receiver, ReceiverCall
from heliograph.report import model
from heliograph.report.lines import is_captured
from heliograph.report.places import error_place, is_installed, receiver_place

__all__ = ["Counts"]

_MOST_RECEIVERS = 5000
_MOST_FAILURES = 1000
_MOST_SIGNALS = 5000

_Failed = tuple[str, str, str, str | None, bool]


class _Calls:
    __slots__ = ("count", "failed", "slow", "total", "worst")

    def __init__(self) -> None:
        self.count = self.failed = self.slow = self.total = self.worst = 0


class Counts:
    """What all dispatches add up to."""

    def __init__(self) -> None:
        self.dispatches = self.calls = self.failed = self.slow = self.orphans = 0
        self.calls_left_out = self.failures_left_out = self.sends_left_out = 0
        self._receivers: dict[tuple[str, str], _Calls] = {}
        self._failures: dict[_Failed, int] = {}
        self._signals: dict[str, list[int]] = {}

    def sent(self, dispatch: Dispatch) -> None:
        """Count a dispatch."""
        orphan = dispatch.receivers is not None and not dispatch.receivers
        self.dispatches += 1
        self.orphans += orphan
        name = dispatch.site.name
        if name not in self._signals and len(self._signals) >= _MOST_SIGNALS:
            self.sends_left_out += 1
            return
        counts = self._signals.setdefault(name, [0, 0, 0])
        counts[0] += 1
        counts[1] += orphan
        counts[2] += dispatch.receivers is None

    def called(self, call: ReceiverCall, name: str, *, slow: bool) -> None:
        """Count a call of the receiver called *name*."""
        self.calls += 1
        self.slow += slow
        if call.failed:
            self._fail(call, name)
        key = call.dispatch.site.name, name
        calls = self._receivers.get(key)
        if calls is None:
            if len(self._receivers) >= _MOST_RECEIVERS:
                self.calls_left_out += 1
                return
            calls = self._receivers[key] = _Calls()
        took = 0 if call.ended is None else call.ended - call.began
        calls.count += 1
        calls.failed += call.failed
        calls.slow += slow
        calls.total += took
        calls.worst = max(calls.worst, took)

    def _fail(self, call: ReceiverCall, name: str) -> None:
        self.failed += 1
        if call.error is None:
            return
        place = error_place(call.error, call.receiver)
        key = call.dispatch.site.name, name, error_type(call.error), place, is_captured(call)
        if key not in self._failures and len(self._failures) >= _MOST_FAILURES:
            self.failures_left_out += 1
            return
        self._failures[key] = self._failures.get(key, 0) + 1

    def receivers(self) -> list[model.ReceiverTotal]:
        """Return all receivers that ran, the one with the most time first."""
        totals = [
            model.ReceiverTotal(
                signal=signal,
                receiver=receiver,
                count=calls.count,
                failed=calls.failed,
                slow=calls.slow,
                total=calls.total / 1e9,
                worst=calls.worst / 1e9,
            )
            for (signal, receiver), calls in self._receivers.items()
        ]
        return sorted(totals, key=lambda total: (-total.total, total.receiver, total.signal))

    def failures(self) -> list[model.Failure]:
        """Return what failed, the most frequent first."""
        failures = [
            model.Failure(
                signal=signal,
                receiver=receiver,
                error=error,
                place=place,
                captured=captured,
                count=count,
                calls=self._receivers[signal, receiver].count if (signal, receiver) in self._receivers else count,
            )
            for (signal, receiver, error, place, captured), count in self._failures.items()
        ]
        return sorted(failures, key=lambda failure: (-failure.count, failure.receiver, failure.signal))

    def unheard(self) -> list[model.Orphan]:
        """Return the signals that were sent while nobody listened, the most frequent first."""
        orphans = [
            model.Orphan(signal=name, count=unheard, sends=sends)
            for name, (sends, unheard, _) in self._signals.items()
            if unheard
        ]
        return sorted(orphans, key=lambda orphan: (-orphan.count, orphan.signal))

    def never_called(self, connected: Iterable[tuple[str, Receiver]]) -> list[model.ConnectedReceiver]:
        """Return those of the *connected* receivers that no dispatch has called, the program's own first."""
        if self.calls_left_out:  # some of them may have been called
            return []
        silent = {
            (signal, name): receiver
            for signal, receiver in connected
            if (signal, name := receiver_name(receiver)) not in self._receivers and not self._hides_calls(signal)
        }
        found = [
            model.ConnectedReceiver(
                signal=signal, receiver=name, place=receiver_place(receiver), installed=is_installed(receiver)
            )
            for (signal, name), receiver in silent.items()
        ]
        return sorted(found, key=lambda one: (one.installed, one.receiver, one.signal))

    def _hides_calls(self, signal: str) -> bool:
        """Tell whether there were dispatches of *signal* of which nobody knows whom they called."""
        return signal in self._signals and self._signals[signal][2] > 0
