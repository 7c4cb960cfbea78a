"""Finished dispatches that wait to be spoken of, off the hot path: bounded, and never lost."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable

from heliograph.telemetry.finished import Finished

__all__ = ["Backlog"]

_DELAY = 0.2  # seconds between the first dispatch that waits and a look at all of them
_MOST_CALLS = 32_768  # receiver calls that wait; beyond these the sender's thread lends a hand


class Backlog:
    """Finished dispatches that wait for a thread of our own, or for whoever needs them said now.

    Args:
        say: Says what there is to say of one dispatch. Whatever it raises is its own affair; it must not raise.
        then: Called when all that waited has been said.
    """

    def __init__(self, say: Callable[[Finished], None], then: Callable[[], None]) -> None:
        self._say = say
        self._then = then
        self._waiting: deque[Finished | Callable[[], None]] = deque()
        self._calls = 0
        self._saying = threading.RLock()  # whoever says something may send a signal, and so come back here
        self._something = threading.Event()
        self._is_awake = False
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._is_closed = False
        _renew_in_children(self)

    def put(self, dispatch: Finished) -> None:
        """Let *dispatch* wait."""
        self._waiting.append(dispatch)
        self._calls += 1 + len(dispatch.begans)
        if self._calls > _MOST_CALLS or self._is_closed:
            self.say_all()
        elif not self._is_awake:
            self._wake()

    def then_do(self, what: Callable[[], None]) -> None:
        """Do *what*, which must not raise, once all that waits now has been said."""
        self._waiting.append(what)
        if self._is_closed:
            self.say_all()
        elif not self._is_awake:
            self._wake()

    def say_all(self) -> None:
        """Say what there is to say of all that waits, on this thread."""
        with self._saying:
            self._is_awake = False
            self._something.clear()
            self._calls = 0
            while self._waiting:
                waiting = self._waiting.popleft()
                if callable(waiting):
                    waiting()
                else:
                    self._say(waiting)
            self._then()

    def close(self) -> None:
        """Say all and end the thread."""
        self._is_closed = True
        self._closed.set()
        self._something.set()
        self.say_all()

    def _wake(self) -> None:
        if sys.is_finalizing():  # a thread that is started now never begins, and whoever starts it would wait for that
            self.say_all()
            return
        self._is_awake = True
        self._something.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="heliograph", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is shutting down
                self._thread = None
                self.say_all()

    def _run(self) -> None:
        closed, something = self._closed, self._something
        while not closed.is_set():
            something.wait()
            closed.wait(_DELAY)  # more will follow
            self.say_all()

    def _renew(self) -> None:
        """In a forked child: the parent says what waited there, and its thread is not here."""
        self._waiting.clear()
        self._calls = 0
        self._saying = threading.RLock()
        self._something = threading.Event()
        self._is_awake = False
        self._closed = threading.Event()
        self._thread = None


def _renew_in_children(backlog: Backlog) -> None:
    reference = weakref.ref(backlog)

    def renew() -> None:
        alive = reference()
        if alive is not None:
            alive._renew()  # noqa: SLF001  # of this module

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
