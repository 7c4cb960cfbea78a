"""What stands around a ``send`` that is not done by us, without being in its way.

It adds a frame between the sender and that ``send``. ``warnings.warn(..., stacklevel=2)`` in there means the
sender: Python passes over frames of its own import system, which it tells by a file name that has ``importlib`` and
``_bootstrap`` in it, and so does ``logging``. This file has such a name for that reason alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Protocol

__all__ = ["Enclosing", "make_enclosing_asend", "make_enclosing_send"]


class Enclosing(Protocol):
    """A dispatch from the outside: it begins when this is made."""

    def finish(self, error: BaseException | None = None) -> None:
        """Note that the ``send`` ends now, with *error* if it raised."""
        ...


Begin = Callable[[Any, tuple[Any, ...], dict[str, Any]], Enclosing | None]


def make_enclosing_send(original: Callable[..., Any], begin: Begin, current: ContextVar[Any]) -> Callable[..., Any]:
    """Return a method that calls *original*, and between *begin* and the end of it is the value of *current*.

    Args:
        original: The method to call.
        begin: Called with the signal, the positional arguments and the others; returns None when nobody observes.
        current: Holds what *begin* has returned, for those who want to know what goes on inside.
    """

    def send(self: Any, /, *arguments: Any, **named: Any) -> Any:
        enclosing = begin(self, arguments, named)
        if enclosing is None:
            return original(self, *arguments, **named)
        token = current.set(enclosing)
        try:
            result = original(self, *arguments, **named)
            if inspect.iscoroutine(result):  # an ``asend`` that is a plain function
                return _awaited(result, enclosing, current)
        except BaseException as error:
            enclosing.finish(error)
            raise
        finally:
            current.reset(token)
        enclosing.finish()
        return result

    return send


def make_enclosing_asend(
    original: Callable[..., Awaitable[Any]], begin: Begin, current: ContextVar[Any]
) -> Callable[..., Awaitable[Any]]:
    """Return a coroutine method that awaits *original*; else as :func:`make_enclosing_send`."""

    async def asend(self: Any, /, *arguments: Any, **named: Any) -> Any:
        enclosing = begin(self, arguments, named)
        if enclosing is None:
            return await original(self, *arguments, **named)
        return await _awaited(original(self, *arguments, **named), enclosing, current)

    return asend


async def _awaited(awaitable: Awaitable[Any], enclosing: Enclosing, current: ContextVar[Any]) -> Any:
    token = current.set(enclosing)
    try:
        result = await awaitable
    except BaseException as error:
        enclosing.finish(error)
        raise
    finally:
        _reset(current, token)
    enclosing.finish()
    return result


def _reset(current: ContextVar[Any], token: Token[Any]) -> None:
    with suppress(ValueError):  # a coroutine may be closed in another context than it began in
        current.reset(token)
