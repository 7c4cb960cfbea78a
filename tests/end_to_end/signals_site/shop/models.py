"""What the shop keeps."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

# Imported here, defined elsewhere: its name is that of the place where it is defined.
from .signals import pizza_done

__all__ = ["Order", "Pizza", "Topping", "pizza_done"]


class Topping(models.Model):
    """What may lie on a pizza."""

    objects: ClassVar[models.Manager[Topping]]
    name: models.CharField[str, str] = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Pizza(models.Model):
    """What is made."""

    objects: ClassVar[models.Manager[Pizza]]
    name: models.CharField[str, str] = models.CharField(max_length=50)
    toppings = models.ManyToManyField(Topping)

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """What somebody wants, and where they sit."""

    objects: ClassVar[models.Manager[Order]]
    what: models.CharField[str, str] = models.CharField(max_length=50)
    table: models.IntegerField[int | None, int | None] = models.IntegerField(null=True)

    def __str__(self) -> str:
        return self.what
