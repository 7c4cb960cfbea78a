"""The kitchen: its shelves, its tickets and its oven."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class KitchenConfig(AppConfig):
    """Connects the kitchen's receivers when Django starts."""

    name = "kitchen"

    def ready(self) -> None:
        """Import the receivers, which connects all but one: its sender is this object."""
        from . import receivers

        post_migrate.connect(receivers.build_shelves, sender=self)
