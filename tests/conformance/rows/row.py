"""What a dispatcher is, in the words in which the suite asks: its verbs, and what it can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CAPABILITIES", "Dispatcher", "Pairs", "Verb", "as_connected", "by_keyword", "plain_ones_first"]

Pairs = Sequence[tuple[Any, Any]]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]

CAPABILITIES = {
    "any_payload": "a payload may use any name but the sender's and the signal's",
    "assignable_receivers": "``signal.receivers`` is a list that may be assigned",
    "async_receivers": "some plain verb awaits async receivers",
    "concurrent_receivers": "async receivers run beside each other",
    "dispatch_uid": "a receiver may be connected with a ``dispatch_uid``",
    "forgets_senders": "a sender that gets the ``id`` of one that died is another sender",
    "has_listeners": "``signal.has_listeners(sender)``",
    "late_connections": "a receiver connected during a send is called from the next one on",
    "live_receivers": "who is called may be chosen by overriding ``_live_receivers``",
    "logs_captured": "captured errors are logged",
    "names_any_receiver": "a captured error of any receiver is logged, whether or not it has a name",
    "no_checked_signatures": "any callable may be connected, whether or not its signature can be read",
    "order": "receivers are called in the order of connecting",
    "plain_in_a_thread": "plain receivers of an awaited send run in a thread",
    "receiver_decorator": "a function ``receiver`` that connects to one signal or several",
    "refuses_senders": "exactly one sender is given, by position or as ``sender``",
    "settled_receivers": "who is called is settled when the send begins",
    "signal_argument": "receivers get the signal as ``signal``",
    "subclasses": "``send`` may be overridden in a subclass of the signal's class",
    "tells_bound_methods_apart": "one method bound to two objects is two receivers",
    "tells_disconnection": "``disconnect`` returns whether the receiver was connected",
    "thread_safe": "receivers may be connected and disconnected while other threads send",
    "use_caching": "``Signal(use_caching=True)``",
}
"""What a test may need, by name. A row has all of them but those it says it does without."""


@dataclass(frozen=True)
class Verb:
    """One way to send.

    Attributes:
        name: What the library calls it, and ``heliograph.operation.name`` too.
        captures: Whether errors become responses.
        awaited: Whether it returns something to await.
        frames: How many frames lie between the caller of the library's function and the receiver, the latter included.
        of: Returns the library's own function for a signal, to be called with the sender and the payload; the method of
            that name unless given. No Python function may stand in between: a bound method or a partial will do.
    """

    name: str
    captures: bool = False
    awaited: bool = False
    frames: int = 2
    of: Callable[[Any], Callable[..., Any]] | None = None

    def __call__(self, signal: Any) -> Callable[..., Any]:
        """Return the library's own function that sends *signal*."""
        bound: Callable[..., Any] = getattr(signal, self.name) if self.of is None else self.of(signal)
        return bound


def by_keyword(signal: Any, sender: Any, payload: dict[str, Any]) -> Arguments:
    """Return how a receiver is called that gets all by keyword, the signal included."""
    return (), {"signal": signal, "sender": sender, **payload}


def as_connected(pairs: Pairs, is_async: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
    """Return *pairs* of receiver and response as they are: in the order of connecting."""
    return list(pairs)


def plain_ones_first(pairs: Pairs, is_async: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
    """Return *pairs* in the order of connecting, those of async receivers after all others."""
    return sorted(pairs, key=lambda pair: is_async(pair[0]))


@dataclass(frozen=True)
class Dispatcher:
    """A dispatcher under test: one row of the suite.

    Attributes:
        library: Its name, as ``heliograph.instrument`` takes it.
        Signal: Makes a signal nobody is connected to, with ``connect(receiver, sender=…, weak=True)`` and
            ``disconnect(receiver, sender=…)``.
        verbs: All ways to send.
        without: The capabilities it does without, each with the reason in a few words.
        variant: What tells it from another row of the same library.
        calls: Returns the arguments that a receiver gets of a signal, a sender and a payload.
        arranged: Brings pairs of receiver and response, given in the order of connecting, into the order of a result.
        response_of: Returns the exception that a captured error's response stands for.
        logged: A regular expression for what is logged of a captured ``Broken("oven")`` of a receiver named ``failing``.
        shared_context: Whether async receivers share one context.
        name: What ``heliograph.signal.name`` is for a signal that nobody holds.
        refused: Kinds of receivers it cannot call, of those in ``test_receivers.py``.
    """

    library: str
    Signal: Callable[..., Any]
    verbs: Sequence[Verb]
    without: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    calls: Callable[[Any, Any, dict[str, Any]], Arguments] = by_keyword
    arranged: Callable[[Pairs, Callable[[Any], bool]], list[tuple[Any, Any]]] = as_connected
    response_of: Callable[[Any], Any] = lambda response: response
    logged: str = ""
    shared_context: bool = False
    name: str = "_OTHER"
    refused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Find misspelt capabilities."""
        assert self.without.keys() <= CAPABILITIES.keys(), self.without.keys() - CAPABILITIES.keys()

    def __str__(self) -> str:
        """Return the name of the row."""
        return f"{self.library} {self.variant}".strip()

    def can(self, capability: str) -> bool:
        """Return whether it has a capability."""
        assert capability in CAPABILITIES, capability
        return capability not in self.without
