"""The menu: pizzas and what is on them."""

from django.apps import AppConfig


class MenuConfig(AppConfig):
    """Connects the menu's receivers when Django starts."""

    name = "menu"

    def ready(self) -> None:
        """Import the receivers, which connects them."""
        from . import receivers  # noqa: F401
