"""The receipt printer, which everybody at the till waits for."""

import time

from .models import Order


class ReceiptPrinter:
    """An old printer: correct and slow."""

    seconds = 0.15

    def __init__(self) -> None:
        self.printed = 0

    def print_receipt(self, sender: type[Order], order: Order, **kwargs: object) -> None:
        """Print a receipt while the request that paid for *order* waits."""
        time.sleep(self.seconds)
        self.printed += 1


receipt_printer = ReceiptPrinter()
