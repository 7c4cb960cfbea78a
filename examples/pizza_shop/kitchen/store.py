"""Stores, which tell the world when a pizza leaves their oven."""

from collections.abc import Sequence

from .signals import pizza_done


class PizzaStore:
    """One of our stores. The store itself is the sender of what it bakes."""

    def __init__(self, street: str) -> None:
        self.street = street

    def send_pizza(self, toppings: Sequence[str], size: str) -> None:
        """Hand a pizza over the counter."""
        pizza_done.send(sender=self, toppings=toppings, size=size)

    async def asend_pizza(self, toppings: Sequence[str], size: str) -> None:
        """Hand a pizza to a courier, with async receivers running side by side."""
        await pizza_done.asend(sender=self, toppings=toppings, size=size)


main_street = PizzaStore("Main Street")
