"""Signals of the application's own: a plain one, one of a subclass, one that a class holds."""

from typing import Any

from django.dispatch import Signal

pizza_done = Signal()


class Announcement(Signal):
    """A signal that adds something to what is sent."""

    def send(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return super().send(sender, loud=True, **named)


doors_open = Announcement()


class Kitchen:
    """Sends a signal that it holds."""

    oven_hot = Signal()
