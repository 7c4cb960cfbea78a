"""Who hears of dispatches, and which signals anybody watches.

An observer hears finished facts. One that must stand inside a receiver's context while it runs, so that
what the receiver starts finds its parent, also has ``enter`` and ``leave``. Interest is asked once per
signal and cached in its :class:`~heliograph.fanout.facts.Site`.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from heliograph.fanout.facts import Dispatch, ReceiverCall, Site

__all__ = ["GatedObserver", "InsideObserver", "Observer", "observe", "watching"]

logger = logging.getLogger("heliograph")


class Observer(Protocol):
    """Hears of dispatches. Whatever it raises is logged once and never reaches the sender."""

    def interested(self, site: Site, /) -> bool:
        """Return whether to be told of this signal's dispatches. Asked once per signal and cached."""

    def finished(self, dispatch: Dispatch, /) -> None:
        """Hear of *dispatch* once it and all calls it began have ended."""


@runtime_checkable
class InsideObserver(Observer, Protocol):
    """Also stands inside each receiver's context while it runs."""

    def enter(self, call: ReceiverCall, /) -> object:
        """Called right before the receiver runs, and before each further step of an async one."""

    def leave(self, call: ReceiverCall, entered: Any, /) -> None:
        """Called right after it ran, with what ``enter`` returned; ``call.ended`` tells a step from the end."""


@runtime_checkable
class GatedObserver(Observer, Protocol):
    """May sleep for a while: asked before each send, so the answer must be cheap."""

    def awake(self) -> bool:
        """Return whether it wants to hear of dispatches just now."""


class _Guard:
    """Keeps what fails inside an observer away from the sender; says it once per place and kind of error."""

    def __init__(self) -> None:
        self._said: set[tuple[str, type[BaseException]]] = set()

    def failed(self, observer: object, method: str, error: Exception) -> None:
        what = f"{type(observer).__name__}.{method}"
        if (what, type(error)) in self._said:
            return
        self._said.add((what, type(error)))
        logger.error(
            "Observing a signal failed in %s; the send went on. Further errors of this kind are not logged.",
            what,
            exc_info=error,
        )


_guard = _Guard()
_ABSENT = object()


class _Interest:
    """Which signals are known, who observes, and who observes which."""

    def __init__(self) -> None:
        self.observers: tuple[Observer, ...] = ()
        self.sites: dict[int, Site] = {}
        self._references: dict[int, weakref.ref[Any]] = {}
        self._lock = threading.RLock()

    def add(self, observer: Observer) -> None:
        with self._lock:
            self.observers = (*self.observers, observer)
            self._resolve_all()

    def remove(self, observer: Observer) -> None:
        with self._lock:
            self.observers = tuple(one for one in self.observers if one is not observer)
            self._resolve_all()

    def learn(self, signal: object, system: str, name_of: Callable[[Any], str | None]) -> Site:
        """Return the site of a signal that is sent for the first time."""
        key = id(signal)
        with self._lock:
            if key not in self.sites:
                # The callback runs as the signal dies, before its id can be used again.
                reference = weakref.ref(signal, lambda _: self._forget(key))
                site = Site(system, lambda: name_of(reference()))
                self._references[key] = reference
                self._resolve(site)
                self.sites[key] = site
            return self.sites[key]

    def name(self, site: Site) -> None:
        """Ask for the name of a site again, and with the name for the interest in it."""
        if site.find_name():
            with self._lock:
                self._resolve(site)

    def _forget(self, key: int) -> None:
        # Runs during garbage collection, maybe while this thread holds the lock: single, atomic steps only.
        self.sites.pop(key, None)
        self._references.pop(key, None)

    def _resolve_all(self) -> None:
        for site in list(self.sites.values()):
            self._resolve(site)

    def _resolve(self, site: Site) -> None:
        observers = [one for one in self.observers if _interested(one, site)]
        # Those inside are told first: what they leave on the facts (spans) is there for the others.
        site.inside = tuple(one for one in observers if isinstance(one, InsideObserver))
        site.observers = (*site.inside, *(one for one in observers if not isinstance(one, InsideObserver)))
        site.gate = _gate(observers)


def _gate(observers: Sequence[Observer]) -> Callable[[], bool] | None:
    gated = [one for one in observers if isinstance(one, GatedObserver)]
    if len(gated) < len(observers) or not gated:  # one that never sleeps keeps the signal watched
        return None
    return gated[0].awake if len(gated) == 1 else lambda: any([one.awake() for one in gated])


_interest = _Interest()


def watching(signal: object, system: str, name_of: Callable[[Any], str | None], /) -> Site | None:
    """Return the site of *signal* if anybody wants to hear of its next dispatch, else None.

    This is the one check that an unobserved send pays for.
    """
    if not _interest.observers:
        return None
    site = _interest.sites.get(id(signal)) or _interest.learn(signal, system, name_of)
    if not site.named:
        _interest.name(site)
    if not site.observers or (site.gate is not None and not site.gate()):
        return None
    return site


def known_sites() -> list[Site]:
    """Return the sites of all signals that were sent while somebody observed, and still live."""
    return list(_interest.sites.values())


def observe(observer: Observer) -> Callable[[], None]:
    """Tell *observer* of all dispatches it is interested in, from now on.

    Returns:
        A function that ends it; calling it again does nothing.
    """
    _interest.add(observer)
    return lambda: _interest.remove(observer)


def enter(inside: tuple[InsideObserver, ...], call: ReceiverCall) -> list[object]:
    """Let those *inside* enter the receiver's context; return their marks for :func:`leave`."""
    marks: list[object] = []
    for one in inside:
        try:
            marks.append(one.enter(call))
        except Exception as error:  # an observer's fault is not the sender's
            _guard.failed(one, "enter", error)
            marks.append(_ABSENT)
    return marks


def leave(inside: tuple[InsideObserver, ...], call: ReceiverCall, marks: list[object]) -> None:
    """Let those *inside* leave again, the last to enter first."""
    for one, mark in zip(reversed(inside), reversed(marks), strict=True):
        if mark is not _ABSENT:
            try:
                one.leave(call, mark)
            except Exception as error:  # an observer's fault is not the sender's
                _guard.failed(one, "leave", error)


def finish(observers: tuple[Observer, ...], dispatch: Dispatch) -> None:
    """Tell all *observers* of a finished dispatch."""
    for one in observers:
        try:
            one.finished(dispatch)
        except Exception as error:  # an observer's fault is not the sender's
            _guard.failed(one, "finished", error)


def _interested(observer: Observer, site: Site) -> bool:
    try:
        return observer.interested(site)
    except Exception as error:  # an observer's fault is not the sender's
        _guard.failed(observer, "interested", error)
        return False
