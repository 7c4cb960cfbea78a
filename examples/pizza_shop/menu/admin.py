"""The menu in the admin."""

from django.contrib import admin

from .models import Pizza, Topping


@admin.register(Topping)
class ToppingAdmin(admin.ModelAdmin):
    """Toppings, by name."""

    list_display = ["name", "vegetarian"]
    search_fields = ["name"]


@admin.register(Pizza)
class PizzaAdmin(admin.ModelAdmin):
    """Pizzas, with their toppings in two boxes."""

    list_display = ["name", "price_cents", "vegetarian"]
    filter_horizontal = ["toppings"]
    prepopulated_fields = {"slug": ["name"]}
