"""Types of the public names, as a user's own checker sees them. Checked by mypy in strict mode, never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

import heliograph
from heliograph import Signal, instrument, receiver
from heliograph.dispatch.registry import Connection
from heliograph.instrumentor import Instrumentation

order_paid = Signal(providing_args=["order"], name="shop.order_paid")
order_shipped = Signal()

assert_type(order_paid, Signal)
assert_type(order_paid.name, str | None)
assert_type(order_paid.providing_args, list[str])
assert_type(order_paid.receivers, list[Connection])


@receiver(order_paid)
def send_receipt(sender: object, order: int, **kwargs: object) -> str:
    """Keep its type through the decorator."""
    return str(order)


@receiver([order_paid, order_shipped], sender=int, dispatch_uid="notify")
async def notify(sender: object, **kwargs: object) -> None:
    """Keep its type, async as it is."""


@order_paid.connect
def update_stock(sender: type[int], **kwargs: int) -> bool:
    """Keep its type through the method as well."""
    return True


assert_type(send_receipt(None, 3), str)
assert_type(update_stock(int, more=1), bool)


class Shop:
    """A class with a method that is connected."""

    def receive(self, **kwargs: object) -> int:
        """Return a number."""
        return 1


assert_type(order_paid.connect(Shop().receive)(), int)
assert_type(order_paid.disconnect(send_receipt), bool)
assert_type(order_paid.disconnect(dispatch_uid="notify"), bool)
assert_type(order_paid.has_listeners(), bool)

Responses = list[tuple[Callable[..., Any], Any]]
assert_type(order_paid.send(sender=None, order=3), Responses)
assert_type(order_paid.send_robust(Shop, order=3), Responses)


async def awaited() -> None:
    """Get the same from the sends that are awaited."""
    assert_type(await order_paid.asend(sender=None), Responses)
    assert_type(await order_paid.asend_robust(sender=None), Responses)
    assert_type(await notify(None), None)


undo = instrument("django", level="slow", slow=0.25)
assert_type(undo, Instrumentation)
assert_type(undo(), None)
with instrument() as within:
    assert_type(within, Instrumentation)

# What is wrong is an error; an ignore that is not needed would be one too.
order_paid.connect(3)  # type: ignore[type-var]
order_paid.send()  # type: ignore[call-arg]
Signal(name=3)  # type: ignore[arg-type]
Signal(None, False, "shop.order_paid")  # type: ignore[call-arg]
instrument(3)  # type: ignore[arg-type]
heliograph.nothing  # type: ignore[attr-defined]  # noqa: B018
