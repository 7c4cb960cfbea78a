"""Cards and vouchers in the admin."""

from django.contrib import admin

from .models import Card, Voucher


@admin.register(Card)
class CardAdmin(admin.ModelAdmin):
    """Cards with their tier."""

    list_display = ["customer", "tier", "greetings"]


admin.site.register(Voucher)
