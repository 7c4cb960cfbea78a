"""Who is connected: snapshots, weak references, identity."""

from __future__ import annotations

import gc
import weakref

import pytest

from heliograph.dispatch.registry import Registry, identity
from heliograph.fanout.run import NOBODY


def receiver(**_):
    return None


def other(**_):
    return None


async def concurrent(**_):
    return None


class Sender:
    """Sends signals."""


@pytest.fixture
def registry():
    """A registry without connections."""
    return Registry()


def add(registry, receiver, sender=None, *, weak=True, dispatch_uid=None):
    registry.add(receiver, sender, weak=weak, dispatch_uid=dispatch_uid)


def test_nobody_is_told_apart_from_nobody_for_this_sender(registry):
    """A send to nobody ends at once."""
    assert registry.live(None) is NOBODY
    add(registry, receiver, Sender)
    assert registry.live(None) is NOBODY
    assert registry.live(Sender) == ([receiver], [])


def test_plain_and_async_receivers_are_told_apart(registry):
    """Once, when they are connected."""
    for one in (concurrent, receiver, other):
        add(registry, one)

    assert registry.live(None) == ([receiver, other], [concurrent])


def test_a_snapshot_is_dropped_with_each_change(registry):
    """And never changed under a send that reads it."""
    add(registry, receiver)
    before = registry.live(None)
    add(registry, other)

    assert before == ([receiver], [])
    assert registry.live(None) == ([receiver, other], [])
    assert registry.remove(receiver, None, None) is True
    assert registry.live(None) == ([other], [])


def test_snapshots_are_kept_for_senders_with_connections_alone(registry):
    """A thousand senders that nobody asked for take no memory."""
    add(registry, receiver)
    add(registry, other, Sender)
    for _ in range(1000):
        registry.live(object())
    registry.live(Sender)

    assert len(registry._snapshots) == 2


def test_a_connection_dies_with_its_sender(registry):
    """Its sender's id may be another's next."""
    sender = Sender()
    add(registry, receiver, sender)
    assert len(registry.connections) == 1
    del sender
    gc.collect()

    assert registry.connections == []
    assert registry._limited == {}


def test_a_connection_dies_with_its_receiver(registry):
    """The garbage collector only notes it; the next look-up removes it."""

    def local(**_):
        return None

    add(registry, local)
    del local
    gc.collect()

    assert registry.live(None) is NOBODY
    assert registry.connections == []


def test_a_registry_dies_before_its_receivers(registry):
    """A receiver that lives on does not keep it."""
    mortal = Registry()
    add(mortal, receiver)
    add(mortal, other, Sender)

    class Canary:
        pass

    canary = Canary()
    mortal_reference = weakref.ref(canary)
    mortal._snapshots[object()] = canary  # type: ignore[assignment]  # lives as long as the registry
    del mortal, canary
    gc.collect()

    assert mortal_reference() is None


def test_a_receiver_may_be_connected_again_after_it_died(registry):
    """The dead one's place is free, also when the id is the same."""
    for _ in range(50):

        def local(**_):
            return None

        add(registry, local)
        assert registry.live(None) == ([local], [])
        del local


def test_assigning_connections_restores_those_that_live(registry):
    """In the order of the list; each once."""
    add(registry, receiver)
    add(registry, other, Sender)
    saved = registry.connections
    registry.connections = []
    assert registry.live(Sender) is NOBODY
    registry.connections = [*saved, *saved]

    assert registry.live(Sender) == ([receiver, other], [])
    assert registry.remove(other, Sender, None) is True
    assert registry.live(Sender) == ([receiver], [])
    assert registry._limited == {}


def test_methods_are_identified_by_object_and_function():
    """Two bindings of one method are one receiver; those of two objects are two."""

    class Shop:
        def receive(self, **_):
            return None

    one, two = Shop(), Shop()
    assert identity(one.receive) == identity(one.receive)
    assert identity(one.receive) != identity(two.receive)
    assert identity(receiver) == id(receiver)


def test_a_uid_is_told_in_words(registry):
    """Whatever it is; a receiver connected without one has none."""
    add(registry, receiver, dispatch_uid=("shop", 1))
    add(registry, other)

    assert [connection.dispatch_uid for connection in registry.connections] == ["('shop', 1)", None]


def test_uids_are_compared_by_value(registry):
    """And may be anything that can be hashed."""
    add(registry, receiver, dispatch_uid=("shop", 1))
    add(registry, other, dispatch_uid=("shop", 1))

    assert registry.live(None) == ([receiver], [])
    assert registry.remove(None, None, ("shop", 1)) is True
    assert registry.live(None) is NOBODY


def test_a_falsy_uid_is_no_uid(registry):
    """As in Django."""
    add(registry, receiver, dispatch_uid="")
    add(registry, other, dispatch_uid=0)

    assert registry.live(None) == ([receiver, other], [])
