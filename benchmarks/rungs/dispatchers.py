"""Dispatchers with nobody watching."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from benchmarks.backend import Backend
from benchmarks.rung import Dispatcher, Prepared, Receiver, Rung, Send

__all__ = ["DISPATCHERS", "OWN_SIGNAL", "django", "heliograph"]

OWN_SIGNAL = "benchmarks.signals.order_paid"
_numbers = itertools.count()


def loop() -> Dispatcher:
    """Functions in a list: what no dispatcher can beat."""

    def send(receivers: list[Receiver]) -> Send:
        def call_all(sender: object) -> None:
            for receiver in receivers:
                receiver(sender=sender, signal=None)

        return call_all

    return Dispatcher(list, list.append, send)


def django() -> Dispatcher:
    """``django.dispatch.Signal``."""
    from django.dispatch import Signal

    def send(signal: Signal) -> Send:
        _give_a_name(signal)
        return signal.send

    return Dispatcher(Signal, Signal.connect, send, _joiner(Signal))


def heliograph() -> Dispatcher:
    """``heliograph.Signal``."""
    from heliograph import Signal

    return Dispatcher(lambda: Signal(name=OWN_SIGNAL), Signal.connect, lambda signal: signal.send)


def blinker() -> Dispatcher:
    """``blinker.Signal``."""
    from blinker import Signal

    return Dispatcher(Signal, Signal.connect, lambda signal: signal.send)


def psygnal() -> Dispatcher:
    """``psygnal.SignalInstance``, compiled, with one positional argument."""
    from psygnal import SignalInstance

    def empty() -> Receiver:
        def receiver(value: object) -> None:
            pass

        return receiver

    return Dispatcher(
        lambda: SignalInstance((object,)),
        lambda signal, receiver: signal.connect(receiver),
        lambda signal: signal.emit,
        receivers=lambda count: [empty() for _ in range(count)],
    )


def celery() -> Dispatcher:
    """``celery.utils.dispatch.Signal``."""
    from celery.utils.dispatch import Signal

    return Dispatcher(Signal, Signal.connect, lambda signal: signal.send, _joiner(Signal))


def pydispatcher() -> Dispatcher:
    """``pydispatch.dispatcher``, whose signals are any objects."""
    from pydispatch import dispatcher

    return Dispatcher(
        object,
        lambda signal, receiver: dispatcher.connect(receiver, signal),
        lambda signal: functools.partial(dispatcher.send, signal),
    )


def _joiner(signal_class: Callable[[], Any]) -> Callable[[Sequence[Any]], Any]:
    """Return what joins signals of a class that looks through all receivers before it takes one more."""

    def join(parts: Sequence[Any]) -> Any:
        signal = signal_class()
        signal.receivers = [connection for part in parts for connection in part.receivers]
        return signal

    return join


def _give_a_name(signal: Any) -> None:
    """Put *signal* into a module of its own: signals are found by the modules that hold them."""
    module = ModuleType(f"{OWN_SIGNAL.rpartition('.')[0]}{next(_numbers)}")
    module.order_paid = signal  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module


def _rung(name: str, title: str, dispatcher: Callable[[], Dispatcher]) -> Rung:
    def prepare(backend: Backend) -> Prepared:
        return Prepared(dispatcher())

    return Rung(name, title, prepare)


DISPATCHERS = (
    _rung("loop", "calling the functions in a loop", loop),
    _rung("django", "Django `Signal.send`", django),
    _rung("psygnal", "psygnal `emit`, compiled", psygnal),
    _rung("blinker", "blinker `send`", blinker),
    _rung("celery", "Celery `Signal.send`", celery),
    _rung("pydispatcher", "PyDispatcher `send`", pydispatcher),
    _rung("heliograph", "heliograph `Signal.send`, unobserved", heliograph),
)
