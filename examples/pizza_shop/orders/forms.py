"""The order form."""

from django import forms
from menu.models import Pizza, Size

from .counter import place_order
from .models import Customer, Order


class OrderForm(forms.Form):
    """What a guest fills in to order a pizza."""

    name = forms.CharField(max_length=60)
    email = forms.EmailField()
    pizza = forms.ModelChoiceField(Pizza.objects.all(), to_field_name="slug")
    size = forms.ChoiceField(choices=Size.choices, initial=Size.MEDIUM)
    takeaway = forms.BooleanField(required=False)

    def place(self) -> Order:
        """Place the order of the customer with this address, who may be new."""
        asked = self.cleaned_data
        customer, _ = Customer.objects.get_or_create(email=asked["email"], defaults={"name": asked["name"]})
        return place_order(customer, asked["pizza"], size=asked["size"], takeaway=asked["takeaway"])


class ReservationForm(forms.Form):
    """What a guest fills in to reserve a table."""

    seats = forms.IntegerField(min_value=1, max_value=12)
