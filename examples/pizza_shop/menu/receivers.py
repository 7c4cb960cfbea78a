"""What the menu does when something on it changes."""

from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver

from .models import Pizza, Topping
from .search import search_index

for _model in (Pizza, Topping):
    post_save.connect(search_index.reindex, sender=_model)
    post_delete.connect(search_index.forget, sender=_model)


@receiver(pre_save, sender=Topping)
def tidy_name(sender: type[Topping], instance: Topping, **kwargs: object) -> None:
    """Write toppings in lower case with single spaces, as the kitchen does on its shelves."""
    instance.name = " ".join(instance.name.lower().split())


@receiver(pre_delete, sender=Topping)
def take_off_pizzas(sender: type[Topping], instance: Topping, **kwargs: object) -> None:
    """Remove the topping from its pizzas one by one, so that each of them hears ``m2m_changed``."""
    for pizza in instance.pizzas.all():
        pizza.toppings.remove(instance)


@receiver(m2m_changed, sender=Pizza.toppings.through)
def recheck_vegetarian(sender: type, instance: Pizza, action: str, **kwargs: object) -> None:
    """Save the pizza again: its toppings decide whether it is vegetarian."""
    if action not in {"post_add", "post_remove", "post_clear"} or not isinstance(instance, Pizza):
        return
    instance.vegetarian = not instance.toppings.filter(vegetarian=False).exists()
    instance.save()
