"""The fan-out while it grows: a tree with one line for all dispatches that are alike, and a limit to its lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from heliograph.fanout.describe import error_type, receiver_name, sender_name
from heliograph.fanout.facts import Dispatch, ReceiverCall
from heliograph.report import model
from heliograph.report.places import error_place

__all__ = ["Branch", "DispatchNode", "ReceiverNode", "Tree"]

Key = tuple[str, str | None, str, tuple[str, ...] | None]


class Tree:
    """All that was sent in one request, or outside all of them.

    Attributes:
        roots: What was sent by no receiver.
        room: How many more lines it may get.
        left_out: How many dispatches came when there was no room any more.
    """

    __slots__ = ("left_out", "room", "roots")

    def __init__(self, room: int) -> None:
        self.room = room
        self.left_out = 0
        self.roots = Branch(self)

    def shape(self) -> Any:
        """Return what two requests have in common when they did the same."""
        return self.roots.shape()

    def absorb(self, other: Tree) -> None:
        """Add the numbers of a tree of the same shape to this one's."""
        self.left_out += other.left_out
        self.roots.absorb(other.roots)


class Branch:
    """The dispatches under one receiver, or under none."""

    __slots__ = ("nodes", "tree")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.nodes: dict[Key, DispatchNode] = {}

    def node(self, dispatch: Dispatch) -> DispatchNode | None:
        """Return the node that stands for *dispatch*, a new one if need be; None when there is no room for it."""
        key = _key(dispatch)
        node = self.nodes.get(key)
        if node is None and _room(self.tree):
            node = self.nodes[key] = DispatchNode(self.tree, key, dispatch.site.system)
        return node

    def shape(self) -> Any:
        """Return what was sent, without the numbers."""
        return tuple((key, node.shape()) for key, node in self.nodes.items())

    def absorb(self, other: Branch) -> None:
        """Add the numbers of a branch of the same shape."""
        for node, more in zip(self.nodes.values(), other.nodes.values(), strict=True):
            node.absorb(more)

    def lines(self) -> tuple[model.DispatchLine, ...]:
        """Return the branch as part of a finished report."""
        return tuple(node.line() for node in self.nodes.values())


class DispatchNode:
    """Dispatches that are alike."""

    __slots__ = ("count", "failed", "key", "receivers", "system", "total", "tree", "worst")

    def __init__(self, tree: Tree, key: Key, system: str) -> None:
        self.tree = tree
        self.key = key
        self.system = system
        self.count = self.failed = self.total = self.worst = 0
        self.receivers: dict[str, ReceiverNode] = {}

    def add(self, dispatch: Dispatch) -> None:
        """Count one more."""
        took = _nanoseconds(dispatch)
        self.count += 1
        self.failed += dispatch.failed
        self.total += took
        self.worst = max(self.worst, took)

    def receiver(self, name: str, mode: str = "sync") -> ReceiverNode | None:
        """Return the node of one of its receivers, a new one if need be; None when there is no room for it."""
        node = self.receivers.get(name)
        if node is None and _room(self.tree):
            node = self.receivers[name] = ReceiverNode(self.tree, name, mode)
        return node

    def shape(self) -> Any:
        """Return which receivers have a line, and what these sent."""
        return tuple((name, node.branch and node.branch.shape()) for name, node in self.receivers.items())

    def absorb(self, other: DispatchNode) -> None:
        """Add the numbers of a node of the same shape."""
        self.count += other.count
        self.failed += other.failed
        self.total += other.total
        self.worst = max(self.worst, other.worst)
        for name, node in self.receivers.items():
            node.absorb(other.receivers[name])

    def line(self) -> model.DispatchLine:
        """Return the node as part of a finished report."""
        signal, sender, operation, due = self.key
        return model.DispatchLine(
            signal=signal,
            system=self.system,
            sender=sender,
            operation=operation,
            count=self.count,
            failed=self.failed,
            total=self.total / 1e9,
            worst=self.worst / 1e9,
            known=due is not None,
            receivers=tuple(node.line() for node in self._in_order(due or ())),
        )

    def _in_order(self, due: tuple[str, ...]) -> Iterator[ReceiverNode]:
        # One that is only worth a line later, when it becomes slow, was not the last to be due.
        yield from (self.receivers[name] for name in dict.fromkeys(due) if name in self.receivers)
        yield from (node for name, node in self.receivers.items() if name not in due)


class ReceiverNode:
    """Calls of one receiver by dispatches that are alike."""

    __slots__ = (
        "branch",
        "captured",
        "count",
        "error",
        "failed",
        "mode",
        "name",
        "place",
        "skipped",
        "slow",
        "total",
        "tree",
        "worst",
    )

    def __init__(self, tree: Tree, name: str, mode: str) -> None:
        self.tree = tree
        self.name = name
        self.mode = mode
        self.count = self.failed = self.slow = self.skipped = self.total = self.worst = 0
        self.error: str | None = None
        self.place: str | None = None
        self.captured = False
        self.branch: Branch | None = None

    def add(self, call: ReceiverCall, *, slow: bool) -> None:
        """Count one more."""
        took = _nanoseconds(call)
        self.count += 1
        self.slow += slow
        self.total += took
        self.worst = max(self.worst, took)
        if call.failed:
            self.failed += 1
            if self.error is None and call.error is not None:
                self.error = error_type(call.error)
                self.place = error_place(call.error, call.receiver)
                self.captured = is_captured(call)

    def sent(self) -> Branch:
        """Return the branch of what the receiver sends itself."""
        if self.branch is None:
            self.branch = Branch(self.tree)
        return self.branch

    def absorb(self, other: ReceiverNode) -> None:
        """Add the numbers of a node of the same shape."""
        self.count += other.count
        self.failed += other.failed
        self.slow += other.slow
        self.skipped += other.skipped
        self.total += other.total
        self.worst = max(self.worst, other.worst)
        if self.error is None:
            self.error, self.place, self.captured = other.error, other.place, other.captured
        if self.branch is not None and other.branch is not None:
            self.branch.absorb(other.branch)

    def line(self) -> model.ReceiverLine:
        """Return the node as part of a finished report."""
        return model.ReceiverLine(
            receiver=self.name,
            mode=self.mode,
            count=self.count,
            failed=self.failed,
            slow=self.slow,
            skipped=self.skipped,
            total=self.total / 1e9,
            worst=self.worst / 1e9,
            error=self.error,
            place=self.place,
            captured=self.captured,
            lines=() if self.branch is None else self.branch.lines(),
        )


def is_captured(call: ReceiverCall) -> bool:
    """Tell whether the error of *call* became a response."""
    return call.error is not None and isinstance(call.error, call.dispatch.policy.captured)


def _key(dispatch: Dispatch) -> Key:
    due = dispatch.receivers
    names = None if due is None else tuple([receiver_name(receiver) for receiver in due])
    return dispatch.site.name, sender_name(dispatch.sender), dispatch.operation, names


def _room(tree: Tree) -> bool:
    if tree.room <= 0:
        return False
    tree.room -= 1
    return True


def _nanoseconds(fact: Dispatch | ReceiverCall) -> int:
    return 0 if fact.ended is None else fact.ended - fact.began
