"""Pizzas and toppings, a many-to-many relation."""

from django.db import models


class Size(models.TextChoices):
    """How large a pizza is."""

    SMALL = "S", "small"
    MEDIUM = "M", "medium"
    LARGE = "L", "large"


SURCHARGE_CENTS = {Size.SMALL: 0, Size.MEDIUM: 200, Size.LARGE: 400}


class Topping(models.Model):
    """What goes on a pizza. The kitchen stocks it under the same name."""

    name = models.CharField(max_length=40, unique=True)
    vegetarian = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Pizza(models.Model):
    """A pizza on the menu."""

    name = models.CharField(max_length=40, unique=True)
    slug = models.SlugField(unique=True)
    price_cents = models.PositiveIntegerField()
    toppings = models.ManyToManyField(Topping, related_name="pizzas")
    vegetarian = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["price_cents", "name"]

    def __str__(self) -> str:
        return self.name

    def price_of(self, size: str) -> int:
        """Return the price in cents of this pizza in *size*."""
        return self.price_cents + SURCHARGE_CENTS[Size(size)]
