"""Loyalty: cards, tiers, vouchers, and points that live somewhere else."""

from django.apps import AppConfig


class LoyaltyConfig(AppConfig):
    """Connects the loyalty programme's receivers when Django starts."""

    name = "loyalty"

    def ready(self) -> None:
        """Import the receivers, which connects them."""
        from . import receivers  # noqa: F401
