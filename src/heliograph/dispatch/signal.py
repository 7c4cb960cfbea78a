"""``Signal`` and ``receiver``: a drop-in for ``django.dispatch`` that can be observed."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from types import FunctionType
from typing import Any, TypeVar, cast

from heliograph.dispatch.registry import Connection, Registry
from heliograph.errors import ConfigurationError, ReceiverSignatureError, ReceiverTypeError
from heliograph.fanout.describe import receiver_name
from heliograph.fanout.facts import CAPTURE, PROPAGATE, Policy, Receiver
from heliograph.fanout.naming import SignalNames
from heliograph.fanout.run import Dialect, Responses, make_asend, make_send

__all__ = ["DIALECT", "Signal", "receiver", "signal_names"]

logger: logging.Logger = logging.getLogger("heliograph.dispatch")

F = TypeVar("F", bound=Callable[..., Any])


def _name_of(signal: Signal) -> str | None:
    return signal.name


def _live(signal: Signal, sender: Any) -> Any:
    return signal._live_receivers(sender)


def _report_captured(signal: Signal, receiver: Receiver, error: Exception) -> None:
    logger.error("Error calling %s in Signal.send_robust() (%s)", receiver_name(receiver), error, exc_info=error)


def _uid_of(signal: Signal, receiver: Receiver) -> str | None:
    return next((one.dispatch_uid for one in signal.receivers if one.receiver() == receiver), None)


DIALECT = Dialect("heliograph", _name_of, _uid_of, _live, _report_captured)


def _runs(make: Callable[[str, Policy, Dialect], Callable[..., Any]], policy: Policy) -> Callable[[F], F]:
    """Put the function that *make* makes in place of a declaration, with its name, docstring and types."""

    def implement(declaration: F) -> F:
        implementation = functools.update_wrapper(make(declaration.__name__, policy, DIALECT), declaration)
        del implementation.__wrapped__  # the declaration has no body worth finding
        return cast(F, implementation)

    return implement


class Signal:
    """An event that receivers connect to, with the API of ``django.dispatch.Signal``.

    Args:
        providing_args: Names of the arguments that receivers will get. Documentation only: the list may be
            changed at any time, and is checked nowhere.
        use_caching: Taken for compatibility with Django. Receivers are always looked up in a snapshot that
            is built once per change.
        name: The dotted name under which the signal appears in telemetry. Found from the module or the
            class that holds the signal when it is not given.

    Raises:
        ConfigurationError: If *providing_args* is not a collection of names, or *name* is empty.

    Example:
        >>> pizza_done = Signal(providing_args=["toppings", "size"])
        >>> @receiver(pizza_done)
        ... def ring_the_bell(sender, size, **kwargs):
        ...     return f"{size} pizza!"
        >>> [response for _, response in pizza_done.send(sender="oven", toppings=[], size="large")]
        ['large pizza!']
    """

    def __init__(
        self,
        providing_args: Iterable[str] | None = None,
        use_caching: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        self.providing_args: list[str] = _names(providing_args)
        self.use_caching: bool = use_caching
        self._name = _checked_name(name)
        self._registry = Registry()

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.name or 'without a name'}>"

    @property
    def name(self) -> str | None:
        """The dotted name, given or found; None while no loaded module or class holds the signal."""
        return self._name or signal_names.name_of(self)

    @property
    def receivers(self) -> list[Connection]:
        """The live connections, oldest first. Assigning a list read earlier restores those connections."""
        return self._registry.connections

    @receivers.setter
    def receivers(self, connections: Iterable[Connection]) -> None:
        self._registry.connections = list(connections)

    @property
    def lock(self) -> Any:
        """Held while connections change: who saves, empties and restores ``receivers`` takes it as with Django's."""
        return self._registry.lock

    @property
    def sender_receivers_cache(self) -> dict[Hashable, Any]:
        """What is looked up at a send; may be emptied at any time."""
        return self._registry.snapshots

    def connect(
        self,
        receiver: F,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable = None,
    ) -> F:
        """Call *receiver* whenever the signal is sent.

        Args:
            receiver: A callable, plain or async, that takes ``**kwargs``: a signal may get new arguments at
                any time. A receiver that is connected already is not connected again.
            sender: Whose sends to hear; None for everybody's. Compared by identity.
            weak: Whether to hold the receiver by a weak reference. A receiver nothing else refers to, such
                as a lambda or a local function, needs False.
            dispatch_uid: Identifies the receiver instead of its own identity, so that a module imported
                twice does not connect twice.

        Returns:
            The receiver, so that the method can decorate it.

        Raises:
            ReceiverTypeError: If *receiver* is not callable, or cannot be referenced weakly.
            ReceiverSignatureError: If it does not take ``**kwargs``, or has a positional-only parameter
                without a default.
        """
        _check_receiver(receiver)
        self._registry.add(receiver, sender, weak=weak, dispatch_uid=dispatch_uid)
        return receiver

    def disconnect(self, receiver: Receiver | None = None, sender: Any = None, dispatch_uid: Hashable = None) -> bool:
        """Stop calling a receiver.

        Args:
            receiver: The connected receiver; may be left out when *dispatch_uid* is given.
            sender: The sender it was connected for.
            dispatch_uid: The identifier it was connected with.

        Returns:
            Whether there was such a connection.
        """
        return self._registry.remove(receiver, sender, dispatch_uid)

    def has_listeners(self, sender: Any = None) -> bool:
        """Return whether a send by *sender* would reach any receiver."""
        return any(self._live_receivers(sender))

    @_runs(make_send, PROPAGATE)
    def send(self, sender: Any, **named: Any) -> Responses:  # type: ignore[empty-body]
        """Call all receivers for *sender*; the first error ends the dispatch and is raised.

        Async receivers are run together, after the plain ones, through :func:`asgiref.sync.async_to_sync`.

        Args:
            sender: Who sends: any object, or None.
            **named: The payload, handed to each receiver.

        Returns:
            A pair of receiver and response for each receiver, plain ones first, in the order they were connected.
        """

    @_runs(make_send, CAPTURE)
    def send_robust(self, sender: Any, **named: Any) -> Responses:  # type: ignore[empty-body]
        """Call all receivers for *sender*; an :class:`Exception` becomes the receiver's response and is logged.

        Args:
            sender: Who sends: any object, or None.
            **named: The payload, handed to each receiver.

        Returns:
            As for :meth:`send`.
        """

    @_runs(make_asend, PROPAGATE)
    async def asend(self, sender: Any, **named: Any) -> Responses:  # type: ignore[empty-body]
        """Like :meth:`send`, to be awaited. Plain receivers run in a thread, beside the async ones.

        Args:
            sender: Who sends: any object, or None.
            **named: The payload, handed to each receiver.

        Returns:
            As for :meth:`send`.
        """

    @_runs(make_asend, CAPTURE)
    async def asend_robust(self, sender: Any, **named: Any) -> Responses:  # type: ignore[empty-body]
        """Like :meth:`send_robust`, to be awaited. Plain receivers run in a thread, beside the async ones.

        Args:
            sender: Who sends: any object, or None.
            **named: The payload, handed to each receiver.

        Returns:
            As for :meth:`send`.
        """

    def _live_receivers(self, sender: Any) -> tuple[Sequence[Receiver], Sequence[Receiver]]:
        """Django's name for the look-up, so that plugin systems which call or override it go on working."""
        return self._registry.live(sender)


signal_names: SignalNames = SignalNames(Signal)


def receiver(signal: Signal | Iterable[Signal], /, **connection: Any) -> Callable[[F], F]:
    """Connect the decorated function to a signal, or to several.

    Args:
        signal: The signal, or a list of them. Anything with a ``connect`` method will do.
        **connection: Passed to :meth:`Signal.connect`: ``sender``, ``weak``, ``dispatch_uid``.

    Raises:
        ReceiverTypeError: As for :meth:`Signal.connect`.
        ReceiverSignatureError: As for :meth:`Signal.connect`.
    """

    def connect(function: F) -> F:
        for one in signal if isinstance(signal, Iterable) else (signal,):
            one.connect(function, **connection)
        return function

    return connect


def _check_receiver(receiver: Any) -> None:
    if not callable(receiver):
        raise ReceiverTypeError(
            f"Signal receivers must be callable. Got {type(receiver).__qualname__}; "
            "pass a function, a method or an object with __call__."
        )
    if _is_plainly_fit(receiver):
        return
    try:
        parameters = inspect.signature(receiver).parameters.values()
    except (ValueError, TypeError) as error:
        raise ReceiverSignatureError(
            f"The signature of {receiver_name(receiver)} cannot be read ({error}). "
            "Signal receivers must accept keyword arguments (**kwargs). Connect a function that calls it."
        ) from None
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        raise ReceiverSignatureError(_unfit(receiver, "it must accept whatever a signal sends, now or later"))
    if any(one.kind is one.POSITIONAL_ONLY and one.default is one.empty for one in parameters):
        raise ReceiverSignatureError(
            _unfit(receiver, "all is passed by keyword, so no parameter may be positional-only")
        )


def _is_plainly_fit(receiver: Any) -> bool:
    """Tell from the code of a plain function, without the cost of a signature, that it takes any keyword."""
    if type(receiver) is not FunctionType or receiver.__dict__:  # a wrapper may say that its signature is another
        return False
    code = receiver.__code__
    return bool(code.co_flags & inspect.CO_VARKEYWORDS) and not code.co_posonlyargcount


def _unfit(receiver: Any, why: str) -> str:
    return (
        "Signal receivers must accept keyword arguments (**kwargs). "
        f"{receiver_name(receiver)}{inspect.signature(receiver)} does not: {why}. "
        "Declare it as def receiver(sender, **kwargs)."
    )


def _names(names: Iterable[str] | None) -> list[str]:
    if names is None:
        return []
    listed = [] if isinstance(names, str) else list(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in listed):
        raise ConfigurationError(
            f'providing_args must be a list of argument names, got {names!r}. Pass a list such as ["toppings", "size"].'
        )
    return listed


def _checked_name(name: str | None) -> str | None:
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ConfigurationError(f'name must be a dotted name, got {name!r}. Pass one such as "shop.order_paid".')
    return name
