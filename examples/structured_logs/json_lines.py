"""A shop whose signals log JSON, one object a line: ``python json_lines.py``."""

import logging
import time

import structlog

import heliograph

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
)
heliograph.instrument()  # where nothing but logs is wanted; else the first tracer or meter provider switches it on

# What send_robust itself logs of a receiver that fails. heliograph says it, and more.
logging.getLogger("heliograph.dispatch").setLevel(logging.CRITICAL)

order_paid = heliograph.Signal()


@heliograph.receiver(order_paid)
def bake(**kwargs):
    time.sleep(0.15)


@heliograph.receiver(order_paid)
def print_receipt(number, **kwargs):
    raise ConnectionError("the printer is out of paper")


if __name__ == "__main__":
    structlog.contextvars.bind_contextvars(table=7)
    order_paid.send_robust(sender="till", number=1)
