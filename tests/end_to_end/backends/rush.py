"""A rush at the pizza shop: so many orders for each line on standard input, each with all that its sends returned.

Started in the shop's folder. Nobody sleeps here: the receipt printer is a fast one.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import sys
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan


def main() -> None:
    """Serve one process's guests until nobody comes any more."""
    shop_day, browser = importlib.import_module("shop_day"), importlib.import_module("browser")
    os.environ["DJANGO_SETTINGS_MODULE"] = "pizza_shop.settings"
    application = shop_day.get_wsgi_application()
    shop_day.prepare()
    orders = importlib.import_module("orders.models").Order.objects
    importlib.import_module("kitchen.stock").restock()
    importlib.import_module("orders.printer").receipt_printer.seconds = 0
    pizzas = itertools.cycle(["margherita", "napoli", "tartufo"])
    with shop_day.serving(application) as port:
        guest = browser.Browser(port)
        guest.get("/")
        for line in sys.stdin:
            for pizza in itertools.islice(pizzas, int(line)):
                shop_day.place(guest, "Ada", pizza, size="S", takeaway="")  # says what was asked for, and the status
                say_responses(orders.latest("pk"))
            print(kept())
            print("closed", flush=True)


def say_responses(order: Any) -> None:
    """Send Django's signals and heliograph's own, and print what every receiver returned or raised."""
    order_paid = importlib.import_module("orders.signals").order_paid
    pizza_done = importlib.import_module("kitchen.signals").pizza_done
    responses = [
        *order_paid.send_robust(sender=type(order), order=order),
        *pizza_done.send(sender=None, toppings=["basil"], size="small"),
    ]
    for receiver, response in responses:
        print(getattr(receiver, "__qualname__", type(receiver).__name__), repr(response))


def kept() -> str:
    """Return how many kilobytes of memory this process has, and how many finished spans are in it."""
    gc.collect()
    [resident] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    spans = sum(isinstance(one, ReadableSpan) and one.end_time is not None for one in gc.get_objects())
    return f"kept {resident.split()[1]} {spans}"


main()
