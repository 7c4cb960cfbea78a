"""What the counter does when orders change."""

from django.db.models import Count, Q, Sum
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from .models import Order
from .printer import receipt_printer
from .signals import order_paid

order_paid.connect(receipt_printer.print_receipt, sender=Order)


@receiver(post_save, sender=Order)
def assign_number(sender: type[Order], instance: Order, created: bool, **kwargs: object) -> None:
    """Save a new order again: its number is made of the key that the first save gave it."""
    if created:
        instance.number = f"#{instance.pk:04}"
        instance.save(update_fields=["number"])


@receiver([post_save, post_delete], sender=Order)
def recount_customer(sender: type[Order], instance: Order, **kwargs: object) -> None:
    """Save what the customer ordered and spent, which other receivers listen to in turn."""
    customer = instance.customer
    counts = customer.orders.aggregate(orders=Count("pk"), spent=Sum("price_cents", filter=Q(paid=True)))
    customer.order_count = counts["orders"]
    customer.spent_cents = counts["spent"] or 0
    customer.save()
