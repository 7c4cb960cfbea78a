"""Async receivers and sends that are awaited: results, errors, cancellation, and what is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import threading
import warnings

import pytest
from asgiref.sync import markcoroutinefunction


class Broken(Exception):
    """Raised by receivers on purpose."""


def outcomes(observation):
    """What each dispatch came to: operation, outcome, and receiver and outcome of each call."""
    return [(one.operation, one.outcome, [call[::2] for call in one.calls]) for one in observation.notes]


def plain_one(sender, **_):
    return "plain one"


def plain_two(sender, **_):
    return "plain two"


async def async_one(sender, **_):
    return "async one"


async def async_two(sender, **_):
    await asyncio.sleep(0)
    return "async two"


MIXED = [
    (async_one, "async one"),
    (plain_one, "plain one"),
    (async_two, "async two"),
    (plain_two, "plain two"),
]


@pytest.mark.needs("async_receivers")
def test_plain_and_async_receivers_may_be_mixed(signal, send, results):
    """Their order in the result is the dispatcher's: plain ones first, as connected, or none that is promised."""
    for receiver, _ in MIXED:
        signal.connect(receiver)

    assert send(signal, None) == results(*MIXED)


def test_awaited_sends_return_the_same(signal, asend, results):
    """What a plain send would."""
    for receiver, _ in MIXED:
        signal.connect(receiver)

    assert asyncio.run(asend(signal, None)) == results(*MIXED)


def test_an_awaited_send_without_receivers_returns_an_empty_list(signal, asend):
    """It is no error that nobody hears."""
    assert asyncio.run(asend(signal, None)) == []


@pytest.mark.needs("any_payload")
def test_an_awaited_send_passes_the_payload_on(signal, dispatcher, asend):
    """To plain and async receivers alike, names that heliograph uses included."""
    arrived = {}

    def plain(*arguments, **named):
        arrived["plain"] = (arguments, named)

    async def concurrent(*arguments, **named):
        arrived["async"] = (arguments, named)

    signal.connect(plain)
    signal.connect(concurrent)
    payload = {"receiver": 1, "record": 2, "policy": 3, "dialect": 4, "live": 5, "named": 6, "receivers": 7}
    asyncio.run(asend(signal, "shop", **payload))

    expected = dispatcher.calls(signal, "shop", payload)
    assert arrived == {"plain": expected, "async": expected}


@pytest.mark.needs("plain_in_a_thread")
def test_plain_receivers_of_an_awaited_send_run_in_a_thread(signal, asend):
    """The event loop is not held up by them."""
    threads = []

    def plain(sender, **_):
        threads.append(threading.current_thread() is threading.main_thread())

    async def concurrent(sender, **_):
        threads.append(threading.current_thread() is threading.main_thread())

    signal.connect(plain)
    signal.connect(concurrent)
    asyncio.run(asend(signal, None))

    assert sorted(threads) == [False, True]


@pytest.mark.needs("concurrent_receivers")
def test_async_receivers_run_concurrently(signal, asend):
    """Each waits for the other, so neither could finish alone."""

    async def main():
        first, second = asyncio.Event(), asyncio.Event()

        async def one(sender, **_):
            first.set()
            await second.wait()
            return 1

        async def two(sender, **_):
            second.set()
            await first.wait()
            return 2

        signal.connect(one)
        signal.connect(two)
        async with asyncio.timeout(30):
            return [response for _, response in await asend(signal, None)]

    assert asyncio.run(main()) == [1, 2]


@pytest.mark.parametrize("failing_kind", ["plain", "async"])
def test_an_awaited_send_raises_the_very_error(signal, asend_raising, failing_kind):
    """The error of a plain or an async receiver is raised as it is."""
    error = Broken("oven")

    def plain(sender, **_):
        if failing_kind == "plain":
            raise error
        return "plain"

    async def concurrent(sender, **_):
        if failing_kind == "async":
            raise error
        return "async"

    signal.connect(plain)
    signal.connect(concurrent)
    with pytest.raises(Broken) as caught:
        asyncio.run(asend_raising(signal, None))

    assert caught.value is error


def test_an_awaited_send_returns_the_very_errors_it_captures(
    signal, dispatcher, asend_capturing, capturing_awaited_verb, results, observation
):
    """Errors of plain and async receivers become their responses, and the others' are kept."""
    plain_error, async_error = Broken("plain"), Broken("async")

    def plain(sender, **_):
        raise plain_error

    async def concurrent(sender, **_):
        await asyncio.sleep(0)
        raise async_error

    for receiver in (plain, concurrent, async_one, plain_one):
        signal.connect(receiver)
    result = asyncio.run(asend_capturing(signal, None))

    assert [(receiver, dispatcher.response_of(response)) for receiver, response in result] == results(
        (plain, plain_error),
        (concurrent, async_error),
        (async_one, "async one"),
        (plain_one, "plain one"),
    )
    if observation is not None:
        [(operation, outcome, calls)] = outcomes(observation)
        assert (operation, outcome) == (capturing_awaited_verb.name, "returned")
        assert sorted(calls) == [
            ("async_one", "returned"),
            ("concurrent", "raised"),
            ("plain", "raised"),
            ("plain_one", "returned"),
        ]


@pytest.mark.needs("async_receivers")
def test_a_plain_send_raises_the_error_of_an_async_receiver(signal, send_raising):
    """The very object, through whatever runs it."""
    error = Broken("oven")

    async def failing(sender, **_):
        raise error

    signal.connect(failing)
    with pytest.raises(Broken) as caught:
        send_raising(signal, None)
    assert caught.value is error


@pytest.mark.needs("async_receivers")
def test_a_plain_send_captures_the_error_of_an_async_receiver(signal, dispatcher, send_capturing):
    """The very object is its response."""
    error = Broken("oven")

    async def failing(sender, **_):
        raise error

    signal.connect(failing)
    [(receiver, response)] = send_capturing(signal, None)
    assert (receiver, dispatcher.response_of(response)) == (failing, error)


@pytest.mark.needs("async_receivers", "concurrent_receivers")
def test_a_plain_error_in_send_leaves_async_receivers_uncalled(signal, send_raising):
    """They come after the plain ones, so they never begin, and no coroutine is left behind."""
    called = []

    def failing(sender, **_):
        raise Broken

    async def concurrent(sender, **_):
        called.append("async")

    signal.connect(concurrent)
    signal.connect(failing)
    with pytest.raises(Broken):
        send_raising(signal, None)

    assert called == []


@pytest.mark.needs("concurrent_receivers")
def test_the_error_of_one_ends_the_send_for_the_others_too(
    signal, dispatcher, asend_raising, raising_awaited_verb, observation
):
    """A sibling is cancelled, or runs on by itself, as the dispatcher has it; its end is heard of in either case."""

    async def main():
        ended = []
        sibling_waits, go_on, sibling_done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def failing(sender, **_):
            await sibling_waits.wait()
            raise Broken

        async def sibling(sender, **_):
            sibling_waits.set()
            try:
                await go_on.wait()
                ended.append("returned")
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            finally:
                sibling_done.set()

        signal.connect(failing)
        signal.connect(sibling)
        with pytest.raises(Broken):
            await asend_raising(signal, None)
        heard_at_the_error = len(observation.notes) if observation is not None else None
        go_on.set()
        async with asyncio.timeout(30):
            await sibling_done.wait()
        await asyncio.sleep(0)  # let the task that has just ended be told of
        return ended, heard_at_the_error

    ended, heard_at_the_error = asyncio.run(main())
    expected = "cancelled" if dispatcher.shared_context else "returned"
    assert ended == [expected]
    if observation is not None:
        assert heard_at_the_error == (1 if dispatcher.shared_context else 0)
        assert outcomes(observation) == [
            (raising_awaited_verb.name, "raised", [("failing", "raised"), ("sibling", expected)])
        ]


@pytest.mark.needs("order")
def test_a_timeout_cancels_the_send(signal, asend, observation):
    """CancelledError reaches each waiting receiver, the timeout its caller; nobody has failed."""

    async def main():
        seen = []
        never = asyncio.Event()

        async def waiting(sender, **_):
            try:
                await never.wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        signal.connect(waiting)
        signal.connect(async_one)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asend(signal, None)
        return seen

    seen = asyncio.run(main())
    assert seen in ([], ["cancelled"])  # a timeout of nothing may come before the first step
    if observation is not None:
        [(_, outcome, calls)] = outcomes(observation)
        assert outcome == "cancelled"
        assert "raised" not in dict(calls).values()
        assert all(one.error in (None, "asyncio.exceptions.CancelledError") for one in observation.notes)


@pytest.mark.needs("order")
def test_a_cancelled_task_ends_its_send(signal, asend, observation):
    """Cancelled in the middle: the receiver that has returned stays returned, the waiting one is cancelled."""

    async def main():
        waits, never = asyncio.Event(), asyncio.Event()

        async def waiting(sender, **_):
            waits.set()
            await never.wait()

        signal.connect(async_one)
        signal.connect(waiting)
        task = asyncio.create_task(asend(signal, None))
        await waits.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    if observation is not None:
        [(_, outcome, calls)] = outcomes(observation)
        assert outcome == "cancelled"
        assert calls == [("async_one", "returned"), ("waiting", "cancelled")]


def test_a_receiver_may_refuse_to_be_cancelled(signal, asend, observation):
    """One that catches the cancellation and returns has returned."""

    async def main():
        waits, never = asyncio.Event(), asyncio.Event()

        async def stubborn(sender, **_):
            waits.set()
            try:
                await never.wait()
            except asyncio.CancelledError:
                return "stubborn"

        signal.connect(stubborn)
        task = asyncio.create_task(asend(signal, None))
        await waits.wait()
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return "cancelled all the same"

    asyncio.run(main())
    if observation is not None:
        assert outcomes(observation)[0][2] == [("stubborn", "returned")]


@pytest.mark.needs("concurrent_receivers")
def test_a_receiver_cancelled_before_its_first_step_leaves_no_warning(signal, dispatcher, asend, observation):
    """A coroutine that never ran is closed, as it is when nobody observes."""
    steps = []

    async def main():
        never = asyncio.Event()

        async def hardly_begun(sender, **_):
            steps.append("first")
            await never.wait()

        signal.connect(hardly_begun)
        task = asyncio.create_task(asend(signal, None))
        await asyncio.sleep(0)  # the send has made its coroutines; none has taken a step
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        gc.collect()
    # A task group lets its tasks take their first step before it cancels them.
    began = [("hardly_begun", "cancelled")] if dispatcher.shared_context else []
    assert len(steps) == len(began)
    if observation is not None:
        assert outcomes(observation)[0][1:] == ("cancelled", began)


@pytest.mark.needs("plain_in_a_thread")
def test_a_plain_receiver_runs_to_its_end_when_its_send_is_cancelled(signal, asend, observation):
    """Its thread cannot be stopped: the receivers after it are called too, and all are heard of."""
    running, go_on, done = threading.Event(), threading.Event(), threading.Event()
    called = []

    def blocking(sender, **_):
        running.set()
        assert go_on.wait(timeout=30)
        called.append("blocking")

    def after(sender, **_):
        called.append("after")
        done.set()

    signal.connect(blocking)
    signal.connect(after)

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(asend(signal, None))
        await loop.run_in_executor(None, running.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await loop.run_in_executor(None, done.wait, 30)
        # The one thread for plain receivers is free again once the send's work there has ended.
        from asgiref.sync import sync_to_async

        await sync_to_async(lambda: None)()

    asyncio.run(main())
    assert called == ["blocking", "after"]
    if observation is not None:
        assert outcomes(observation)[0][1:] == ("cancelled", [("blocking", "returned"), ("after", "returned")])


def raising_when_called(sender, **_):
    raise Broken


@pytest.mark.needs("async_receivers", "concurrent_receivers")
def test_an_error_raised_when_an_async_receiver_is_called_is_its_error(signal, send, observation):
    """A marked function that is no coroutine function may raise before there is anything to await."""
    failing = markcoroutinefunction(raising_when_called)
    signal.connect(failing)
    with contextlib.suppress(Broken):
        [(_, response)] = send(signal, None)
        assert isinstance(response, Broken)

    if observation is not None:
        assert [calls for _, _, calls in outcomes(observation)] == [[("raising_when_called", "raised")]]


@pytest.mark.needs("async_receivers", "concurrent_receivers")
def test_a_marked_function_may_return_any_awaitable(signal, send, verb, observation):
    """A future will do, and an object of one's own."""

    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "own"

    @markcoroutinefunction
    def future(sender, **_):
        found = asyncio.get_running_loop().create_future()
        found.set_result("future")
        return found

    @markcoroutinefunction
    def own(sender, **_):
        return Awaitable()

    signal.connect(future)
    signal.connect(own)

    assert send(signal, None) == [(future, "future"), (own, "own")]
    if observation is not None:
        assert outcomes(observation) == [(verb.name, "returned", [("future", "returned"), ("own", "returned")])]


@pytest.mark.needs("async_receivers", "concurrent_receivers")
def test_a_marked_function_that_returns_nothing_to_await_is_an_error(signal, send):
    """The same error as without an observer, and of the same kind."""

    @markcoroutinefunction
    def mistaken(sender, **_):
        return "no awaitable"

    signal.connect(mistaken)
    try:
        [(_, error)] = send(signal, None)
    except TypeError as raised:
        error = raised

    assert isinstance(error, TypeError)
    assert re.search("awaitable|coroutine|await", str(error))


def test_an_async_receiver_may_send_in_turn(signal, dispatcher, asend, awaited_verb, results, observation):
    """Each send has its own receivers, and its own facts."""
    inner = dispatcher.Signal()

    async def outer_receiver(sender, **_):
        return await asend(inner, None)

    inner.connect(plain_one)
    inner.connect(async_one)
    signal.connect(outer_receiver)
    signal.connect(async_two)
    both = results((plain_one, "plain one"), (async_one, "async one"))

    assert asyncio.run(asend(signal, None)) == results((outer_receiver, both), (async_two, "async two"))
    if observation is not None:
        assert observation.outcomes == [(awaited_verb.name, "returned")] * 2
        assert sorted(observation.notes[-1].calls) == [
            ("async_two", "async", "returned", None),
            ("outer_receiver", "async", "returned", None),
        ]


def test_a_plain_receiver_of_an_awaited_send_may_send_in_turn(
    signal, dispatcher, asend, awaited_verb, verb, observation
):
    """Wherever it runs."""
    inner = dispatcher.Signal()

    def plain_outer(sender, **_):
        return verb(inner)(None)

    inner.connect(plain_one)
    signal.connect(plain_outer)

    assert asyncio.run(asend(signal, None)) == [(plain_outer, [(plain_one, "plain one")])]
    if observation is not None:
        assert observation.outcomes == [(verb.name, "returned"), (awaited_verb.name, "returned")]


def test_async_receivers_are_plain_ones_where_the_dispatcher_does_not_know_them(signal, dispatcher, send):
    """Their coroutine is the response then, and it is the caller's to await."""
    if dispatcher.can("async_receivers"):
        pytest.skip(f"capability: {dispatcher} awaits async receivers")
    signal.connect(async_one)
    [(receiver, coroutine)] = send(signal, None)

    assert receiver is async_one
    assert asyncio.run(coroutine) == "async one"


@pytest.mark.needs("async_receivers")
def test_a_bound_async_method_is_awaited(signal, send):
    """Methods are coroutine functions too."""

    class Shop:
        async def receiver(self, sender, **_):
            return "bound"

    shop = Shop()
    signal.connect(shop.receiver)

    assert send(signal, None) == [(shop.receiver, "bound")]


def test_many_awaited_sends_run_at_once(signal, asend, observation):
    """Each has its own results, and its own facts."""

    async def receiver(sender, number, **_):
        await asyncio.sleep(0)
        return number * 2

    signal.connect(receiver)

    async def main():
        return await asyncio.gather(*(asend(signal, None, number=number) for number in range(50)))

    assert asyncio.run(main()) == [[(receiver, number * 2)] for number in range(50)]
    if observation is not None:
        assert [calls for _, _, calls in outcomes(observation)] == [[("receiver", "returned")]] * 50
