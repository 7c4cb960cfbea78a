"""The back office: who is in, who complained, what changed."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OfficeConfig(AppConfig):
    """Connects the back office's receivers when Django starts."""

    name = "office"

    def ready(self) -> None:
        """Import the receivers, which connects all but one: its sender is this object."""
        from . import receivers

        post_migrate.connect(receivers.ensure_roles, sender=self)
