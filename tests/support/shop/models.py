"""What the shop keeps."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Topping(models.Model):
    """What may lie on a pizza."""

    objects: ClassVar[models.Manager[Topping]]
    name: models.CharField[str, str] = models.CharField(max_length=40)

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return self.name


class Pizza(models.Model):
    """What is sold."""

    objects: ClassVar[models.Manager[Pizza]]
    name: models.CharField[str, str] = models.CharField(max_length=40)
    toppings: models.ManyToManyField[Topping, models.Model] = models.ManyToManyField(Topping)

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return self.name
