"""The same shop with its log sent over OTLP, each failure once. README.md says how to run it."""

import logging

import structlog

import heliograph


def without_failures(logger, method, event):
    """OpenTelemetry's own events tell of these: see OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN in README.md."""
    if event["event"] == "signal_receiver_failed":
        raise structlog.DropEvent
    return event


structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        without_failures,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.JSONRenderer(),
    ],
)
# What send_robust itself logs of a receiver that fails. heliograph says it, and more.
logging.getLogger("heliograph.dispatch").setLevel(logging.CRITICAL)

order_paid = heliograph.Signal()


@heliograph.receiver(order_paid)
def print_receipt(number, **kwargs):
    raise ConnectionError("the printer is out of paper")


if __name__ == "__main__":
    structlog.get_logger().info("till_opened", table=7)
    order_paid.send_robust(sender="till", number=1)
