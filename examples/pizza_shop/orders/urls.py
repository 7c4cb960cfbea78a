"""Addresses of the counter."""

from django.urls import path

from . import views

app_name = "orders"
urlpatterns = [
    path("", views.place, name="place"),
    path("<int:pk>/", views.show, name="show"),
    path("<int:pk>/pay/", views.pay, name="pay"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("tables/", views.reserve, name="reserve"),
]
