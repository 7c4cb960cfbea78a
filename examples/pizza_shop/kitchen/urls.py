"""Addresses of the kitchen's tablet."""

from django.urls import path

from . import views

app_name = "kitchen"
urlpatterns = [
    path("restock/", views.restock, name="restock"),
    path("orders/<int:pk>/bake/", views.bake, name="bake"),
    path("orders/<int:pk>/to-go/", views.BakeToGo.as_view(), name="to-go"),
]
