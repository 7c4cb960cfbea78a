"""What the kitchen does when it hears of orders, stock and finished pizzas."""

from collections import Counter
from collections.abc import Sequence

from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from orders.models import Order
from orders.signals import order_paid, order_placed

import heliograph

from . import stock
from .models import Announcement, StockItem, Ticket
from .signals import pizza_done
from .store import PizzaStore, main_street


def toppings_of(order: Order) -> list[str]:
    """Return the names of what is on the pizza of *order*."""
    return [topping.name for topping in order.pizza.toppings.all()]


def build_shelves(sender: object, using: str, **kwargs: object) -> None:
    """Build the shelves once the tables are there."""
    stock.build_shelves(using)


@receiver(order_placed, sender=Order)
def check_stock(sender: type[Order], order: Order, **kwargs: object) -> None:
    """Refuse an order that cannot be baked: the error travels up into the request.

    Raises:
        OutOfStockError: If one of the toppings is on no shelf.
    """
    for name in toppings_of(order):
        stock.find(name)


@receiver(order_placed, sender=Order)
def write_ticket(sender: type[Order], order: Order, **kwargs: object) -> None:
    """Tell the cook what to bake. Skipped when there is no stock: the error came before."""
    Ticket.objects.create(order=order)


@receiver(order_paid, sender=Order)
def take_ingredients(sender: type[Order], order: Order, **kwargs: object) -> None:
    """Take the toppings off the shelves, which saves a few of them."""
    stock.take(toppings_of(order))


@receiver(pre_save, sender=StockItem)
def refuse_negative_stock(sender: type[StockItem], instance: StockItem, **kwargs: object) -> None:
    """Never let a shelf hold less than nothing."""
    instance.portions = max(instance.portions, 0)


class StockBoard:
    """The blackboard beside the shelves."""

    def __init__(self) -> None:
        self.portions: dict[int, int] = {}

    def update(self, sender: type[StockItem], instance: StockItem, **kwargs: object) -> None:
        """Write down how many portions a shelf holds now."""
        self.portions[instance.pk] = instance.portions


class Bell:
    """A bell that is itself a receiver: calling it rings it."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self, sender: PizzaStore, **kwargs: object) -> None:
        self.rung += 1


stock_board = StockBoard()
post_save.connect(stock_board.update, sender=StockItem)

# Nothing else keeps this bell, so the signal has to.
pizza_done.connect(Bell(), weak=False)

eaten: Counter[str] = Counter()


@heliograph.receiver(pizza_done, sender=main_street)
def count_toppings(sender: PizzaStore, toppings: Sequence[str], **kwargs: object) -> None:
    """Count what Main Street's guests eat."""
    eaten.update(toppings)


@heliograph.receiver(pizza_done)
async def show_on_display(sender: PizzaStore, toppings: Sequence[str], size: str, **kwargs: object) -> None:
    """Announce the pizza above the counter: an async receiver, for ``send`` and ``asend`` alike."""
    await Announcement.objects.acreate(text=f"{size} with {', '.join(toppings)} is ready")
