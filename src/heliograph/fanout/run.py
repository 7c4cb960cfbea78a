"""How receivers are called. Two makers, one for ``send`` and one for ``asend``, serve every library.

What differs between libraries is a :class:`Dialect`; what differs between ``send`` and ``send_robust`` is a
:class:`~heliograph.fanout.facts.Policy`. The functions made here stand in for a library's own, so a receiver
is called straight from them: one more frame would change what ``warnings.warn(..., stacklevel=2)`` in a
receiver points at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter_ns as clock
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from heliograph.fanout.facts import Dispatch, Policy, Receiver
from heliograph.fanout.observer import watching
from heliograph.fanout.record import UNRECORDED, Recorder, Unrecorded, enclosing_call, finish, running

__all__ = [
    "NOBODY",
    "Dialect",
    "Live",
    "Responses",
    "gather",
    "make_asend",
    "make_outer_asend",
    "make_outer_send",
    "make_send",
]

Responses = list[tuple[Receiver, Any]]
Live = tuple[Sequence[Receiver], Sequence[Receiver]]
Payload = dict[str, Any]
AnyRecorder = Recorder | Unrecorded

NOBODY: Live = ((), ())
"""What ``Dialect.live`` returns when a signal is known to have no receivers: the send ends at once."""


def gather(*awaitables: Awaitable[Any]) -> Awaitable[Sequence[Any]]:
    """Run *awaitables* concurrently, each in a context of its own. All are tasks when this returns, and end as such."""
    return asyncio.gather(*awaitables)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one library dispatches.

    Attributes:
        system: The library's name in telemetry.
        name_of: Finds a signal's dotted name, or None.
        uid_of: Finds the ``dispatch_uid`` with which a receiver is connected to a signal, or None.
        live: Returns a signal's live receivers for a sender: the plain ones and the async ones.
        report_captured: Called with signal, receiver and error for each captured error, as the library does.
        parallel: Runs async receivers and returns their results in order.
        overlapping: Whether ``asend`` runs plain and async receivers at the same time, or one after the other.
    """

    system: str
    name_of: Callable[[Any], str | None]
    uid_of: Callable[[Any, Receiver], str | None]
    live: Callable[[Any, Any], Live]
    report_captured: Callable[[Any, Receiver, Exception], None]
    parallel: Callable[..., Awaitable[Sequence[Any]]] = gather
    overlapping: bool = True


def make_send(  # noqa: C901, PLR0915  # see the comment within
    operation: str, policy: Policy, dialect: Dialect
) -> Callable[..., Responses]:
    """Return a ``send`` for signals of *dialect*: a function of the signal, the sender and the payload."""
    live, report = dialect.live, dialect.report_captured
    captured: Any = policy.captured

    # The hot path, and long because nothing may stand between sender and receiver: the first loop is all
    # that an unobserved send runs, the second one differs only in what it writes down. Calls are spelled in
    # three ways because Python's cost differs: without a payload, with one that is merged once for all
    # receivers, and with one that holds a "signal" too, which has to fail at the call.
    def send(self: Any, sender: Any, **named: Any) -> Responses:  # noqa: C901, PLR0912, PLR0915
        watched = watching(self, dialect)
        plain_receivers, async_receivers = live(self, sender)
        responses: Responses = []
        bare = not named
        merged = None if bare or "signal" in named else {"signal": self, "sender": sender, **named}
        if watched is None:
            for receiver in plain_receivers:
                try:
                    response = (
                        receiver(signal=self, sender=sender)
                        if bare
                        else receiver(**merged)
                        if merged
                        else receiver(signal=self, sender=sender, **named)
                    )
                except captured as error:
                    report(self, receiver, error)
                    response = error
                responses.append((receiver, response))
            if async_receivers:
                responses += _send_async(self, sender, named, async_receivers, policy, dialect, UNRECORDED)
            return responses

        site, audience = watched
        observers, enter, leave = audience
        due, first_async = (*plain_receivers, *async_receivers), len(plain_receivers)
        dispatch = Dispatch(site, sender, operation, policy, due, first_async, named, enclosing_call())
        record = Recorder.of(dispatch, audience) if async_receivers else None
        begans, endeds = dispatch.begans, dispatch.endeds
        token = running.set(dispatch)
        try:
            for position, receiver in enumerate(plain_receivers):
                dispatch.running = position
                inside = None if enter is None else enter(dispatch, position)
                begans[position] = clock()
                try:
                    response = (
                        receiver(signal=self, sender=sender)
                        if bare
                        else receiver(**merged)
                        if merged
                        else receiver(signal=self, sender=sender, **named)
                    )
                except captured as error:
                    endeds[position] = clock()
                    dispatch.fault(position, error)
                    report(self, receiver, error)  # still inside, so that its log line finds the receiver's span
                    response = error
                except BaseException as error:
                    endeds[position] = clock()
                    dispatch.fault(position, error)
                    raise
                else:
                    endeds[position] = clock()
                finally:
                    if leave is not None:
                        leave(dispatch, position, inside)
                responses.append((receiver, response))
            if record is not None:
                responses += _send_async(self, sender, named, async_receivers, policy, dialect, record)
        except BaseException as error:
            finish(observers, dispatch, error) if record is None else record.finish(error)
            raise
        else:
            finish(observers, dispatch) if record is None else record.finish()
        finally:
            running.reset(token)
        return responses

    return send


def make_asend(operation: str, policy: Policy, dialect: Dialect) -> Callable[..., Awaitable[Responses]]:
    """Return an ``asend`` for signals of *dialect*: a coroutine function of the signal, the sender and the payload."""

    async def asend(self: Any, sender: Any, **named: Any) -> Responses:
        watched = watching(self, dialect)
        live = dialect.live(self, sender)
        if watched is None:
            return await _asend(self, sender, named, live, policy, dialect, UNRECORDED)
        record = Recorder(watched, sender, operation, policy, live, named)
        try:
            responses = await _asend(self, sender, named, live, policy, dialect, record)
        except BaseException as error:
            record.finish(error)
            raise
        record.finish()
        return responses

    return asend


def make_outer_send(
    operation: str, policy: Policy, dialect: Dialect, original: Callable[..., Responses]
) -> Callable[..., Responses]:
    """Return a ``send`` that calls *original* and records the dispatch alone, for a dispatcher not known from inside."""

    def send(self: Any, /, *sender: Any, **named: Any) -> Responses:
        watched = watching(self, dialect)
        if watched is None:
            return original(self, *sender, **named)
        record = Recorder(watched, _sender_of(sender, named), operation, policy, None, named)
        try:
            responses = original(self, *sender, **named)
        except BaseException as error:
            record.finish(error)
            raise
        record.finish()
        return responses

    return send


def make_outer_asend(
    operation: str, policy: Policy, dialect: Dialect, original: Callable[..., Awaitable[Responses]]
) -> Callable[..., Awaitable[Responses]]:
    """Return an ``asend`` that awaits *original* and records the dispatch alone."""

    async def asend(self: Any, /, *sender: Any, **named: Any) -> Responses:
        watched = watching(self, dialect)
        if watched is None:
            return await original(self, *sender, **named)
        record = Recorder(watched, _sender_of(sender, named), operation, policy, None, named)
        try:
            responses = await original(self, *sender, **named)
        except BaseException as error:
            record.finish(error)
            raise
        record.finish()
        return responses

    return asend


def _sender_of(positional: tuple[Any, ...], named: Payload) -> Any:
    return positional[0] if positional else named.get("sender")


async def _asend(
    signal: Any, sender: Any, named: Payload, live: Live, policy: Policy, dialect: Dialect, record: AnyRecorder
) -> Responses:
    if live is NOBODY:
        return []
    plain_receivers, async_receivers = live

    async def plain() -> Responses:
        if not plain_receivers:
            return []
        token = record.open()  # the thread may go on when whoever waits for it is cancelled
        try:
            return await sync_to_async(_call_plain)(
                signal, sender, named, plain_receivers, policy, dialect, record, token
            )
        except BaseException:
            if _take(token):  # the thread has not begun
                record.close()
            raise

    def concurrent() -> Awaitable[Sequence[Any]]:
        return dialect.parallel(*_awaitables(signal, sender, named, async_receivers, policy, dialect, record))

    if dialect.overlapping:
        responses, async_responses = await asyncio.gather(plain(), concurrent())
    else:
        responses = await plain()
        async_responses = await concurrent()
    responses.extend(zip(async_receivers, async_responses, strict=True))
    return responses


def _call_plain(
    signal: Any,
    sender: Any,
    named: Payload,
    receivers: Sequence[Receiver],
    policy: Policy,
    dialect: Dialect,
    record: AnyRecorder,
    token: list[bool],
) -> Responses:
    """Both loops of ``send`` as one, for the thread to which ``asend`` hands plain receivers: the hop outweighs them."""
    captured: Any = policy.captured
    responses: Responses = []
    if not _take(token):  # nobody waits for it any more, and the dispatch has been told of
        record = UNRECORDED
    try:
        for position, receiver in enumerate(receivers):
            entered = record.enter(position)
            record.begin(position)
            try:
                response = receiver(signal=signal, sender=sender, **named)
            except captured as error:
                record.end(position, error)
                dialect.report_captured(signal, receiver, error)
                response = error
            except BaseException as error:
                record.end(position, error)
                raise
            else:
                record.end(position)
            finally:
                record.leave(position, entered)
            responses.append((receiver, response))
    finally:
        record.close()
    return responses


def _take(token: list[bool]) -> bool:
    """Return whether *token* was still there to take; of several threads one gets it."""
    try:
        return token.pop()
    except IndexError:
        return False


def _send_async(
    signal: Any,
    sender: Any,
    named: Payload,
    receivers: Sequence[Receiver],
    policy: Policy,
    dialect: Dialect,
    record: AnyRecorder,
) -> Responses:
    """Run async receivers for a plain ``send``: all together, after the plain ones."""

    async def asend() -> Responses:
        results = await dialect.parallel(*_awaitables(signal, sender, named, receivers, policy, dialect, record))
        return list(zip(receivers, results, strict=True))

    return async_to_sync(asend)()


def _awaitables(
    signal: Any,
    sender: Any,
    named: Payload,
    receivers: Sequence[Receiver],
    policy: Policy,
    dialect: Dialect,
    record: AnyRecorder,
) -> list[Awaitable[Any]]:
    """Return one awaitable a receiver. What raises when merely called raises here, unless the policy captures it."""
    captured: Any = policy.captured
    first = 0 if isinstance(record, Unrecorded) else record.dispatch.first_async

    def call(position: int, receiver: Receiver) -> Awaitable[Any]:
        try:
            awaitable: Awaitable[Any] = receiver(signal=signal, sender=sender, **named)
        except BaseException as error:
            record.begin(position)
            record.end(position, error)
            raise
        if isinstance(record, Unrecorded) or not hasattr(
            awaitable, "__await__"
        ):  # what cannot be awaited fails as it would
            return awaitable
        return _Observed(record, position, awaitable)

    async def capture(position: int, receiver: Receiver) -> Any:
        try:
            return await call(position, receiver)
        except captured as error:
            dialect.report_captured(signal, receiver, error)
            return error

    return [(capture if captured else call)(position, one) for position, one in enumerate(receivers, first)]


class _Observed(Coroutine[Any, Any, Any]):
    """An async receiver's coroutine, observed step by step: inside its context while it runs, never while it waits.

    Receivers may share one context (Django 6.1 runs them so): one that stayed inside while it waits would
    have its siblings' spans under its own. A coroutine object rather than a function around it, so that
    one cancelled before its first step is closed as it would be without us.
    """

    __slots__ = ("_awaitable", "_begun", "_ended", "_position", "_record", "_steps")

    def __init__(self, record: Recorder, position: int, awaitable: Awaitable[Any]) -> None:
        self._record = record
        self._position = position
        self._awaitable = awaitable
        self._steps: Any = awaitable.__await__()
        self._begun = self._ended = False

    def send(self, value: Any) -> Any:
        return self._step(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        if not self._begun:  # cancelled before it began: it never ran
            return self._steps.throw(*error)
        return self._step(self._steps.throw, *error)

    def close(self) -> None:
        if not self._begun or self._ended:
            self._steps.close()
        else:
            with suppress(GeneratorExit):
                self._step(self._close)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self  # has all that ``await`` asks of a generator

    def __iter__(self) -> _Observed:
        return self

    def __next__(self) -> Any:
        return self._step(self._steps.send, None)

    def __getattr__(self, name: str) -> Any:  # cr_frame and the like, for debuggers and the repr of tasks
        return getattr(self._awaitable, name)

    def _close(self) -> None:
        self._steps.close()
        raise GeneratorExit

    def _step(self, resume: Callable[..., Any], *value: Any) -> Any:
        record, position = self._record, self._position
        entered = record.enter(position)
        if not self._begun:
            self._begun = True
            record.begin(position)
        try:
            return resume(*value)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        finally:
            record.leave(position, entered)

    def _end(self, error: BaseException | None) -> None:
        self._ended = True
        self._record.end(self._position, error)
