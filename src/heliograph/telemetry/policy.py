"""What is worth saying: levels and filters by name, and what counts as slow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from heliograph.config import Level, Settings
from heliograph.fanout.describe import receiver_name
from heliograph.fanout.facts import Dispatch, ReceiverCall, Site

__all__ = ["Patterns", "Unmatched", "Worth"]

# Sent for each instance of each model, or while modules are imported: far more often than anything listens.
_QUIET_SIGNALS: dict[str, Level] = {
    "django.db.models.signals.class_prepared": Level.OFF,
    "django.db.models.signals.post_init": Level.OFF,
    "django.db.models.signals.pre_init": Level.OFF,
}

# Sent several times a request, heard or not, and in part outside of its span: worth a span only if somebody listens.
_QUIET_UNHEARD = "flask.signals.*"

# Django's own house-keeping is shown when it hurts; what OpenTelemetry and heliograph connect is telemetry itself.
_QUIET_RECEIVERS = {
    "heliograph.*": Level.OFF,
    "opentelemetry.*": Level.OFF,
    "django.core.cache.close_caches": Level.SLOW,
    "django.core.files.uploadhandler.*": Level.SLOW,
    "django.core.handlers.base.reset_urlconf": Level.SLOW,
    "django.db.close_old_connections": Level.SLOW,
    "django.db.reset_queries": Level.SLOW,
    "django.template.autoreload.*": Level.SLOW,
    "django.test.signals.*": Level.SLOW,
    "django.utils.translation.reloader.*": Level.SLOW,
}


class Patterns:
    """Values by pattern. The longest pattern that matches a name decides; an exact one before any with ``*``."""

    def __init__(self, values: Mapping[str, Level]) -> None:
        ordered = sorted(values.items(), key=lambda item: ("*" in item[0], -len(item[0])))
        self._values = [(pattern, _compiled(pattern), level) for pattern, level in ordered]

    def find(self, name: str) -> tuple[str, Level] | None:
        """Return the deciding pattern and its value, or None when nothing matches *name*."""
        for pattern, compiled, level in self._values:
            if compiled.fullmatch(name):
                return pattern, level
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    text = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.compile(text if "." in pattern or "*" in pattern else rf"(?:.*\.)?{text}")


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A pattern that matches nothing known: most likely a slip of the pen.

    Attributes:
        setting: The setting that holds it.
        pattern: The pattern.
        close: Known names that look like it, the likeliest first.
    """

    setting: str
    pattern: str
    close: tuple[str, ...]

    def __str__(self) -> str:
        guess = f" Did you mean {' or '.join(self.close)}?" if self.close else ""
        return f"{self.setting}: {self.pattern!r} matches nothing that is known here.{guess}"


def is_worth(level: Level, *, failed: bool, slow: bool) -> bool:
    """Return whether something that failed, was slow, or neither, is worth saying at *level*."""
    if level is Level.SLOW:
        return failed or slow
    return level is Level.ALL or (level is Level.ERRORS and failed)


class Worth:
    """Decides, from settings, what is worth saying about signals and receivers. Answers are cached by name.

    Attributes:
        settings: The settings.
        slow: From how many nanoseconds on something is slow.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.slow = int(settings.slow * 1e9)
        self._levels = Patterns(settings.levels)
        self._included = Patterns(dict.fromkeys(settings.included_signals, settings.level))
        self._excluded = Patterns(dict.fromkeys(settings.excluded_signals, Level.OFF))
        self._excluded_receivers = Patterns(dict.fromkeys(settings.excluded_receivers, Level.OFF))
        self._signals: dict[str, Level] = {}
        self._receivers: dict[str, tuple[Level | None, Level]] = {}

    def signal_level(self, site: Site) -> Level:
        """Return how much is said about a signal."""
        return self.level_of(site.name)

    def level_of(self, signal_name: str) -> Level:
        """Return how much is said about the signal of that name."""
        if signal_name not in self._signals:
            self._signals[signal_name] = self._find_signal_level(signal_name)
        return self._signals[signal_name]

    def unheard_level(self, signal_name: str) -> Level:
        """Return how much is said about a dispatch of the signal of that name that nobody hears."""
        level = self.level_of(signal_name)
        chosen = self._levels.find(signal_name) or self._included.find(signal_name)
        return level if chosen or not _unheard.find(signal_name) else min(level, Level.SLOW)

    def dispatch_level(self, dispatch: Dispatch) -> Level:
        """Return how much is said about a dispatch: no more than about the most talkative of its receivers."""
        if dispatch.receivers is not None and not dispatch.receivers:
            return self.unheard_level(dispatch.site.name)
        level = self.signal_level(dispatch.site)
        levels = [self.receiver_level(receiver_name(receiver), level) for receiver in dispatch.receivers or ()]
        return min(level, max(levels, default=level))

    def call_level(self, call: ReceiverCall) -> Level:
        """Return how much is said about a call of a receiver."""
        return self.receiver_level(receiver_name(call.receiver), self.signal_level(call.dispatch.site))

    def is_slow(self, fact: Dispatch | ReceiverCall) -> bool:
        """Return whether it took at least as long as what counts as slow."""
        return fact.ended is not None and fact.ended - fact.began >= self.slow

    def deserves_span(self, fact: Dispatch | ReceiverCall, level: Level) -> bool:
        """Return whether a finished dispatch or call is worth a span, or a line, at *level*."""
        return is_worth(level, failed=fact.failed, slow=self.is_slow(fact))

    @property
    def has_patterns(self) -> bool:
        """Return whether the settings speak of any signal or receiver by name."""
        settings = self.settings
        return bool(
            settings.levels or settings.included_signals or settings.excluded_signals or settings.excluded_receivers
        )

    def unmatched(self, signals: Iterable[str], receivers: Iterable[str]) -> list[Unmatched]:
        """Return the patterns that match none of the known names: a filter that matches nothing does nothing."""
        signals, receivers = sorted(set(signals)), sorted(set(receivers))
        settings = self.settings
        groups = (
            ("included_signals", settings.included_signals, signals),
            ("excluded_signals", settings.excluded_signals, signals),
            ("excluded_receivers", settings.excluded_receivers, receivers),
            ("levels", tuple(settings.levels), [*signals, *receivers]),
        )
        return [
            Unmatched(setting, pattern, _close(pattern, names))
            for setting, patterns, names in groups
            for pattern in patterns
            if not any(_compiled(pattern).fullmatch(name) for name in names)
        ]

    def _find_signal_level(self, name: str) -> Level:
        if self._excluded.find(name):
            return Level.OFF
        if found := self._levels.find(name):
            return found[1]
        included = self._included.find(name)
        if self.settings.included_signals and not included:
            return Level.OFF
        if included and "*" not in included[0]:
            return self.settings.level  # asked for by name, whatever it is by default
        return min(self.settings.level, _QUIET_SIGNALS.get(name, Level.ALL))

    def receiver_level(self, name: str, signal_level: Level) -> Level:
        """Return how much is said about a receiver of a signal of which *signal_level* is said."""
        if signal_level is Level.OFF:
            return signal_level
        if name not in self._receivers:
            self._receivers[name] = self._find_receiver_level(name)
        chosen, most = self._receivers[name]
        return min(most, signal_level) if chosen is None else chosen

    def _find_receiver_level(self, name: str) -> tuple[Level | None, Level]:
        """Return the level chosen for a receiver, if any, and else the most that may be said about it."""
        if self._excluded_receivers.find(name):
            return Level.OFF, Level.OFF
        chosen, quiet = self._levels.find(name), _quiet_receivers.find(name)
        return chosen[1] if chosen else None, quiet[1] if quiet else Level.ALL


_quiet_receivers = Patterns(_QUIET_RECEIVERS)
_unheard = Patterns({_QUIET_UNHEARD: Level.SLOW})


def _close(pattern: str, names: Iterable[str]) -> tuple[str, ...]:
    wanted = pattern.replace("*", "").strip(".")
    by_last_segment = {name.rpartition(".")[2]: name for name in names}
    close = get_close_matches(wanted, list(by_last_segment.values()), n=2) or [
        by_last_segment[last] for last in get_close_matches(wanted.rpartition(".")[2], list(by_last_segment), n=2)
    ]
    return tuple(close)
