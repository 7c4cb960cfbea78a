"""What becomes of dispatches: lines, numbers, and a size that does not grow with them."""

from __future__ import annotations

import gc
import threading
import weakref
from contextvars import copy_context

import pytest

import heliograph
from heliograph.config import Settings
from heliograph.fanout.facts import Mode
from heliograph.fanout.observer import observe
from heliograph.report.collector import Collector
from heliograph.report.model import Failure, LeftOut, Orphan, ReceiverTotal, Report, Totals
from heliograph.telemetry.policy import Worth
from tests.report.conftest import Call, Sent, Stage, function, outline

STARTED = "django.core.signals.request_started"
FINISHED = "django.core.signals.request_finished"

FIRST_LINE = function("shop.any").__code__.co_firstlineno  # of all functions made by hand


def report_of(stage: Stage) -> Report:
    return stage.collector.report("program")


def request(*sent: Sent) -> list[Sent]:
    """Return dispatches framed by those that begin and end a request."""
    return [Sent(STARTED), *sent, Sent(FINISHED)]


def test_dispatches_that_are_alike_are_one_line(stage):
    """Same signal, same sender, same receivers, same parent: one line with count, sum and worst."""
    for took in (1, 5, 3):
        stage.play(Sent("shop.paid", [Call("shop.receipt", took), Call("shop.points", 0.5)], sender="shop.Order"))

    [group] = report_of(stage).groups
    [line] = group.lines

    assert (line.signal, line.sender, line.operation, line.system) == ("shop.paid", "shop.Order", "send", "django")
    assert (line.count, line.failed, line.total, line.worst) == (3, 0, 0.0105, 0.0055)
    assert [(one.receiver, one.count, one.total, one.worst) for one in line.receivers] == [
        ("shop.receipt", 3, 0.009, 0.005),
        ("shop.points", 3, 0.0015, 0.0005),
    ]


def test_another_sender_operation_or_receiver_is_another_line(stage):
    """What differs in who sent, how, or who was due is not thrown together."""
    stage.play(
        Sent("shop.paid", [Call("shop.receipt")], sender="shop.Order"),
        Sent("shop.paid", [Call("shop.receipt")], sender="shop.Voucher"),
        Sent("shop.paid", [Call("shop.receipt")], sender="shop.Order", robust=True),
        Sent("shop.paid", [Call("shop.receipt"), Call("shop.points")], sender="shop.Order"),
    )

    assert [(line.sender, line.operation, len(line.receivers)) for line in report_of(stage).groups[0].lines] == [
        ("shop.Order", "send", 1),
        ("shop.Voucher", "send", 1),
        ("shop.Order", "send_robust", 1),
        ("shop.Order", "send", 2),
    ]


def test_what_a_receiver_sends_is_under_it(stage):
    """A cascade is a branch under the receiver that caused it, rolled up like anything else."""
    saved = Sent("shop.saved", [Call("shop.index", 2)])
    stage.play(Sent("shop.paid", [Call("shop.receipt", 1), Call("shop.restock", 10, sends=[saved] * 150)]))

    [group] = report_of(stage).groups

    assert outline(group.lines) == [
        ("shop.paid", 1, [("shop.receipt", 1), ("shop.restock", 1, [("shop.saved", 150, [("shop.index", 150)])])])
    ]
    assert group.lines[0].receivers[1].total == 0.310


def test_a_failure_is_counted_with_its_error_and_place(stage):
    """A line keeps the first error's class and where it was raised, and whether it was captured; no message."""
    error = raised(ConnectionError("the password is canary"))
    stage.play(Sent("shop.paid", [Call("shop.receipt"), Call("shop.points", error=error)], robust=True))

    report = report_of(stage)
    failing = report.groups[0].lines[0].receivers[1]

    assert (failing.failed, failing.error, failing.captured) == (1, "ConnectionError", True)
    assert failing.place == f"tests/report/test_collector.py:{raised.__code__.co_firstlineno + 2}"
    assert report.failures == (
        Failure(
            signal="shop.paid",
            receiver="shop.points",
            error="ConnectionError",
            place=failing.place,
            captured=True,
            count=1,
            calls=1,
        ),
    )
    assert "canary" not in repr(report)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_receivers_that_never_ran_are_skipped(stage):
    """Under send the first error ends the dispatch; those due after it are listed as skipped, in their order."""
    error = raised(ValueError())
    due = ["shop.first", "shop.breaks", "shop.third", "shop.fourth"]
    stage.play(Sent("shop.paid", [Call("shop.first"), Call("shop.breaks", error=error)], due=due))

    [line] = report_of(stage).groups[0].lines

    assert (line.count, line.failed) == (1, 1)
    assert [(one.receiver, one.count, one.failed, one.skipped, one.captured) for one in line.receivers] == [
        ("shop.first", 1, 0, 0, False),
        ("shop.breaks", 1, 1, 0, False),
        ("shop.third", 0, 0, 1, False),
        ("shop.fourth", 0, 0, 1, False),
    ]


def test_slow_calls_are_counted(stage):
    """A call is slow from the threshold on."""
    stage.play(Sent("shop.paid", [Call("shop.receipt", 100)]), Sent("shop.paid", [Call("shop.receipt", 99.999)]))

    report = report_of(stage)

    assert report.groups[0].lines[0].receivers[0].slow == 1
    assert report.receivers == (
        ReceiverTotal(
            signal="shop.paid", receiver="shop.receipt", count=2, failed=0, slow=1, total=0.199999, worst=0.1
        ),
    )
    assert report.totals == Totals(requests=0, dispatches=2, calls=2, failed=0, slow=1, orphans=0)


def test_house_keeping_has_a_line_only_when_it_hurts(stage):
    """Django's own house-keeping counts in the numbers, and is seen in the tree when it is slow."""
    tidy, view = Call("django.db.close_old_connections", 2), Call("shop.receipt")
    slow = Call("django.db.close_old_connections", 200)
    stage.play(Sent(FINISHED, [tidy]), Sent("shop.paid", [tidy, view]))
    assert outline(report_of(stage).groups[0].lines) == [("shop.paid", 1, [("shop.receipt", 1)])]

    stage.play(Sent("shop.paid", [slow, view]))

    report = report_of(stage)
    assert outline(report.groups[0].lines) == [
        ("shop.paid", 2, [("django.db.close_old_connections", 1), ("shop.receipt", 2)])
    ]
    assert [(one.signal, one.receiver, one.count) for one in report.receivers] == [
        ("shop.paid", "django.db.close_old_connections", 2),
        (FINISHED, "django.db.close_old_connections", 1),
        ("shop.paid", "shop.receipt", 2),
    ]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("all", ["shop.quick", "shop.slow", "shop.fails"]),
        ("slow", ["shop.slow", "shop.fails"]),
        ("errors", ["shop.fails"]),
    ],
)
def test_the_level_decides_who_gets_a_line(level, expected):
    """Numbers are the same at every level; lines are for what is worth saying."""
    stage = Stage(level=level)
    error = raised(ValueError())
    calls = [Call("shop.quick", 1), Call("shop.slow", 150), Call("shop.fails", 1, error=error)]
    stage.play(Sent("shop.paid", calls, robust=True), Sent("shop.paid", calls[:1]))

    report = report_of(stage)

    assert [
        one.receiver for line in report.groups[0].lines for one in line.receivers if line.operation != "send"
    ] == expected
    assert report.totals == Totals(requests=0, dispatches=2, calls=4, failed=1, slow=1, orphans=0)
    assert report.level == level


def test_a_receiver_that_sent_something_has_a_line_at_every_level():
    """What is worth a line is never left without the receiver that caused it."""
    stage = Stage(level="errors")
    inner = Sent("shop.saved", [Call("shop.index", error=raised(ValueError()))], robust=True)
    stage.play(Sent("shop.paid", [Call("shop.quick"), Call("shop.restock", sends=[inner])]))

    assert outline(report_of(stage).groups[0].lines) == [
        ("shop.paid", 1, [("shop.restock", 1, [("shop.saved", 1, [("shop.index", 1)])])])
    ]


def test_signals_that_are_off_are_not_listened_to(stage):
    """The collector has no interest in a signal of which nothing is said."""
    interested = stage.collector.interested

    assert not interested(stage.start(Sent("django.db.models.signals.pre_init")).site)
    assert interested(stage.start(Sent("django.db.models.signals.pre_save")).site)


def test_orphans_are_counted_and_have_no_line(stage):
    """A signal that nobody heard is in the table of orphans."""
    stage.play(Sent("shop.paid"), Sent("shop.paid"), Sent("shop.paid", [Call("shop.receipt")]), Sent("shop.closed"))

    report = report_of(stage)

    assert report.orphans == (
        Orphan(signal="shop.paid", count=2, sends=3),
        Orphan(signal="shop.closed", count=1, sends=1),
    )
    assert report.totals.orphans == 3
    assert outline(report.groups[0].lines) == [("shop.paid", 1, [("shop.receipt", 1)])]


def test_a_dispatch_with_unknown_receivers_has_a_line(stage):
    """Where a library's internals are not known, the dispatch itself is still shown, and is no orphan."""
    stage.play(Sent("shop.paid", unknown=True))

    report = report_of(stage)

    assert [(line.signal, line.known, line.receivers) for line in report.groups[0].lines] == [("shop.paid", False, ())]
    assert report.orphans == ()


def test_async_receivers_say_so(stage):
    """A coroutine function is told from a plain one."""
    stage.play(Sent("shop.paid", [Call("shop.receipt", mode=Mode.ASYNC)]))

    assert report_of(stage).groups[0].lines[0].receivers[0].mode == "async"


class TestRequests:
    """Dispatches between the signals that begin and end a request belong to it."""

    def test_a_request_has_a_group(self, stage):
        """Its time is that between its first and its last signal; what is outside of it is in another group."""
        stage.play(Sent("shop.opened", [Call("shop.lights", 5)]))
        stage.play(
            *request(Sent("shop.paid", [Call("shop.receipt", 20)]), Sent("shop.paid", [Call("shop.receipt", 10)]))
        )
        stage.play(Sent("shop.closed", [Call("shop.lights", 7)]))

        first, outside = report_of(stage).groups

        assert (first.request, first.count, first.total) == (1, 1, 0.030)
        assert outline(first.lines) == [("shop.paid", 2, [("shop.receipt", 2)])]
        assert (outside.request, outside.count, outside.total) == (0, 1, 0.012)
        assert outline(outside.lines) == [
            ("shop.opened", 1, [("shop.lights", 1)]),
            ("shop.closed", 1, [("shop.lights", 1)]),
        ]

    def test_requests_with_the_same_fan_out_are_one_group(self, stage):
        """The numbers add up; the number is that of the first."""
        view = Sent("shop.viewed", [Call("shop.count", 1)])
        stage.play(*request(Sent("shop.paid", [Call("shop.receipt", 20)])))
        stage.play(*request(view, view))
        stage.play(*request(view))

        first, second = report_of(stage).groups

        assert (first.request, first.count) == (1, 1)
        assert (second.request, second.count, second.total, second.worst) == (2, 2, 0.003, 0.002)
        assert outline(second.lines) == [("shop.viewed", 3, [("shop.count", 3)])]

    def test_cascades_and_failures_add_up_as_well(self, stage):
        """Whatever stands under a receiver is added line by line, and the first error found is kept."""
        for error in (None, raised(ValueError()), raised(KeyError())):
            inner = Sent("shop.saved", [Call("shop.index", 2, error=error)], robust=True)
            stage.play(*request(Sent("shop.paid", [Call("shop.restock", 1, sends=[inner])])))

        [group] = report_of(stage).groups
        [index] = group.lines[0].receivers[0].lines[0].receivers

        assert (group.count, index.count, index.failed, index.error) == (3, 3, 2, "ValueError")

    def test_a_request_without_a_line_is_counted_only(self, stage):
        """A request in which nobody heard anything is none to look at."""
        stage.play(*request(), *request())

        report = report_of(stage)

        assert report.groups == ()
        assert report.totals.requests == 2

    def test_a_request_that_never_ends_is_closed_by_the_next(self, stage):
        """A worker's thread serves one request at a time; a lost end does not mix two of them."""
        stage.play(Sent(STARTED), Sent("shop.a", [Call("shop.one")]))
        stage.play(Sent(STARTED), Sent("shop.b", [Call("shop.two")]))

        assert [(one.request, outline(one.lines)) for one in report_of(stage).groups] == [
            (1, [("shop.a", 1, [("shop.one", 1)])]),
            (2, [("shop.b", 1, [("shop.two", 1)])]),
        ]

    def test_requests_at_the_same_time_stay_apart(self, stage):
        """Each context, such as a thread's or a task's, has its own request."""
        one, other = copy_context(), copy_context()
        one.run(stage.play, Sent(STARTED))
        other.run(stage.play, Sent(STARTED))
        one.run(stage.play, Sent("shop.a", [Call("shop.one")]))
        other.run(stage.play, Sent("shop.b", [Call("shop.two")]))
        stage.play(Sent("shop.c", [Call("shop.three")]))
        other.run(stage.play, Sent(FINISHED))
        one.run(stage.play, Sent(FINISHED))

        assert [(group.request, [line.signal for line in group.lines]) for group in report_of(stage).groups] == [
            (1, ["shop.a"]),
            (2, ["shop.b"]),
            (0, ["shop.c"]),
        ]

    def test_what_outlives_a_request_is_outside_of_it(self, stage):
        """A task that a request left running still has the request in its context."""
        left_over = copy_context()
        left_over.run(stage.play, Sent(STARTED))
        later = left_over.run(copy_context)
        left_over.run(stage.play, Sent("shop.a", [Call("shop.one")]), Sent(FINISHED))
        later.run(stage.play, Sent("shop.b", [Call("shop.two")]))

        assert [group.request for group in report_of(stage).groups] == [1, 0]

    def test_two_collectors_do_not_share_a_request(self, stage):
        """A request of one collector means nothing to another that listens to the same dispatches."""
        other = Stage()
        stage.play(Sent(STARTED))
        other.play(Sent("shop.a", [Call("shop.one")]))

        assert [group.request for group in report_of(other).groups] == [0]


class TestBounds:
    """A report has a size, whatever the program does."""

    def test_kinds_of_requests_beyond_the_limit_are_left_out(self):
        """The failed and the slow ones stay, then the longest; how many went is said."""
        stage = Stage(kinds_of_request=3)
        for number in range(50):
            error = raised(ValueError()) if number == 7 else None
            stage.play(*request(Sent(f"shop.s{number}", [Call("shop.r", number, error=error)], robust=True)))

        report = report_of(stage)

        assert [group.request for group in report.groups] == [8, 49, 50]
        assert report.left_out == LeftOut(requests=47, calls=0, failures=0, sends=0)
        assert report.totals.requests == 50

    def test_lines_beyond_the_limit_are_left_out(self):
        """A group has so many lines, and says for how many dispatches there was none."""
        stage = Stage(lines=10)
        stage.play(*(Sent("shop.paid", [Call("shop.receipt")], sender=f"shop.Order{n}") for n in range(1000)))

        [group] = report_of(stage).groups

        assert len(group.lines) == 5
        assert group.left_out == 995
        assert report_of(stage).totals.dispatches == 1000

    def test_a_recursion_has_a_deepest_line(self, stage):
        """A receiver that sends its own signal again and again is drawn so deep and no deeper."""
        sent = Sent("shop.again", [Call("shop.again_please")])
        for _ in range(100):
            sent = Sent("shop.again", [Call("shop.again_please", sends=[sent])])
        stage.play(sent)

        [group] = report_of(stage).groups

        assert depth(group.lines) == 17
        assert group.left_out == 84

    def test_memory_does_not_grow_with_the_number_of_dispatches(self, stage):
        """The ten-thousandth dispatch of a kind leaves behind what the hundredth did."""
        cascade = Sent("shop.paid", [Call("shop.restock", sends=[Sent("shop.saved", [Call("shop.index")])] * 3)])
        stage.play(*[cascade] * 100, *request(cascade) * 100)
        before = sizes(stage.collector)
        stage.play(*[cascade] * 1000, *request(cascade) * 1000)

        assert sizes(stage.collector) == before

    def test_a_dispatch_that_never_ends_leaves_its_branch(self, stage):
        """What a receiver sent is shown even if the receiver was given up and is never heard of again."""
        outer = stage.start(Sent("shop.paid", [Call("shop.hangs")]))
        call = stage.call(outer, Call("shop.hangs"))
        stage._play(Sent("shop.saved", [Call("shop.index")]), call)

        assert outline(report_of(stage).groups[0].lines) == [
            ("shop.paid", 0, [("shop.hangs", 0, [("shop.saved", 1, [("shop.index", 1)])])])
        ]

    def test_what_comes_after_its_sender_has_ended_is_a_root(self, stage):
        """A dispatch that outlives the dispatch it was sent from has nothing above it any more."""
        outer = stage.start(Sent("shop.paid", [Call("shop.starts_a_task")]))
        call = stage.call(outer, Call("shop.starts_a_task"))
        late = stage.start(Sent("shop.saved", [Call("shop.index")]), call)
        stage.end(stage.call(late, Call("shop.index")))
        stage.end(call)
        stage.end(outer)
        stage.collector.finished(outer)
        stage.end(late)
        stage.collector.finished(late)

        assert outline(report_of(stage).groups[0].lines) == [
            ("shop.paid", 1, [("shop.starts_a_task", 1)]),
            ("shop.saved", 1, [("shop.index", 1)]),
        ]


def depth(lines):
    return max((1 + max((depth(one.lines) for one in line.receivers), default=0) for line in lines), default=0)


def sizes(collector):
    """Return how many objects the collector's own objects and containers hold, all together."""
    found: dict[int, object] = {}
    queue = [collector]
    while queue:
        one = queue.pop()
        is_own = type(one).__module__.startswith("heliograph.report") or isinstance(one, (dict, list, tuple))
        if id(one) not in found and is_own:
            found[id(one)] = one
            queue.extend(gc.get_referents(one))
    return len(found)


class Sender:
    """A sender that can be watched as it dies."""


class Failed(Exception):
    """An error that can be watched as it dies."""


def test_nothing_of_a_dispatch_is_kept_alive():
    """Senders, receivers, errors and payloads die as they would have died without a collector."""
    collector = Collector(Worth(Settings.load()))

    def send_and_fail():
        signal = heliograph.Signal(name="shop.paid")
        sender, payload = Sender(), Sender()

        def receiver(**_):
            raise Failed(payload)

        signal.connect(receiver)
        with pytest.raises(Failed) as caught:
            signal.send(sender, payload=payload)
        return [weakref.ref(one) for one in (sender, payload, receiver, caught.value)]

    undo = observe(collector)
    try:
        watched = send_and_fail()
    finally:
        undo()
    gc.collect()

    assert [one() for one in watched] == [None] * 4
    assert [one.error for one in collector.report("program").failures] == ["tests.report.test_collector.Failed"]


def test_threads_lose_no_dispatch():
    """All threads' dispatches are counted."""
    collector = Collector(Worth(Settings.load()))
    signal = heliograph.Signal(name="shop.paid")
    inner = heliograph.Signal(name="shop.saved")

    def restock(**_):
        inner.send(None)

    def index(**_):
        pass

    signal.connect(restock)
    inner.connect(index)
    undo = observe(collector)
    try:
        threads = [threading.Thread(target=lambda: [signal.send(None) for _ in range(200)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        undo()

    [group] = collector.report("program").groups
    [line] = group.lines

    assert (line.count, line.receivers[0].count, line.receivers[0].lines[0].count) == (1600, 1600, 1600)


class TestNeverCalled:
    """Receivers that were connected at the end and were never called."""

    def test_those_without_a_call_are_listed(self, stage):
        """Signal and receiver both count: a receiver called by one signal may wait in vain for another."""
        stage.play(Sent("shop.paid", [Call("shop.receipt")]))
        connected = [
            ("shop.paid", stage.function("shop.receipt")),
            ("shop.refunded", stage.function("shop.receipt")),
            ("shop.paid", stage.function("shop.points")),
        ]

        never_called = stage.collector.report("program", connected=connected).never_called

        assert [(one.signal, one.receiver, one.installed) for one in never_called] == [
            ("shop.paid", "shop.points", False),
            ("shop.refunded", "shop.receipt", False),
        ]
        assert never_called[0].place == f"tests/report/conftest.py:{FIRST_LINE}"

    def test_those_of_libraries_come_last(self, stage):
        """The program's own receivers are the ones its author can do something about."""
        connected = [("shop.paid", gc.collect), ("shop.paid", stage.function("shop.points"))]

        never_called = stage.collector.report("program", connected=connected).never_called

        assert [(one.receiver, one.place is None, one.installed) for one in never_called] == [
            ("shop.points", False, False),
            ("gc.collect", True, True),
        ]

    def test_house_keeping_and_what_is_off_are_not_expected(self):
        """Nobody waits for what would not have been shown."""
        stage = Stage(levels={"shop.quiet": "off"})
        connected = [
            ("django.db.models.signals.pre_init", stage.function("shop.points")),
            ("shop.paid", stage.function("django.db.reset_queries")),
            ("shop.paid", stage.function("shop.quiet")),
        ]

        assert stage.collector.report("program", connected=connected).never_called == ()
