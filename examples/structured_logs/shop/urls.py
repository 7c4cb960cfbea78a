import time

from django.dispatch import Signal, receiver
from django.http import HttpResponse
from django.urls import path

order_paid = Signal()


@receiver(order_paid)
def bake(**kwargs):
    time.sleep(0.15)


@receiver(order_paid)
def print_receipt(number, **kwargs):
    raise ConnectionError("the printer is out of paper")


def pay(request, number):
    order_paid.send_robust(sender=None, number=number)
    return HttpResponse("paid")


urlpatterns = [path("pay/<int:number>/", pay)]
