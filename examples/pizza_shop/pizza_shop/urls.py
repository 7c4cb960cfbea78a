"""Every address of the shop."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("menu.urls")),
    path("orders/", include("orders.urls")),
    path("kitchen/", include("kitchen.urls")),
    path("admin/", admin.site.urls),
]
