"""Orders: who orders what, pays, and changes their mind."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Connects the counter's receivers when Django starts."""

    name = "orders"

    def ready(self) -> None:
        """Import the receivers, which connects them."""
        from . import receivers  # noqa: F401
