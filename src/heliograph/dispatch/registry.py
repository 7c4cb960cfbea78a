"""Who is connected to a signal, and for which sender.

Connecting and disconnecting take constant time and drop the snapshots; a send reads the snapshot of its
sender, which no later change touches. Receivers and senders are compared by identity, as in Django.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from inspect import CO_COROUTINE
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction

from heliograph.errors import ReceiverTypeError
from heliograph.fanout.facts import Receiver
from heliograph.fanout.run import NOBODY, Live

__all__ = ["Connection", "Registry", "identity"]

Key = tuple[Hashable, Hashable]
Reference = Callable[[], Any]


class Connection(NamedTuple):
    """One receiver connected to one signal.

    Attributes:
        key: What identifies it: the receiver (or its dispatch_uid) and the sender.
        receiver: Returns the receiver, or None once it is gone.
        sender: Returns the sender it is limited to, or None once that is gone; None for any sender.
        is_async: Whether the receiver is a coroutine function.
    """

    key: Key
    receiver: Reference
    sender: Reference | None
    is_async: bool

    @property
    def dispatch_uid(self) -> str | None:
        """The identifier the receiver was connected with, in words, or None if that is its own identity."""
        receiver = self.receiver()
        return None if receiver is None or self.key[0] == identity(receiver) else str(self.key[0])

    @property
    def alive(self) -> bool:
        """Whether both its receiver and its sender still live."""
        return self.receiver() is not None and (self.sender is None or self.sender() is not None)


Snapshot = tuple[tuple[Reference, ...], tuple[Reference, ...]]
_NOBODY: Snapshot = ((), ())


class Registry:
    """The connections of one signal. Every method may be called from any thread."""

    __slots__ = ("_connections", "_dead", "_limited", "_lock", "_snapshots")

    def __init__(self) -> None:
        self._connections: dict[Key, Connection] = {}
        self._limited: Counter[Hashable] = Counter()  # how many connections are limited to a sender
        self._snapshots: dict[Hashable, Snapshot] = {}
        self._dead: deque[Key] = deque()
        self._lock = threading.RLock()

    @property
    def lock(self) -> Any:
        """Held while connections change."""
        return self._lock

    @property
    def snapshots(self) -> dict[Hashable, Any]:
        """What is looked up at a send, by sender. May be emptied, and is built again then."""
        return self._snapshots

    def add(self, receiver: Receiver, sender: Any, *, weak: bool, dispatch_uid: Hashable) -> None:
        """Connect *receiver*, unless one with the same identity (or *dispatch_uid*) and sender is connected."""
        key = _key(receiver, sender, dispatch_uid)
        connection = Connection(
            key,
            self._weakly(receiver, key) if weak else _strongly(receiver),
            None if sender is None else self._sender_reference(sender, key),
            _is_async(receiver),
        )
        with self._lock:
            self._bury()
            if key not in self._connections:
                self._insert(connection)

    def remove(self, receiver: Receiver | None, sender: Any, dispatch_uid: Hashable) -> bool:
        """Disconnect; return whether there was anything to disconnect."""
        with self._lock:
            self._bury()
            key = _key(receiver, sender, dispatch_uid)
            connected = key in self._connections
            if connected:
                self._delete(key)
        return connected

    def live(self, sender: Any) -> Live:
        """Return the receivers for *sender* that live, plain and async ones, in the order they were connected."""
        if self._dead:
            with self._lock:
                self._bury()
        wanted = _ANYBODY
        if self._limited and (sender_id := identity(sender)) in self._limited:
            wanted = sender_id
        snapshot = self._snapshots.get(wanted) or self._snapshot(wanted)
        if snapshot is _NOBODY:
            return NOBODY
        plain: list[Receiver] = []
        for reference in snapshot[0]:  # a comprehension has a frame of its own, which a signal with few receivers feels
            receiver = reference()
            if receiver is not None:
                plain.append(receiver)
        if not snapshot[1]:
            return plain, []
        return plain, [receiver for reference in snapshot[1] if (receiver := reference()) is not None]

    @property
    def connections(self) -> list[Connection]:
        """All live connections, oldest first. Assigning a list taken earlier restores it."""
        with self._lock:
            self._bury()
            return list(self._connections.values())

    @connections.setter
    def connections(self, connections: Iterable[Connection]) -> None:
        with self._lock:
            self._connections, self._limited, self._snapshots = {}, Counter(), {}
            for connection in connections:
                if connection.alive and connection.key not in self._connections:
                    self._insert(connection)

    def _snapshot(self, sender_id: Hashable) -> Snapshot:
        with self._lock:
            fitting = [one for one in self._connections.values() if one.key[1] in (_NO_SENDER, sender_id)]
            plain = tuple(one.receiver for one in fitting if not one.is_async)
            concurrent = tuple(one.receiver for one in fitting if one.is_async)
            snapshot = (plain, concurrent) if fitting else _NOBODY
            return self._snapshots.setdefault(sender_id, snapshot)

    def _insert(self, connection: Connection) -> None:
        self._connections[connection.key] = connection
        if connection.sender is not None:
            self._limited[connection.key[1]] += 1
        self._snapshots = {}

    def _delete(self, key: Key) -> None:
        del self._connections[key]
        self._limited[key[1]] -= 1
        if self._limited[key[1]] <= 0:
            del self._limited[key[1]]
        self._snapshots = {}

    def _weakly(self, receiver: Receiver, key: Key) -> Reference:
        try:
            if hasattr(receiver, "__self__") and hasattr(receiver, "__func__"):
                return weakref.WeakMethod(receiver, self._on_death(key))
            return weakref.ref(receiver, self._on_death(key))
        except TypeError as error:
            raise ReceiverTypeError(
                f"{type(receiver).__qualname__} objects cannot be connected weakly ({error}). "
                "Pass weak=False to connect."
            ) from None

    def _sender_reference(self, sender: Any, key: Key) -> Reference:
        try:
            return weakref.ref(sender, self._on_death(key))
        except TypeError:  # held strongly, so that its id cannot become another sender's
            return _strongly(sender)

    def _on_death(self, key: Key) -> Callable[[Any], None]:
        # Called by the garbage collector, maybe while this thread holds the lock: only note it here. The
        # callback holds the queue alone, or a registry could not be collected before its receivers.
        note = self._dead.append
        return lambda _: note(key)

    def _bury(self) -> None:
        """Remove what has died. The caller holds the lock."""
        while self._dead:
            key = self._dead.popleft()
            connection = self._connections.get(key)
            if connection is not None and not connection.alive:
                self._delete(key)


def identity(thing: Any) -> Hashable:
    """Return what identifies a receiver or a sender; equal for two bindings of one method to one object."""
    if type(thing) is MethodType:
        return (id(thing.__self__), id(thing.__func__))
    return id(thing)


_NO_SENDER = identity(None)
_ANYBODY: Hashable = object()


def _is_async(receiver: Receiver) -> bool:
    if type(receiver) is FunctionType and not receiver.__dict__:  # not marked, so its code says it
        return bool(receiver.__code__.co_flags & CO_COROUTINE)
    return iscoroutinefunction(receiver)


def _key(receiver: Receiver | None, sender: Any, dispatch_uid: Hashable) -> Key:
    return (dispatch_uid or identity(receiver), identity(sender))


def _strongly(thing: Any) -> Reference:
    return lambda: thing
