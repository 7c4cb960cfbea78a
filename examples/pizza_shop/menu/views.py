"""The page every guest sees first."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from orders.forms import OrderForm

from .models import Pizza


def show_menu(request: HttpRequest) -> HttpResponse:
    """Show all pizzas and a form to order one."""
    pizzas = Pizza.objects.prefetch_related("toppings")
    return render(request, "menu/menu.html", {"pizzas": pizzas, "form": OrderForm()})
