"""The diary in the admin."""

from django.contrib import admin

from .models import DiaryEntry


@admin.register(DiaryEntry)
class DiaryEntryAdmin(admin.ModelAdmin):
    """The diary, newest entry first."""

    list_display = ["written_at", "text"]
    ordering = ["-pk"]
