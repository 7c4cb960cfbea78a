"""The tablet on the kitchen's wall."""

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views import View
from django.views.decorators.http import require_POST
from orders.models import Order

from . import stock
from .models import Ticket
from .receivers import toppings_of
from .store import main_street


@require_POST
@staff_member_required
def restock(request: HttpRequest) -> HttpResponse:
    """Fill all shelves."""
    messages.success(request, f"{stock.restock()} places filled")
    return redirect("admin:kitchen_stockitem_changelist")


@require_POST
def bake(request: HttpRequest, pk: int) -> HttpResponse:
    """Bake an order and hand it over the counter."""
    order = get_object_or_404(Order, pk=pk, paid=True)
    main_street.send_pizza(toppings=toppings_of(order), size=order.get_size_display())
    Ticket.objects.filter(order=order).update(done=True)
    return redirect("orders:show", pk)


class BakeToGo(View):
    """Bake an order for a courier: the same in an async view."""

    async def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Bake the order and send it off."""
        order = await _paid_order(pk)
        toppings = [topping.name async for topping in order.pizza.toppings.all()]
        await main_street.asend_pizza(toppings=toppings, size=order.get_size_display())
        await Ticket.objects.filter(order=order).aupdate(done=True)
        return redirect("orders:show", pk)


async def _paid_order(pk: int) -> Order:
    try:
        return await Order.objects.select_related("pizza").aget(pk=pk, paid=True)
    except Order.DoesNotExist:
        raise Http404(f"no paid order has the key {pk}") from None
