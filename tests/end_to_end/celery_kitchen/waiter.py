"""The waiter: orders one meal of each kind, waits for all of them, and prints what came: ``-m celery_kitchen.waiter [ORDER]``."""

from __future__ import annotations

import sys

from .telemetry import set_up

SECONDS = 60


def main(order: str | None = None) -> None:
    if order is not None:
        set_up(order)
    from .app import bake, burn, tracer, try_again

    with tracer.start_as_current_span("guest"):
        meals = [bake.delay("pizza"), burn.delay(), try_again.delay()]
    for meal in meals:
        print(repr(meal.get(timeout=SECONDS, propagate=False)))


if __name__ == "__main__":
    main(*sys.argv[1:])
