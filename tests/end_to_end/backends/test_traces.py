"""What Jaeger shows of the pizza shop's days is what was sent, and what was sent is what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest

from dashboards.backends.process import wait_for
from dashboards.backends.servers import Jaeger
from heliograph.telemetry import semconv
from tests.end_to_end.backends.reading import Shown, all_spans, search, shown, trace
from tests.end_to_end.backends.shop import CUSTOMERS, DAYS, SERVICE, Day
from tests.end_to_end.backends.wire import WireSpan

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

PAID = CUSTOMERS * DAYS
PAY, PLACE, TO_GO = "POST orders/<int:pk>/pay/", "POST orders/", "POST kitchen/orders/<int:pk>/to-go/"
CREDIT_POINTS = "handle loyalty.receivers.credit_points"
CHECK_STOCK = "handle kitchen.receivers.check_stock"

COUNTED = "handle office.receivers.count_change"
CONNECTED = {"send connection_created": ["handle office.receivers.trade_safety_for_speed"]}


def saved(*below: Any) -> list[Any]:
    """Return what a save of a model is seen as when it has these receivers besides the one that counts all saves."""
    return ["send pre_save", {"send post_save": [*below, COUNTED]}]


# An order saves its customer, who saves the card, which may give a voucher.
CARD_SAVED = saved("handle loyalty.receivers.give_voucher")
CUSTOMER_SAVED = saved({"handle loyalty.receivers.update_card": CARD_SAVED})
RECOUNTED = {"handle orders.receivers.recount_customer": CUSTOMER_SAVED}
ORDER_SAVED = saved("handle orders.receivers.assign_number", RECOUNTED)
ORDER_CREATED = saved({"handle orders.receivers.assign_number": ORDER_SAVED}, RECOUNTED)
SHELF_SAVED = [
    {"send pre_save": ["handle kitchen.receivers.refuse_negative_stock"]},
    {"send post_save": ["handle kitchen.receivers.StockBoard.update", COUNTED]},
]


def receivers(spans: Iterable[Shown], name: str) -> list[Shown]:
    """Return those of *spans*, and below them, that have this name."""
    return [span for root in spans for span in root.walk() if span.name == name]


def requests_of(jaeger: Jaeger, operation: str) -> list[Shown]:
    """Return the requests of one kind, in the order in which they began."""
    found = search(jaeger, SERVICE, operation=operation)
    found.sort(key=lambda one: min(span["startTime"] for span in one["spans"]))
    roots = [shown(one) for one in found]
    assert [len(one) for one in roots] == [1] * len(roots)
    return [root for [root] in roots]


def test_what_is_read_is_what_was_sent(day: Day, jaeger: Jaeger):
    """Ids, parents, names, kinds, times to the nanosecond, statuses, attributes with their types, and events: all the same."""

    def by_id(spans: Iterable[WireSpan]) -> dict[tuple[str, str], WireSpan]:
        return {(span.trace_id, span.span_id): span for span in spans}

    read = all_spans(jaeger, SERVICE, began=day.began, ended=day.ended)

    assert len(read) == len(day.sent)
    assert by_id(read) == by_id(day.sent)
    assert len(by_id(read)) == len(read)


def test_each_request_has_a_trace(day: Day, jaeger: Jaeger):
    """Guests' requests and the spans of kind SERVER are the same, one for one, in the same order, with the same answers."""
    servers = sorted((span for span in day.sent if span.kind == "SERVER"), key=lambda span: span.began)
    told = [
        "{:4} {} {}".format(
            span.attributes["http.method"],
            urlsplit(span.attributes["http.url"]).path,
            span.attributes["http.status_code"],
        )
        for span in servers
    ]

    assert told == [request for requests in day.requests for request in requests]
    assert len({span.trace_id for span in servers}) == len(servers)


def test_no_span_is_an_orphan(day: Day, jaeger: Jaeger):
    """The parent of each span that Jaeger has is there too, in the same trace, and began no later."""
    read = {(s.trace_id, s.span_id): s for s in all_spans(jaeger, SERVICE, began=day.began, ended=day.ended)}
    children = [span for span in read.values() if span.parent_id]

    assert [span.name for span in children if (span.trace_id, span.parent_id) not in read] == []
    assert [span.name for span in children if read[span.trace_id, span.parent_id].began > span.began] == []


def test_a_dispatch_has_the_receivers_that_it_counts(day: Day, jaeger: Jaeger):
    """For each signal of the shop's own: receivers with a span and those that were skipped are all that were due."""
    read = all_spans(jaeger, SERVICE, began=day.began, ended=day.ended)
    below = Counter((span.trace_id, span.parent_id) for span in read if semconv.FUNCTION_NAME in span.attributes)
    due = {
        (span.trace_id, span.span_id): span.attributes[semconv.RECEIVER_COUNT]
        - len(span.attributes.get(semconv.RECEIVER_SKIPPED, ()))
        for span in read
        if span.attributes.get(semconv.SIGNAL_NAME, "").startswith(("orders.", "kitchen."))
        and semconv.RECEIVER_COUNT in span.attributes
    }

    # Paid, baked, and placed, one more a day; one a day is refused by the first receiver; a table's reservation nobody hears.
    assert Counter(due.values()) == {3: PAID * 2 + (PAID + DAYS), 1: DAYS, 0: DAYS}
    assert {dispatch: below[dispatch] for dispatch in due} == due


def test_a_payment_is_a_tree(day: Day, jaeger: Jaeger):
    """The second guest's payment: three dispatches deep, the slow receipt and the lost points among the order's receivers."""
    payment = requests_of(jaeger, PAY)[1]

    assert payment.outline() == {
        PAY: [
            CONNECTED,
            *ORDER_SAVED,
            {
                "send_robust order_paid": [
                    {"handle kitchen.receivers.take_ingredients": SHELF_SAVED * 4},
                    "handle orders.printer.ReceiptPrinter.print_receipt",
                    CREDIT_POINTS,
                ]
            },
        ]
    }


def test_an_order_is_a_cascade(day: Day, jaeger: Jaeger):
    """An order that is refused: a save within a save four deep, and nobody after the receiver that raised."""
    refused = [request for request in requests_of(jaeger, PLACE) if request.tags["http.status_code"] == 500]
    complaint = {"handle office.receivers.write_complaint": saved()}

    assert len(refused) == DAYS
    assert refused[0].outline() == {
        PLACE: [
            CONNECTED,
            *ORDER_CREATED,
            {"send order_placed": [CHECK_STOCK]},
            {"send got_request_exception": [complaint]},
        ]
    }


def test_async_receivers_are_below_their_dispatch(day: Day, jaeger: Jaeger):
    """What an async receiver saves while others run is below it, and nowhere else."""
    baked = requests_of(jaeger, TO_GO)[0]
    [done] = [child for child in baked.below if child.name == "asend pizza_done"]

    assert {child.name: [one.name for one in child.below] for child in done.below} == {
        "handle kitchen.receivers.show_on_display": ["send pre_save", "send post_save"],
        "handle kitchen.receivers.Bell.__call__": [],
        "handle kitchen.receivers.count_toppings": [],
    }


def test_attributes_of_a_dispatch_and_of_its_receivers(day: Day, jaeger: Jaeger):
    """Each has those that the documentation names, and of the payload nothing."""
    payment = requests_of(jaeger, PAY)[1]
    [paid] = receivers([payment], "send_robust order_paid")
    [print_receipt] = receivers([payment], "handle orders.printer.ReceiptPrinter.print_receipt")

    assert own(paid.tags) == {
        semconv.SYSTEM_NAME: "django",
        semconv.SIGNAL_NAME: "orders.signals.order_paid",
        semconv.OPERATION_NAME: "send_robust",
        semconv.ERROR_POLICY: "capture",
        semconv.SENDER_NAME: "orders.Order",
        semconv.RECEIVER_COUNT: 3,
        semconv.RECEIVER_FAILED_COUNT: 1,
    }
    assert own(print_receipt.tags) == {
        semconv.SYSTEM_NAME: "django",
        semconv.SIGNAL_NAME: "orders.signals.order_paid",
        semconv.FUNCTION_NAME: "orders.printer.ReceiptPrinter.print_receipt",
        semconv.RECEIVER_MODE: "sync",
    }
    assert print_receipt.microseconds >= 150_000


def own(tags: dict[str, Any]) -> dict[str, Any]:
    """Return *tags* without those that Jaeger makes of a span's kind, scope and status."""
    ours = ("heliograph.", "code.", "error.type")
    return {key: value for key, value in tags.items() if key.startswith(ours)}


def test_a_captured_error_marks_the_receiver_alone(day: Day, jaeger: Jaeger):
    """Every other payment: the receiver's span is an error with its exception, the dispatch counts it, the request is fine."""
    payments = requests_of(jaeger, PAY)
    failed = [payment for payment in payments if "error" in receivers([payment], CREDIT_POINTS)[0].tags]

    assert [payments.index(payment) % 2 for payment in failed] == [1] * (PAID // 2)
    for payment in failed:
        wrong = [span.name for span in payment.walk() if span.tags.get("error")]
        counted = [span.name for span in payment.walk() if semconv.RECEIVER_FAILED_COUNT in span.tags]
        assert (wrong, counted) == ([CREDIT_POINTS], ["send_robust order_paid"])
        assert payment.tags["http.status_code"] == 302


def test_an_error_that_propagates_marks_all_above(day: Day, jaeger: Jaeger):
    """An order that is refused: receiver, dispatch and request are errors; the dispatch says who never ran."""
    for refused in (request for request in requests_of(jaeger, PLACE) if request.tags["http.status_code"] == 500):
        [placed] = receivers([refused], "send order_placed")
        wrong = {span.name: span.tags.get("error.type") for span in refused.walk() if span.tags.get("error")}

        assert wrong == {
            PLACE: None,  # what OpenTelemetry's instrumentation of Django says of its own span
            "send order_placed": "kitchen.stock.OutOfStockError",
            CHECK_STOCK: "kitchen.stock.OutOfStockError",
        }
        assert placed.tags[semconv.RECEIVER_SKIPPED] == '["kitchen.receivers.write_ticket","loyalty.receivers.greet"]'


def test_an_exception_is_told_once(day: Day, jaeger: Jaeger):
    """Of all spans only the failed receivers' have an exception among their events, each one."""
    told = Counter(
        (span.name, event.attributes[semconv.EXCEPTION_TYPE])
        for span in all_spans(jaeger, SERVICE, began=day.began, ended=day.ended)
        for event in span.events
        if span.scope == semconv.SCOPE
    )

    assert told == {
        (CREDIT_POINTS, "ConnectionError"): PAID // 2,
        (CHECK_STOCK, "kitchen.stock.OutOfStockError"): DAYS,
    }


def test_a_loop_is_rolled_up(day: Day, jaeger: Jaeger):
    """Restocking saves 150 shelves: the first hundred are spans of their own, the rest are one, which counts them."""
    for restock in requests_of(jaeger, "POST kitchen/restock/"):
        saves = [child for child in restock.below if child.name == "send post_save"]
        rolled_up = [save.tags[semconv.ROLLED_UP_COUNT] for save in saves if semconv.ROLLED_UP_COUNT in save.tags]

        assert (len(saves) - 1, rolled_up) == (100, [50])


def test_a_trace_is_read_by_its_id(day: Day, jaeger: Jaeger):
    """The page of a trace has the spans that were sent of it, and no warning about clocks or parents."""
    first = next(span.trace_id for span in day.sent if span.name == PAY)

    page = wait_for(lambda: trace(jaeger, first), what="the trace can be read", within=10)

    assert {span["spanID"] for span in page["spans"]} == {s.span_id for s in day.sent if s.trace_id == first}
    assert [span["warnings"] for span in page["spans"] if span["warnings"]] == []
    assert {process["serviceName"] for process in page["processes"].values()} == {SERVICE}
