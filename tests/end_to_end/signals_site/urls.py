"""The addresses of the shop."""

from django.urls import path

from .shop import views

urlpatterns = [
    path("menu/", views.menu),
    path("order/<str:what>/", views.order),
    path("broken/", views.broken),
]
