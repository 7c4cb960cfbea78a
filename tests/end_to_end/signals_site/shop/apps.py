"""The shop and what it listens to."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "signals_site.shop"
    label = "shop"

    def ready(self) -> None:
        from . import receivers

        receivers.connect()
