"""Cards of customers, and the vouchers they earn."""

from django.db import models
from orders.models import Customer


class Card(models.Model):
    """A customer's card, whose tier follows the number of orders."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE)
    tier = models.PositiveSmallIntegerField(default=0)
    greetings = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"card of {self.customer}"


class Voucher(models.Model):
    """A free drink for a new tier, given once."""

    card = models.ForeignKey(Card, on_delete=models.CASCADE)
    tier = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["card", "tier"], name="one_voucher_a_tier")]

    def __str__(self) -> str:
        return f"voucher for tier {self.tier}"
