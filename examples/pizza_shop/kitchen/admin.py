"""The kitchen in the admin."""

from django.contrib import admin

from .models import Announcement, StockItem, Ticket


@admin.register(StockItem)
class StockItemAdmin(admin.ModelAdmin):
    """The shelves."""

    list_display = ["ingredient", "shelf", "portions"]
    list_filter = ["ingredient"]


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin):
    """What is to be baked."""

    list_display = ["order", "done"]


admin.site.register(Announcement)
