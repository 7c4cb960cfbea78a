"""What the loyalty programme does when customers order, pay and come back."""

from django.db.models.signals import post_save
from django.dispatch import receiver
from orders.models import Customer, Order
from orders.signals import order_paid, order_placed, order_refunded

from .models import Card, Voucher
from .points import points_service

ORDERS_A_TIER = 2


@receiver(order_placed, sender=Order)
def greet(sender: type[Order], order: Order, **kwargs: object) -> None:
    """Greet the holder of a card. Skipped when there is no stock: the error came before."""
    card = Card.objects.get(customer=order.customer)
    card.greetings += 1
    card.save()


@receiver(order_paid, sender=Order)
def credit_points(sender: type[Order], order: Order, **kwargs: object) -> None:
    """Credit a point for each whole unit of money paid.

    Fails every other time, and nobody learns of it: ``order_paid`` is sent with ``send_robust``.
    """
    points_service.credit(order.customer_id, order.price_cents // 100)


@receiver(order_refunded, sender=Order)
def take_back_points(sender: type[Order], order: Order, **kwargs: object) -> None:
    """Take the points back. Never called: nothing sends ``order_refunded``."""
    points_service.credit(order.customer_id, -(order.price_cents // 100))


@receiver(post_save, sender=Customer)
def update_card(sender: type[Customer], instance: Customer, **kwargs: object) -> None:
    """Save the customer's card, the third save in a row that began with an order."""
    card, _ = Card.objects.get_or_create(customer=instance)
    card.tier = instance.order_count // ORDERS_A_TIER
    card.save()


@receiver(post_save, sender=Card)
def give_voucher(sender: type[Card], instance: Card, **kwargs: object) -> None:
    """Give a voucher for a new tier. Here the cascade ends: nobody hears of vouchers."""
    if instance.tier:
        Voucher.objects.get_or_create(card=instance, tier=instance.tier)
