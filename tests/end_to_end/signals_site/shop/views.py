"""What visitors see."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .models import Order


def menu(request: HttpRequest) -> HttpResponse:
    return render(request, "menu.html", {"pizzas": ["Margherita"]})


def order(request: HttpRequest, what: str) -> HttpResponse:
    Order.objects.create(what=what)
    return HttpResponse(f"{what} ordered\n")


def broken(request: HttpRequest) -> HttpResponse:
    raise LookupError("The oven is cold.")
