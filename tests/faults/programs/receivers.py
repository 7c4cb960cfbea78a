"""Receivers that do what they should not, and signals with a ``send`` of their own."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import Any

import django.dispatch

from tests.faults.programs.common import SIGNALS, Case, Counting, Ledger, batch, blocks, instrument, run

ERRORS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException, StopIteration)


def value_of(value: int, **_: Any) -> int:
    return value


def base_exceptions(ledger: Ledger, times: int) -> None:
    """Exceptions that no ``except Exception`` catches, under every verb, with receivers before and after."""

    def raises(value: int, **_: Any) -> None:
        raise ERRORS[value](value)

    for make in SIGNALS.values():
        signal = make()
        for one in (value_of, raises):
            signal.connect(one)
        for number in range(times // 4):
            for operation in ("send", "send_robust"):
                ledger.send(signal, operation, value=number % len(ERRORS))


class Handler:
    """A receiver that lives as long as somebody refers to it."""

    def __init__(self, name: str, handlers: dict[str, Any]) -> None:
        self.__name__ = name
        self._handlers = handlers

    def __call__(self, drops: str, **_: Any) -> str:
        self._handlers.pop(drops, None)
        gc.collect(0)
        return f"dropped {drops}"


def dying_receivers(ledger: Ledger, times: int) -> None:
    """Each send drops the last reference to a receiver: to the one that runs, to one that ran, or to one that is due."""
    for make in SIGNALS.values():
        signal, handlers = make(), dict[str, Any]()
        for number in range(times // 4):
            for name in sorted({"a", "b", "c"} - handlers.keys()):
                handlers[name] = Handler(name, handlers)
                signal.connect(handlers[name])
            dropped = "abc"[number % 3]
            reference = weakref.ref(handlers[dropped])
            ledger.send(signal, "send" if number % 2 else "send_robust", drops=dropped)
            ledger.note(f"{dropped} lives: {reference() is not None}, heard: {signal.has_listeners(None)}")


def recursion(ledger: Ledger, times: int) -> None:
    """A receiver that sends its own signal again, 200 deep; and 50 deep, where it raises at the bottom."""
    for make in SIGNALS.values():
        signal = make()

        def deeper(depth: int, fails: bool, signal: Any = signal, **_: Any) -> int:
            if depth:
                [(_, below)] = signal.send(sender=None, depth=depth - 1, fails=fails)
                return int(below) + 1
            if fails:
                raise ValueError(depth)
            return 0

        signal.connect(deeper, weak=False)
        for _ in range(max(2, times // 300)):
            ledger.send(signal, "send", depth=200, fails=False)
            ledger.send(signal, "send", depth=50, fails=True)


class HandsOver(django.dispatch.Signal):
    """Checks something, and has the library's own method do the rest."""

    def send(self, sender: Any, **named: Any) -> Any:
        """Refuse every seventh."""
        if named["value"] == 6:
            raise ValueError(6)
        return super().send(sender, **named)

    def send_robust(self, sender: Any, **named: Any) -> Any:
        """Send twice."""
        return super().send_robust(sender, **named) + super().send_robust(sender, **named)


class Loops(django.dispatch.Signal):
    """Calls whom it likes: those whose module is active, the last one first."""

    def send(self, sender: Any, **named: Any) -> Any:
        """Let errors through."""
        return [(one, one(signal=self, sender=sender, **named)) for one in self._active(sender)]

    def send_robust(self, sender: Any, **named: Any) -> Any:
        """Make errors responses."""
        responses: list[Any] = []
        for one in self._active(sender):
            try:
                responses.append((one, one(signal=self, sender=sender, **named)))
            except Exception as error:  # as Django does
                responses.append((one, error))
        return responses

    def _active(self, sender: Any) -> list[Any]:
        live: Any = self._live_receivers(sender)
        plain = live[0] if isinstance(live, tuple) else live
        return [one for one in reversed(plain) if one.__module__ == __name__]


def overrides(ledger: Ledger, times: int) -> None:
    """Signals with a ``send`` of their own, that call super or do it all themselves."""

    def fails(value: int, **_: Any) -> int:
        if value % 3 == 0:
            raise ValueError(value)
        return value

    def inactive(**_: Any) -> None:
        raise AssertionError("not active")

    inactive.__module__ = "plugins.inactive"
    for signal in (HandsOver(), Loops()):
        for one in (value_of, fails):
            signal.connect(one)
        if isinstance(signal, Loops):
            signal.connect(inactive)
        for number in range(times // 4):
            for operation in ("send", "send_robust"):
                ledger.send(signal, operation, value=number % 7)


async def waits(did: list[str], **_: Any) -> str:
    try:
        for _step in range(4):
            await asyncio.sleep(0)
    finally:
        did.append("waits")
    return "waited"


async def shields(did: list[str], **_: Any) -> str:
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        did.append("shields")
        await asyncio.sleep(0)
        raise
    return "shielded"


async def give_up(awaitable: Any, steps: int) -> str:
    """Await for so many steps, and cancel then; 8 stands for a timeout that has passed already."""
    task = asyncio.ensure_future(awaitable)
    if steps == 8:
        try:
            return str(len(await asyncio.wait_for(task, timeout=0.0)))
        except TimeoutError:
            return "timeout"
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    try:
        return str(len(await task))
    except asyncio.CancelledError:
        return "cancelled"


def cancellation(ledger: Ledger, times: int) -> None:
    """Awaited sends that are cancelled after each possible number of steps, or run into a timeout."""

    async def main() -> None:
        for make in SIGNALS.values():
            signal = make()
            signal.connect(waits)
            signal.connect(shields)
            for number in range(times // 4 if hasattr(signal, "asend") else 0):
                for verb in ("asend", "asend_robust"):
                    did: list[str] = []
                    came_of_it = await give_up(getattr(signal, verb)(sender=None, did=did), number % 9)
                    ledger.note(f"{verb} {number % 9}: {came_of_it}, {sorted(did)}")

    asyncio.run(main())


VARIANTS = {
    "BaseException from a receiver": base_exceptions,
    "weak receiver dies during its send": dying_receivers,
    "200 sends deep": recursion,
    "signals with a send of their own": overrides,
    "cancelled and timed out": cancellation,
}


def program(case: Case) -> dict[str, Any]:
    """Run one variant twice, and see that the second time leaves nothing behind."""
    provider = batch(Counting(), max_queue_size=1 << 20) if case.observed else None
    if provider is not None:
        instrument(provider, budget=1 << 30)
    ledger = Ledger()

    def once() -> int:
        VARIANTS[case.variant](ledger, case.times // 2)
        if provider is not None:
            provider.force_flush()
        return blocks()

    before = once()
    grown = once() - before
    return {**ledger.figures(), "grown": grown, "spans": exported(provider)}


def exported(provider: Any) -> int:
    """Return how many spans have been exported."""
    if provider is None:
        return 0
    [processor] = [one for one in provider._active_span_processor._span_processors if hasattr(one, "span_exporter")]
    return int(processor.span_exporter.count)


if __name__ == "__main__":
    sys.setrecursionlimit(3000)
    run(program)
