"""Who hears of dispatches, and which signals anybody watches.

An observer hears finished facts. One that must stand inside a receiver's context while it runs, so that
what the receiver starts finds its parent, also has ``enter`` and ``leave``. Interest is asked once per
signal and cached in its :class:`~heliograph.fanout.facts.Site`.
"""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from heliograph.fanout.facts import Audience, Dispatch, Library, Site

__all__ = [
    "GatedObserver",
    "InsideObserver",
    "Observer",
    "attempt",
    "known_sites",
    "observe",
    "refresh",
    "tell",
    "watching",
]

logger: logging.Logger = logging.getLogger("heliograph")

T = TypeVar("T")
Gates = tuple[tuple[Any, Callable[[], bool] | None], ...]
Enter = Callable[[Dispatch, int], Any]
Leave = Callable[[Dispatch, int, Any], None]


class Observer(Protocol):
    """Hears of dispatches. Whatever it raises is logged once and never reaches the sender."""

    def interested(self, site: Site, /) -> bool:
        """Return whether to be told of this signal's dispatches. Asked once per signal and cached."""
        ...

    def finished(self, dispatch: Dispatch, /) -> None:
        """Hear of *dispatch* once it and all calls it began have ended."""


@runtime_checkable
class InsideObserver(Observer, Protocol):
    """Also stands inside each receiver's context while it runs.

    One whose class says ``unfailing = True`` promises that ``enter`` and ``leave`` never raise, and is called
    without a guard in between.
    """

    def enter(self, dispatch: Dispatch, position: int, /) -> Any:
        """Called right before the receiver at *position* runs, and before each further step of an async one."""

    def leave(self, dispatch: Dispatch, position: int, entered: Any, /) -> None:
        """Called right after it ran, with what ``enter`` returned; ``dispatch.endeds`` tells a step from the end."""


@runtime_checkable
class GatedObserver(Observer, Protocol):
    """May sleep for a while: asked before each send, so the answer must be cheap."""

    def awake(self) -> bool:
        """Return whether it wants to hear of dispatches just now."""
        ...


_ABSENT = object()
_said: set[tuple[str, type[BaseException]]] = set()


def attempt(method: Callable[..., T], /, *arguments: Any) -> T | None:
    """Call an observer's *method*; an error is logged, once per method and kind, and never reaches the sender."""
    try:
        return method(*arguments)
    except Exception as error:  # an observer's fault is not the sender's
        _say_once(method, error)
        return None


def _say_once(method: Callable[..., Any], error: Exception) -> None:
    name = getattr(method, "__qualname__", None) or type(method).__qualname__
    if (name, type(error)) in _said:
        return
    _said.add((name, type(error)))
    _forget_the_receivers(error)
    logger.error(
        "Observing a signal failed in %s; the send went on. Further errors of this kind are not logged.",
        name,
        exc_info=error,
    )


def _forget_the_receivers(fault: BaseException) -> None:
    """Take out of what *fault* came of the error that is on its way to the sender: it is not the observer's to tell.

    An error on its way was raised below a function that still runs; those of the observer are over.
    """
    running = set()
    frame = sys._getframe(2).f_back  # whoever asked the observer, and all that is around
    while frame is not None:
        running.add(frame)
        frame = frame.f_back
    pending: list[BaseException | None] = [fault]
    seen = set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        outer = one.__context__
        if outer is not None and outer.__traceback__ is not None and outer.__traceback__.tb_frame in running:
            one.__context__ = None
        pending += (one.__context__, one.__cause__)


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

    def refresh(self) -> None:
        with self._lock:
            self._resolve_all()

    def learn(self, signal: object, library: Library) -> Site:
        """Return the site of a signal that is sent for the first time."""
        key = id(signal)
        with self._lock:
            if key not in self.sites:
                # The callback runs as the signal dies, before its id can be used again.
                reference = weakref.ref(signal, lambda _: self._forget(key))
                site = Site(library, reference)
                self._references[key] = reference
                self._resolve(site)
                self.sites[key] = site
            return self.sites[key]

    def name(self, site: Site) -> None:
        """Ask for the name of a site again, ever more seldom, and with the name for the interest in it."""
        site.asked += 1
        if not site.asked & (site.asked - 1) and site.find_name():  # powers of two
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
        observers = tuple(one for one in self.observers if attempt(one.interested, site))
        site.audience = _audience(observers)
        gates = [one.awake if isinstance(one, GatedObserver) else None for one in observers]
        site.gates = tuple(zip(observers, gates, strict=True)) if any(gates) else ()
        site.gate = gates[0] if len(gates) == 1 else None


def _audience(observers: tuple[Observer, ...]) -> Audience | None:
    if not observers:
        return None
    inside: tuple[Any, ...] = tuple(one for one in observers if _stands_inside(one))
    ordered = (*inside, *(one for one in observers if not _stands_inside(one)))
    return Audience(ordered, *_ways_inside(inside))


def _ways_inside(inside: tuple[InsideObserver, ...]) -> tuple[Enter | None, Leave | None]:
    if not inside:
        return None, None
    if len(inside) == 1 and getattr(inside[0], "unfailing", False):
        return inside[0].enter, inside[0].leave  # the hot path: no frame in between

    def enter(dispatch: Dispatch, position: int) -> list[Any]:
        return [_enter(one, dispatch, position) for one in inside]

    def leave(dispatch: Dispatch, position: int, marks: list[Any]) -> None:
        for one, mark in zip(reversed(inside), reversed(marks), strict=True):
            if mark is not _ABSENT:
                attempt(one.leave, dispatch, position, mark)

    return enter, leave


def _enter(observer: InsideObserver, dispatch: Dispatch, position: int) -> Any:
    try:
        return observer.enter(dispatch, position)
    except Exception as error:  # an observer's fault is not the sender's
        _say_once(observer.enter, error)
        return _ABSENT


def _stands_inside(observer: Any) -> bool:
    # By attribute, because it may be asked at each send: isinstance() with a protocol takes longer than the send itself.
    return callable(getattr(observer, "enter", None))


def _ask(site: Site, *, again: bool = True) -> Audience | None:
    """Return who is awake of those who observe."""
    gates = site.gates
    try:
        awake = [observer for observer, gate in gates if gate is None or gate()]
    except Exception:  # an observer's fault is not the sender's
        awake = [observer for observer, gate in gates if gate is None or attempt(gate)]
    if (
        site.gates is not gates and again
    ):  # one that woke has changed who observes; who does so each time is asked twice
        return _ask(site, again=False)
    return site.audience if len(awake) == len(gates) else _audience(tuple(awake))


_interest = _Interest()


def watching(signal: object, library: Library, /) -> tuple[Site, Audience] | None:
    """Return the site of *signal* and who wants to hear of its next dispatch, or None when nobody does.

    This is the one check that an unobserved send pays for.
    """
    if not _interest.observers:
        return None
    site = _interest.sites.get(id(signal)) or _interest.learn(signal, library)
    if not site.named:
        _interest.name(site)
    gates, gate = site.gates, site.gate
    if not gates:
        audience = site.audience
    elif gate is None:
        audience = _ask(site)
    else:  # the most frequent case, spelled out: a call more would be felt
        try:
            audience = site.audience if gate() else None
        except Exception as error:  # an observer's fault is not the sender's
            _say_once(gate, error)
            return None
        if site.gates is not gates:  # it has woken, and changed who observes
            audience = _ask(site)
    return None if audience is None else (site, audience)


def refresh(observer: Observer) -> None:
    """Look again at how *observer* wants to be told, if it observes."""
    if any(one is observer for one in _interest.observers):
        _interest.refresh()


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


def tell(observers: tuple[Observer, ...], dispatch: Dispatch) -> None:
    """Tell all *observers* of a finished dispatch."""
    for one in observers:
        try:
            one.finished(dispatch)
        except Exception as error:  # an observer's fault is not the sender's
            _say_once(one.finished, error)
