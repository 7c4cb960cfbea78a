"""A finished report: what ran, how long it took and what came of it, in plain words and numbers.

Times are seconds. Nothing here refers to a sender, a receiver or an error as an object, so a report can be
kept, saved and printed long after the program has ended.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ConnectedReceiver",
    "DispatchLine",
    "Failure",
    "Group",
    "LeftOut",
    "Orphan",
    "ReceiverLine",
    "ReceiverTotal",
    "Report",
    "Totals",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverLine:
    """One receiver under one :class:`DispatchLine`.

    Attributes:
        receiver: Its dotted name.
        mode: ``sync`` or ``async``.
        count: How often it was called.
        failed: How many of the calls raised.
        slow: How many took longer than the report's threshold.
        skipped: How often it was due and never ran, because an earlier receiver raised.
        total: Seconds in all calls together, what they sent included.
        worst: Seconds in the longest call.
        error: The class of the first error it raised.
        place: Where that error was raised, as ``file:line``.
        captured: Whether that error became a response rather than an error of the send.
        lines: What it sent itself.
    """

    receiver: str
    mode: str
    count: int
    failed: int
    slow: int
    skipped: int
    total: float
    worst: float
    error: str | None
    place: str | None
    captured: bool
    lines: tuple[DispatchLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchLine:
    """Dispatches of one signal by one kind of sender to the same receivers under the same parent, as one.

    Attributes:
        signal: The signal's dotted name.
        system: The library it belongs to.
        sender: The sender's model label or class, or None.
        operation: The library's verb, such as ``send_robust``.
        count: How many dispatches; 0 when the first of them had not ended when the program did.
        failed: How many of them raised.
        total: Seconds in all of them together.
        worst: Seconds in the longest.
        known: Whether the receivers could be observed.
        receivers: The receivers worth showing, in the order in which they are due.
    """

    signal: str
    system: str
    sender: str | None
    operation: str
    count: int
    failed: int
    total: float
    worst: float
    known: bool
    receivers: tuple[ReceiverLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What was sent in one request, in several with the same fan-out, or outside all requests.

    Attributes:
        request: The number of the request, or of the first of those alike; 0 for what no request sent.
        count: How many requests; 1 for what no request sent.
        total: Seconds from the beginning to the end of the requests, added up.
        worst: Seconds in the longest of them.
        lines: What was sent, in the order in which it was first sent.
        left_out: How many dispatches of the group no line stands for, because there were too many lines.
    """

    request: int
    count: int
    total: float
    worst: float
    lines: tuple[DispatchLine, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverTotal:
    """All calls of one receiver by one signal, wherever they were made."""

    signal: str
    receiver: str
    count: int
    failed: int
    slow: int
    total: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One kind of error of one receiver.

    Attributes:
        signal, receiver: Which receiver of which signal.
        error: The error's class.
        place: Where it was raised, as ``file:line``, if it has a traceback.
        captured: Whether it became a response, as under ``send_robust``, and the sender may have missed it.
        count: How often.
        calls: How often the receiver was called in all.
    """

    signal: str
    receiver: str
    error: str
    place: str | None
    captured: bool
    count: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A signal that was sent while nobody listened.

    Attributes:
        signal: The signal's dotted name.
        count: How many dispatches nobody heard.
        sends: How many dispatches there were in all.
    """

    signal: str
    count: int
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedReceiver:
    """A receiver that was connected when the program ended and had never been called.

    Attributes:
        signal, receiver: Their dotted names.
        place: Where the receiver is defined, as ``file:line``, if it has source.
        installed: Whether it belongs to an installed library rather than to the program.
    """

    signal: str
    receiver: str
    place: str | None
    installed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What happened in all, whether a line shows it or not."""

    requests: int
    dispatches: int
    calls: int
    failed: int
    slow: int
    orphans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What the report counts but does not show, because a report has a size.

    Attributes:
        requests: Requests whose group gave way to slower or failed ones.
        calls: Calls of receivers beyond those there is a total for.
        failures: Failed calls beyond the kinds of failure that are told apart.
        sends: Dispatches of signals beyond those that are counted one by one.
    """

    requests: int
    calls: int
    failures: int
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run of a program sent, and who heard it.

    Attributes:
        program: What was run, as given.
        started_at: When, in seconds since the epoch.
        duration: Seconds from start to end.
        level: What was worth a line: ``errors``, ``slow`` or ``all``.
        slow: Seconds from which a call counts as slow.
        totals: The whole in numbers.
        groups: The fan-out, in the order of first appearance.
        receivers: All receivers that ran, the one with the most time first.
        failures: What failed, the most frequent first.
        orphans: Signals nobody heard, the most frequent first.
        never_called: Receivers that waited in vain.
        left_out: What the report has no room for.
        unmatched: Names in filters that match nothing known.
    """

    program: str
    started_at: float
    duration: float
    level: str
    slow: float
    totals: Totals
    groups: tuple[Group, ...]
    receivers: tuple[ReceiverTotal, ...]
    failures: tuple[Failure, ...]
    orphans: tuple[Orphan, ...]
    never_called: tuple[ConnectedReceiver, ...]
    left_out: LeftOut
    unmatched: tuple[str, ...]
