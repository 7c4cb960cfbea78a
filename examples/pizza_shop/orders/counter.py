"""What happens at the counter: the only place that sends the signals of an order."""

from django.db import transaction
from menu.models import Pizza

from .models import Customer, Order
from .signals import order_paid, order_placed, table_reserved


def place_order(customer: Customer, pizza: Pizza, *, size: str, takeaway: bool) -> Order:
    """Save an order, then ask every receiver: one that raises undoes all of it."""
    with transaction.atomic():
        order = Order.objects.create(
            customer=customer,
            pizza=pizza,
            size=size,
            takeaway=takeaway,
            price_cents=pizza.price_of(size),
        )
        order_placed.send(sender=Order, order=order)
    return order


def take_payment(order: Order) -> None:
    """Take the money, then tell everyone, whatever becomes of the telling.

    The responses, errors among them, are thrown away, as almost every caller of ``send_robust``
    does: a receiver that fails here leaves no mark on the request.
    """
    order.paid = True
    order.save()
    order_paid.send_robust(sender=Order, order=order)


def reserve_table(seats: int) -> None:
    """Reserve a table, or so the guests believe: nobody hears this signal."""
    table_reserved.send(sender=Order, seats=seats)
