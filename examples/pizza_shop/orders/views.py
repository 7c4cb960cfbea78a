"""Pages to order, pay, cancel and reserve."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from .counter import reserve_table, take_payment
from .forms import OrderForm, ReservationForm
from .models import Order


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    """Place an order. When a receiver refuses it, the guest sees an error 500."""
    form = OrderForm(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    return redirect("orders:show", form.place().pk)


def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one order with all that can be done to it."""
    return render(request, "orders/order.html", {"order": get_object_or_404(Order, pk=pk)})


@require_POST
def pay(request: HttpRequest, pk: int) -> HttpResponse:
    """Pay an order."""
    take_payment(get_object_or_404(Order, pk=pk))
    return redirect("orders:show", pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel an order that is not paid: it is deleted."""
    get_object_or_404(Order, pk=pk, paid=False).delete()
    return redirect("menu:show")


@require_POST
def reserve(request: HttpRequest) -> HttpResponse:
    """Reserve a table."""
    form = ReservationForm(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    reserve_table(form.cleaned_data["seats"])
    return redirect("menu:show")
