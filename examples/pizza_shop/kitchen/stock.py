"""The shelves: filled, checked and emptied."""

from collections.abc import Iterable

from django.db import transaction

from .models import StockItem

SHELVES = range(1, 11)
INGREDIENTS = (
    "anchovy",
    "artichoke",
    "basil",
    "capers",
    "gorgonzola",
    "ham",
    "mozzarella",
    "mushroom",
    "olive",
    "onion",
    "pepper",
    "salami",
    "spinach",
    "tomato",
    "white truffle",
)
OUT_OF_SEASON = {"white truffle"}
FULL = 20


class OutOfStockError(Exception):
    """An ingredient is on no shelf."""


def build_shelves(database: str) -> None:
    """Make an empty place for every ingredient on every shelf, 150 in all."""
    StockItem.objects.using(database).bulk_create(
        [StockItem(ingredient=name, shelf=shelf) for name in INGREDIENTS for shelf in SHELVES],
        ignore_conflicts=True,
    )


def restock() -> int:
    """Fill all shelves one save at a time, as so much code does, and return how many saves."""
    with transaction.atomic():
        items = list(StockItem.objects.order_by("pk"))
        for item in items:
            item.portions = 0 if item.ingredient in OUT_OF_SEASON else FULL
            item.save()
    return len(items)


def find(ingredient: str) -> StockItem:
    """Return the first shelf that has some of *ingredient*.

    Raises:
        OutOfStockError: If no shelf has any.
    """
    item = StockItem.objects.filter(ingredient=ingredient, portions__gt=0).order_by("shelf").first()
    if item is None:
        raise OutOfStockError(f"no {ingredient} on any shelf; restock, or take it off the menu")
    return item


def take(ingredients: Iterable[str]) -> None:
    """Take a portion of each of the *ingredients*, one save each."""
    for ingredient in ingredients:
        item = find(ingredient)
        item.portions -= 1
        item.save()
