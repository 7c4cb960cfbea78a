"""Customers and their orders."""

from django.db import models
from menu.models import Pizza, Size


class Customer(models.Model):
    """Someone who orders. The counts are kept by a receiver of every saved order."""

    name = models.CharField(max_length=60)
    email = models.EmailField(unique=True)
    order_count = models.PositiveIntegerField(default=0, editable=False)
    spent_cents = models.PositiveIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """One pizza for one customer."""

    number = models.CharField(max_length=12, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    pizza = models.ForeignKey(Pizza, on_delete=models.PROTECT, related_name="orders")
    size = models.CharField(max_length=1, choices=Size.choices, default=Size.MEDIUM)
    price_cents = models.PositiveIntegerField()
    takeaway = models.BooleanField(default=False)
    paid = models.BooleanField(default=False)
    placed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.number} {self.pizza} {self.size}"
