"""The spans of a dispatch: names, parents, attributes, statuses, times."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import heliograph
from tests.support.shop.models import Pizza

HERE = __name__


class OutOfStock(Exception):
    """Raised by receivers on purpose."""


class Shop:
    """Sends signals."""

    def __repr__(self) -> str:
        raise AssertionError("described an instance")


def send_receipt(**_):
    return "receipt"


def update_stock(**_):
    raise OutOfStock("no basil")


def notify_kitchen(**_):
    return "notified"


async def call_courier(**_):
    await asyncio.sleep(0)


def attributes(span):
    return dict(span.attributes)


DISPATCH = {
    "heliograph.system.name": "heliograph",
    "heliograph.signal.name": "shop.signals.order_paid",
    "heliograph.operation.name": "send",
    "heliograph.error.policy": "propagate",
}
RECEIVER = {
    "heliograph.system.name": "heliograph",
    "heliograph.signal.name": "shop.signals.order_paid",
    "heliograph.receiver.mode": "sync",
}


def test_a_send_is_a_span_with_a_child_for_each_receiver(instrument, spans, order_paid):
    """Names, kind, status and attributes are exactly those of the tables."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.connect(notify_kitchen)
    order_paid.send(sender=Shop, order=1)

    assert spans.tree() == [("send order_paid", [("handle send_receipt", []), ("handle notify_kitchen", [])])]
    dispatch = spans.named("send order_paid")
    receiver = spans.named("handle send_receipt")
    assert attributes(dispatch) == {
        **DISPATCH,
        "heliograph.sender.name": f"{HERE}.Shop",
        "heliograph.dispatch.receiver.count": 2,
    }
    assert receiver.name == f"handle {HERE}.send_receipt"
    assert attributes(receiver) == {**RECEIVER, "code.function.name": f"{HERE}.send_receipt"}
    for span in spans.finished:
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
        assert span.events == ()
        assert span.links == ()
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "heliograph"


def test_spans_carry_the_times_of_their_facts(instrument, spans, order_paid):
    """They are made when all is over, and still begin and end when their receiver did."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.connect(notify_kitchen)
    order_paid.send(sender=None)

    dispatch = spans.named("send order_paid")
    first, second = spans.named("handle send_receipt"), spans.named("handle notify_kitchen")
    moments = [dispatch.start_time, first.start_time, first.end_time, second.start_time, second.end_time]
    assert moments == sorted(moments)
    assert second.end_time <= dispatch.end_time


def test_a_dispatch_joins_the_current_trace(instrument, spans, order_paid, request_span):
    """Its parent is whatever span is current where it is sent."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)
    request_span.end()

    assert spans.tree() == [("request", [("send order_paid", [("handle send_receipt", [])])])]


def test_a_dispatch_nobody_hears_is_a_span_too(instrument, spans, order_paid):
    """An orphan has no receivers, and says so."""
    instrument("heliograph")
    order_paid.send(sender=None)

    assert attributes(spans.named("send order_paid")) == {**DISPATCH, "heliograph.dispatch.receiver.count": 0}


def test_under_send_a_failing_receiver_fails_the_dispatch(instrument, spans, order_paid):
    """Both spans are errors; the exception is recorded once, where it was raised, and the skipped ones are named."""
    instrument("heliograph")
    for receiver in (send_receipt, update_stock, notify_kitchen):
        order_paid.connect(receiver)
    order_paid.connect(call_courier)
    with pytest.raises(OutOfStock):
        order_paid.send(sender=None)

    assert spans.tree() == [("send order_paid", [("handle send_receipt", []), ("handle update_stock", [])])]
    dispatch, failed = spans.named("send order_paid"), spans.named("handle update_stock")
    assert attributes(dispatch) == {
        **DISPATCH,
        "heliograph.dispatch.receiver.count": 4,
        "heliograph.dispatch.receiver.failed_count": 1,
        "heliograph.dispatch.receiver.skipped": (f"{HERE}.notify_kitchen", f"{HERE}.call_courier"),
        "error.type": f"{HERE}.OutOfStock",
    }
    assert attributes(failed) == {
        **RECEIVER,
        "code.function.name": f"{HERE}.update_stock",
        "error.type": f"{HERE}.OutOfStock",
    }
    assert dispatch.status.status_code is StatusCode.ERROR
    assert failed.status.status_code is StatusCode.ERROR
    assert spans.named("handle send_receipt").status.status_code is StatusCode.UNSET
    assert dispatch.events == ()
    [event] = failed.events
    assert event.name == "exception"
    recorded = dict(event.attributes or {})
    assert recorded["exception.type"] == f"{HERE}.OutOfStock"
    assert recorded["exception.message"] == "no basil"
    assert "in update_stock" in str(recorded["exception.stacktrace"])
    assert event.timestamp == failed.end_time


def test_under_send_robust_a_captured_error_is_the_receivers_alone(instrument, spans, order_paid):
    """A handled error is no error of the operation: the dispatch counts it and stays unset."""
    instrument("heliograph")
    for receiver in (update_stock, send_receipt):
        order_paid.connect(receiver)
    order_paid.send_robust(sender=None)

    dispatch, failed = spans.named("send_robust order_paid"), spans.named("handle update_stock")
    assert attributes(dispatch) == {
        **DISPATCH,
        "heliograph.operation.name": "send_robust",
        "heliograph.error.policy": "capture",
        "heliograph.dispatch.receiver.count": 2,
        "heliograph.dispatch.receiver.failed_count": 1,
    }
    assert dispatch.status.status_code is StatusCode.UNSET
    assert dispatch.events == ()
    assert failed.status.status_code is StatusCode.ERROR
    assert [event.name for event in failed.events] == ["exception"]
    assert spans.named("handle send_receipt").status.status_code is StatusCode.UNSET


def test_a_built_in_error_is_named_without_its_module(instrument, spans, order_paid):
    """As OpenTelemetry has it."""
    instrument("heliograph")

    def failing(**_):
        raise KeyError("missing")

    order_paid.connect(failing)
    order_paid.send_robust(sender=None)

    assert attributes(spans.named("handle failing"))["error.type"] == "KeyError"


def test_async_receivers_have_spans_of_mode_async(instrument, spans, order_paid):
    """Plain and async receivers of one send are siblings."""
    instrument("heliograph")
    order_paid.connect(call_courier)
    order_paid.connect(send_receipt)
    asyncio.run(order_paid.asend(sender=None))

    dispatch = spans.named("asend order_paid")
    assert attributes(dispatch) == {
        **DISPATCH,
        "heliograph.operation.name": "asend",
        "heliograph.dispatch.receiver.count": 2,
    }
    modes = {span.name: attributes(span)["heliograph.receiver.mode"] for span in spans.finished if span is not dispatch}
    assert modes == {f"handle {HERE}.call_courier": "async", f"handle {HERE}.send_receipt": "sync"}
    assert {span.parent.span_id for span in spans.finished if span.parent} == {dispatch.get_span_context().span_id}


def test_a_cancelled_dispatch_is_no_error(instrument, spans, order_paid):
    """Its spans end where it was cancelled, unset and without an event."""
    instrument("heliograph")

    async def main():
        waits, never = asyncio.Event(), asyncio.Event()

        async def waiting(**_):
            waits.set()
            await never.wait()

        order_paid.connect(waiting)
        task = asyncio.create_task(order_paid.asend(sender=None))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert spans.tree() == [("asend order_paid", [("handle waiting", [])])]
    for span in spans.finished:
        assert span.status.status_code is StatusCode.UNSET
        assert span.events == ()
        assert "error.type" not in attributes(span)
    assert "heliograph.dispatch.receiver.failed_count" not in attributes(spans.named("asend order_paid"))
    assert "heliograph.dispatch.receiver.skipped" not in attributes(spans.named("asend order_paid"))


def test_nested_dispatches_say_how_deep_they_are(instrument, spans, order_paid, order_shipped):
    """A send within a receiver is a child of that receiver's span, and counts what encloses it."""
    instrument("heliograph")
    delivered = heliograph.Signal(name="shop.signals.delivered")

    def ship(**_):
        order_shipped.send(sender=None)

    def deliver(**_):
        delivered.send(sender=None)

    order_paid.connect(ship)
    order_shipped.connect(deliver)
    delivered.connect(notify_kitchen)
    order_paid.send(sender=None)

    assert spans.tree() == [
        (
            "send order_paid",
            [
                (
                    "handle ship",
                    [
                        (
                            "send order_shipped",
                            [("handle deliver", [("send delivered", [("handle notify_kitchen", [])])])],
                        )
                    ],
                )
            ],
        )
    ]
    depths = {name: attributes(spans.named(name)).get("heliograph.dispatch.depth") for name in spans.counts()}
    assert {name: depth for name, depth in depths.items() if name.startswith("send")} == {
        "send order_paid": None,
        "send order_shipped": 1,
        "send delivered": 2,
    }


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        (None, None),
        (Shop, f"{HERE}.Shop"),
        (Shop(), f"{HERE}.Shop"),
        (Pizza, "shop.Pizza"),
        (Pizza(name="margherita"), "shop.Pizza"),
        (send_receipt, f"{HERE}.send_receipt"),
        ("a string", "str"),
    ],
    ids=["none", "class", "instance", "model", "model instance", "function", "string"],
)
def test_senders_are_named_for_their_class(instrument, spans, order_paid, sender, name):
    """A class path or a model label; nothing of an instance."""
    instrument("heliograph")
    order_paid.send(sender=sender)

    assert attributes(spans.named("send order_paid")).get("heliograph.sender.name") == name


def test_extra_attributes_are_there_when_asked_for(instrument, spans, order_paid):
    """Where the receiver is, its dispatch_uid, and the names of the arguments: never their values."""
    instrument(
        "heliograph",
        extra_attributes=[
            "code.file.path",
            "code.line.number",
            "heliograph.receiver.dispatch_uid",
            "heliograph.signal.argument_names",
        ],
    )
    order_paid.connect(send_receipt, dispatch_uid="shop.receipt")
    order_paid.send(sender=None, order="secret", total="secret")

    receiver = attributes(spans.named("handle send_receipt"))
    assert receiver["code.file.path"] == __file__
    assert receiver["code.line.number"] == send_receipt.__code__.co_firstlineno
    assert receiver["heliograph.receiver.dispatch_uid"] == "shop.receipt"
    assert attributes(spans.named("send order_paid"))["heliograph.signal.argument_names"] == ("order", "total")
    assert not any("secret" in span.to_json() for span in spans.finished)


def test_a_receiver_may_use_its_span(instrument, spans, order_paid):
    """The current span within a receiver is the receiver's own: it can be given attributes, events and a name."""
    instrument("heliograph")

    def receiver(**_):
        span = trace.get_current_span()
        span.set_attribute("shop.order", 17)
        span.set_attributes({"shop.paid": True})
        span.add_event("printed")
        span.update_name("handle the receipt")
        assert span.is_recording()

    order_paid.connect(receiver)
    order_paid.send(sender=None)

    span = spans.named("handle the receipt")
    assert attributes(span)["shop.order"] == 17
    assert attributes(span)["shop.paid"] is True
    assert [event.name for event in span.events] == ["printed"]
    assert spans.tree() == [("send order_paid", [("handle the receipt", [])])]


def test_a_signal_without_a_name_is_other(instrument, spans):
    """A signal that no module holds has no name to find; the attribute is never empty."""
    instrument("heliograph")
    heliograph.Signal().send(sender=None)

    assert attributes(spans.named("send _OTHER"))["heliograph.signal.name"] == "_OTHER"


def test_a_receiver_connected_twice_has_two_spans(instrument, spans, order_paid):
    """Once for anybody, once for a sender: two calls, two spans; skipped ones are counted the same way."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.connect(update_stock)
    order_paid.connect(send_receipt, sender=Shop)
    with pytest.raises(OutOfStock):
        order_paid.send(sender=Shop)

    assert spans.tree() == [("send order_paid", [("handle send_receipt", []), ("handle update_stock", [])])]
    assert attributes(spans.named("send order_paid"))["heliograph.dispatch.receiver.skipped"] == (
        f"{HERE}.send_receipt",
    )
