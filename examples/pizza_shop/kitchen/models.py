"""What is on the shelves, what is to be baked, and what the display shows."""

from django.db import models
from orders.models import Order


class StockItem(models.Model):
    """The portions of one ingredient on one shelf."""

    ingredient = models.CharField(max_length=40)
    shelf = models.PositiveSmallIntegerField()
    portions = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ingredient", "shelf"], name="one_place_on_a_shelf")]

    def __str__(self) -> str:
        return f"{self.ingredient} on shelf {self.shelf}"


class Ticket(models.Model):
    """The slip of paper that tells the cook what to bake."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE)
    done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"ticket for {self.order}"


class Announcement(models.Model):
    """A line on the display above the counter."""

    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text
