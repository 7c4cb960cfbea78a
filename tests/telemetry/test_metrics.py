"""The metrics of a dispatch: names, units, attributes, buckets, counts, exemplars."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.telemetry import Metrics

HERE = __name__
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIGNAL = {"heliograph.system.name": "heliograph", "heliograph.signal.name": "shop.signals.order_paid"}


class OutOfStock(Exception):
    """Raised by receivers on purpose."""


class Shop:
    """Sends signals."""


def send_receipt(**_):
    return None


def update_stock(**_):
    raise OutOfStock


async def call_courier(**_):
    return None


def attributes(points):
    return [dict(point.attributes) for point in points]


def test_each_metric_has_its_name_kind_unit_and_buckets(instrument, metrics, order_paid):
    """As the tables have them."""
    instrument("heliograph", level="errors")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)
    found = metrics.all()

    assert {name: (type(metric.data).__name__, metric.unit) for name, metric in found.items()} == {
        "heliograph.dispatch.duration": ("Histogram", "s"),
        "heliograph.receiver.duration": ("Histogram", "s"),
        "heliograph.dispatch.receivers": ("Histogram", "{receiver}"),
        "heliograph.dispatch.untraced": ("Sum", "{dispatch}"),
    }
    for name in ("heliograph.dispatch.duration", "heliograph.receiver.duration"):
        assert [point.explicit_bounds for point in metrics.points(name)] == [BUCKETS]
    assert found["heliograph.dispatch.untraced"].data.is_monotonic is True
    assert all(metric.description for metric in found.values())


def test_a_dispatch_is_measured_by_operation_and_error(instrument, metrics, order_paid):
    """A captured error is no error of the dispatch, one that propagates is."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)
    order_paid.send(sender=None)
    order_paid.connect(update_stock)
    order_paid.send_robust(sender=None)
    with pytest.raises(OutOfStock):
        order_paid.send(sender=None)

    points = {
        (dict(point.attributes)["heliograph.operation.name"], dict(point.attributes).get("error.type")): point
        for point in metrics.points("heliograph.dispatch.duration")
    }
    assert {key: point.count for key, point in points.items()} == {
        ("send", None): 2,
        ("send", f"{HERE}.OutOfStock"): 1,
        ("send_robust", None): 1,
    }
    assert dict(points["send", None].attributes) == {**SIGNAL, "heliograph.operation.name": "send"}


def test_each_receiver_is_measured_by_name_mode_and_error(instrument, metrics, order_paid):
    """Whatever became of the dispatch."""
    instrument("heliograph")
    for receiver in (send_receipt, update_stock, call_courier):
        order_paid.connect(receiver)
    asyncio.run(order_paid.asend_robust(sender=None))

    points = metrics.points("heliograph.receiver.duration")
    assert sorted(attributes(points), key=str) == sorted(
        [
            {**SIGNAL, "code.function.name": f"{HERE}.send_receipt", "heliograph.receiver.mode": "sync"},
            {
                **SIGNAL,
                "code.function.name": f"{HERE}.update_stock",
                "heliograph.receiver.mode": "sync",
                "error.type": f"{HERE}.OutOfStock",
            },
            {**SIGNAL, "code.function.name": f"{HERE}.call_courier", "heliograph.receiver.mode": "async"},
        ],
        key=str,
    )
    assert [point.count for point in points] == [1, 1, 1]


def test_receivers_are_counted_per_dispatch(instrument, metrics, order_paid):
    """As many as were due, whether or not they ran; an orphan has none."""
    instrument("heliograph")
    order_paid.send(sender=None)
    order_paid.connect(update_stock)
    order_paid.connect(send_receipt)
    with pytest.raises(OutOfStock):
        order_paid.send(sender=None)

    [point] = metrics.points("heliograph.dispatch.receivers")
    assert dict(point.attributes) == {**SIGNAL, "heliograph.operation.name": "send"}
    assert (point.count, point.sum, point.min, point.max) == (2, 2, 0, 2)


def test_untraced_dispatches_are_counted_with_the_reason(instrument, metrics, order_paid):
    """Filtered by level."""
    instrument("heliograph", level="errors")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)

    [point] = metrics.points("heliograph.dispatch.untraced")
    assert dict(point.attributes) == {**SIGNAL, "reason": "filtered"}
    assert point.value == 1


@pytest.mark.parametrize("level", ["errors", "slow", "all"])
def test_everything_is_measured_at_every_level_but_off(instrument, metrics, order_paid, level):
    """Levels decide about spans and logs."""
    instrument("heliograph", level=level, slow=1000)
    order_paid.connect(send_receipt)
    for _ in range(3):
        order_paid.send(sender=None)

    assert metrics.total("heliograph.dispatch.duration") == 3
    assert metrics.total("heliograph.receiver.duration") == 3


def test_nothing_is_measured_at_level_off(instrument, metrics, order_paid):
    """Neither dispatches nor receivers."""
    instrument("heliograph", level="off")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)

    assert metrics.all() == {}


def test_an_excluded_receiver_is_not_measured(instrument, metrics, order_paid):
    """Its siblings are."""
    instrument("heliograph", excluded_receivers=["send_receipt"])
    order_paid.connect(send_receipt)
    order_paid.connect(call_courier)
    order_paid.send(sender=None)

    assert [one["code.function.name"] for one in attributes(metrics.points("heliograph.receiver.duration"))] == [
        f"{HERE}.call_courier"
    ]


def test_senders_are_an_attribute_when_asked_for(instrument, metrics, order_paid):
    """They may be many, so by default they are not."""
    instrument("heliograph", extra_attributes=["heliograph.sender.name"])
    order_paid.send(sender=Shop)
    order_paid.send(sender=None)

    found = [one.get("heliograph.sender.name") for one in attributes(metrics.points("heliograph.dispatch.duration"))]
    assert sorted(found, key=str) == [None, f"{HERE}.Shop"]


def test_exemplars_point_at_the_spans_of_what_was_measured(instrument, spans, metrics, order_paid):
    """From a slow bucket one gets to a trace that shows why: the receiver's span, and the dispatch's."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)

    found = metrics.all()  # once: to read exemplars is to take them
    [of_receiver] = found["heliograph.receiver.duration"].data.data_points[0].exemplars
    [of_dispatch] = found["heliograph.dispatch.duration"].data.data_points[0].exemplars
    receiver = spans.named("handle send_receipt").get_span_context()
    dispatch = spans.named("send order_paid").get_span_context()
    assert (of_receiver.trace_id, of_receiver.span_id) == (receiver.trace_id, receiver.span_id)
    assert (of_dispatch.trace_id, of_dispatch.span_id) == (dispatch.trace_id, dispatch.span_id)


def test_without_a_span_an_exemplar_points_at_the_senders(instrument, spans, metrics, order_paid, request_span):
    """What has no span of its own is found from the request's."""
    instrument("heliograph", level="errors")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)

    [exemplar] = metrics.points("heliograph.receiver.duration")[0].exemplars
    assert exemplar.span_id == request_span.get_span_context().span_id


def test_durations_are_seconds(instrument, metrics: Metrics, order_paid):
    """A receiver that does nothing takes less than the last bucket, and more than no time."""
    instrument("heliograph")
    order_paid.connect(send_receipt)
    order_paid.send(sender=None)

    [dispatch] = metrics.points("heliograph.dispatch.duration")
    [receiver] = metrics.points("heliograph.receiver.duration")
    assert 0 < receiver.sum <= dispatch.sum < 10
