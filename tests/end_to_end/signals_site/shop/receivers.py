"""What happens in the shop when something is ordered: a cascade, for the second save is heard as well."""

from typing import Any

from django.db.models.signals import post_save

from .models import Order
from .signals import pizza_done


def connect() -> None:
    """Connect all of them."""
    post_save.connect(find_table, sender=Order)
    pizza_done.connect(tell_waiter)


def find_table(sender: Any, instance: Order, created: bool, **_: Any) -> None:
    if created:
        instance.table = 7
        instance.save()
    else:
        pizza_done.send_robust(sender=sender, table=instance.table)


def tell_waiter(sender: Any, **named: Any) -> str:
    if named.get("table"):
        raise LookupError("There is no waiter.")
    return "told"
