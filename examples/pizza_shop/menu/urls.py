"""Addresses of the menu."""

from django.urls import path

from . import views

app_name = "menu"
urlpatterns = [path("", views.show_menu, name="show")]
