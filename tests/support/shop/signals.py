"""Signals of the shop: one of its own, one imported, one held by a class."""

from __future__ import annotations

from django.db.models.signals import post_save
from django.dispatch import Signal

import heliograph

pizza_done = Signal()
own_pizza_done = heliograph.Signal(providing_args=["toppings", "size"])
saved = post_save  # another name, given by an assignment: the first definition is Django's

__all__ = ["Oven", "own_pizza_done", "pizza_done", "post_save", "saved"]


class Oven:
    """Holds a signal as an attribute of the class."""

    heated = Signal()
