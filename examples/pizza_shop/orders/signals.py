"""The signals of an order's life. Each carries ``order`` unless it says otherwise."""

from django.dispatch import Signal

order_placed = Signal()
"""Sent with ``send`` inside the transaction: a receiver that raises refuses the order."""

order_paid = Signal()
"""Sent with ``send_robust`` when the money is in the till: nobody may refuse it any more."""

order_refunded = Signal()
"""Never sent: refunds were planned, their receivers written, and the button never built."""

table_reserved = Signal()
"""Carries ``seats``. Sent for every reservation, and nobody has ever connected a receiver."""
