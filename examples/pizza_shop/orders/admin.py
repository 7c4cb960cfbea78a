"""Customers and orders in the admin."""

from django.contrib import admin

from .models import Customer, Order


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers with what their orders add up to."""

    list_display = ["name", "email", "order_count", "spent_cents"]
    search_fields = ["name", "email"]


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Orders, newest first."""

    list_display = ["number", "customer", "pizza", "size", "paid"]
    list_filter = ["paid", "takeaway"]
    ordering = ["-pk"]
