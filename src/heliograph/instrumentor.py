"""Wires adapters to telemetry: the only place that knows both.

Signals of heliograph's own dispatcher need no call of :func:`instrument`: they speak to the global providers
as soon as those exist.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from opentelemetry import _logs, metrics, trace

from heliograph.adapters import all_adapters
from heliograph.adapters.adapter import Adapter, Undo
from heliograph.config import Settings
from heliograph.dispatch import signal_names
from heliograph.errors import ConfigurationError, LibraryNotFoundError
from heliograph.fanout.describe import receiver_name
from heliograph.fanout.facts import Dispatch, Receiver, Site
from heliograph.fanout.observer import attempt, known_sites, observe
from heliograph.telemetry.policy import Unmatched
from heliograph.telemetry.sdk import is_any_provider_set
from heliograph.telemetry.telemetry import Telemetry

__all__ = ["Instrumentation", "adapters", "instrument", "unmatched_patterns"]

logger = logging.getLogger("heliograph")

OWN = "heliograph"


class OwnSignals:
    """The adapter for heliograph's own dispatcher, which reports by itself."""

    library = OWN

    def available(self) -> bool:
        return True

    def install(self) -> Undo:
        return lambda: None

    def connected(self) -> Iterator[tuple[str, Receiver]]:
        for name, signal in signal_names.all():
            for connection in signal.receivers:
                receiver = connection.receiver()
                if receiver is not None:
                    yield signal.name or name, receiver

    def signal_names(self) -> list[str]:
        return [signal.name or name for name, signal in signal_names.all()]


_adapters: dict[str, Adapter] = {one.library: one for one in (OwnSignals(), *all_adapters())}


def adapters() -> list[Adapter]:
    """Return the adapters of all libraries that are installed."""
    return [one for one in _adapters.values() if one.available()]


class _Wanted(NamedTuple):
    """How a library is, or shall be, instrumented."""

    settings: Settings
    arguments: Mapping[str, Any]
    providers: Mapping[str, Any]

    def telemetry(self, library: str) -> Telemetry:
        return Telemetry(library, self.settings, **self.providers)


class _Installed:
    """One library, instrumented."""

    def __init__(self, adapter: Adapter, telemetry: Telemetry, wanted: _Wanted) -> None:
        self.adapter = adapter
        self.telemetry = telemetry
        self.wanted = wanted
        self._undos = (observe(telemetry), adapter.install())

    def remove(self) -> None:
        for undo in self._undos:
            undo()
        self.telemetry.close()


_installed: dict[str, _Installed] = {}


class _OwnByDefault:
    """Waits for a global provider, and observes heliograph's own signals from then on unless somebody else does."""

    def __init__(self) -> None:
        self._undo: Undo = lambda: None

    def wait(self) -> None:
        """Wait for a provider, asleep."""
        self._undo = observe(self)

    def stop(self) -> None:
        """Neither wait nor observe: somebody has instrumented these signals."""
        self._undo()

    def interested(self, site: Site) -> bool:
        return site.system == OWN

    def awake(self) -> bool:
        if is_any_provider_set():
            self._begin()
        return False

    def finished(self, dispatch: Dispatch) -> None:
        """Never told: it is asleep until another takes its place."""

    def _begin(self) -> None:
        self.stop()
        if _is_disabled():
            return
        try:
            self._undo = observe(Telemetry(OWN, Settings.load()))
        except ConfigurationError as error:
            logger.error("heliograph's own signals are not observed: %s", error)  # noqa: TRY400  # no traceback needed


def _is_disabled() -> bool:
    """Return whether OpenTelemetry's variable for its launcher switches heliograph off."""
    names = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return not {"heliograph", "*"}.isdisjoint(name.strip() for name in names)


_own_by_default = _OwnByDefault()
_own_by_default.wait()


class Instrumentation:
    """What :func:`instrument` returns: call it, or leave its ``with`` block, to undo."""

    def __init__(self, libraries: Collection[str]) -> None:
        self._libraries = tuple(libraries)

    def __call__(self) -> None:
        """Undo. Doing it twice is doing it once."""
        libraries, self._libraries = self._libraries, ()
        for library in libraries:
            _installed.pop(library).remove()
            if library == OWN:
                _own_by_default.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()


def instrument(
    *libraries: str,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    logger_provider: _logs.LoggerProvider | None = None,
    logger: Any = None,
    framework_settings: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Instrumentation:
    """Say what the signals of some libraries do: spans, metrics and structured logs of each dispatch.

    A library that is instrumented already stays as it is, so instrumenting twice is doing it once.

    Args:
        *libraries: ``django``, ``heliograph``; every installed one that has an adapter when none is named.
        tracer_provider: Where spans go; the global provider unless given.
        meter_provider: Where metrics go; the global provider unless given.
        logger_provider: Where OpenTelemetry's log events go; the global provider unless given.
        logger: The structlog logger to use; ``structlog.get_logger("heliograph")`` unless given.
        framework_settings: A framework's settings, such as Django's ``HELIOGRAPH``; arguments beat them. What was
            instrumented before they were known, with ``opentelemetry-instrument`` say, takes them over.
        **settings: As in :class:`heliograph.config.Settings`: ``level``, ``slow`` (in seconds),
            ``included_signals``, ``excluded_signals``, ``excluded_receivers``, ``levels``, ``budget``,
            ``extra_attributes``, ``exception_messages``.

    Returns:
        A function that undoes it and leaves no trace; also a context manager.

    Raises:
        ConfigurationError: If a library or a setting is unknown, or a value cannot be used.
        LibraryNotFoundError: If a library that was named is not installed.
    """
    providers = {
        "tracer_provider": tracer_provider,
        "meter_provider": meter_provider,
        "logger_provider": logger_provider,
        "logger": logger,
    }
    wanted = _Wanted(Settings.load(framework_settings, **settings), settings, providers)
    chosen = _chosen(libraries)
    if framework_settings is not None:
        _reconfigure(chosen, framework_settings)
    new = [one for one in chosen if not _is_instrumented(one.library, wanted, framework_settings)]
    telemetries = [wanted.telemetry(one.library) for one in new]  # all checked before the first is installed
    for adapter, telemetry in zip(new, telemetries, strict=True):
        if adapter.library == OWN:
            _own_by_default.stop()
        _installed[adapter.library] = _Installed(adapter, telemetry, wanted)
    return Instrumentation([adapter.library for adapter in new])


def _reconfigure(chosen: Collection[Adapter], framework_settings: Mapping[str, Any]) -> None:
    """Give what is instrumented already the framework's settings, which are known later than the environment's.

    The launcher instruments before Django has read its settings. What was given as an argument stays.
    """
    for adapter in chosen:
        old = _installed.get(adapter.library)
        if old is None:
            continue
        settings = Settings.load(framework_settings, **old.wanted.arguments)
        if settings != old.wanted.settings:
            wanted = old.wanted._replace(settings=settings)
            telemetry = wanted.telemetry(adapter.library)
            old.remove()
            _installed[adapter.library] = _Installed(adapter, telemetry, wanted)


def unmatched_patterns() -> list[Unmatched]:
    """Return the patterns in the settings now in force that match no signal or receiver known so far.

    Signals are known once their module is imported, so the answer is worth the more the later it is asked.
    """
    if not any(one.telemetry.worth.has_patterns for one in _installed.values()):
        return []  # nothing to search all modules for
    signals = [name for adapter in adapters() for name in adapter.signal_names()]
    signals += [site.name for site in known_sites()]
    receivers = [receiver_name(receiver) for adapter in adapters() for _, receiver in adapter.connected()]
    found = [one.telemetry.worth.unmatched(signals, receivers) for one in _installed.values()]
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def _chosen(libraries: Collection[str]) -> list[Adapter]:
    for library in libraries:
        if library not in _adapters:
            raise ConfigurationError(
                f"There is no adapter for {library!r}. Valid: {', '.join(_adapters)}. "
                "Flask's signals are blinker's, Scrapy's are pydispatcher's."
            )
        if not _adapters[library].available():
            raise LibraryNotFoundError(
                f"{library} was to be instrumented but is not installed. Install {library} first."
            )
    return [_adapters[library] for library in dict.fromkeys(libraries)] or adapters()


def _is_instrumented(library: str, wanted: _Wanted, framework_settings: Mapping[str, Any] | None) -> bool:
    installed = _installed.get(library)
    if installed is None:
        return False
    differs = installed.wanted.providers != wanted.providers or (
        framework_settings is None and installed.wanted.settings != wanted.settings
    )
    if differs:
        logger.warning(
            "%s is instrumented already, with other settings or providers, and stays as it is. "
            "Undo that first to change them.",
            library,
        )
    return True


def _end() -> None:
    """At the end of the process: say what is held back, and which filters did nothing."""
    for unmatched in attempt(unmatched_patterns) or ():
        logger.warning("%s", unmatched)
    for installed in _installed.values():
        installed.telemetry.flush()


atexit.register(_end)
