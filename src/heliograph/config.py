"""Settings: parsed once, checked once, frozen.

Where one is given in several places, an argument beats the framework's settings (Django's ``HELIOGRAPH``),
these beat the environment, and that beats the default.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from heliograph.errors import ConfigurationError

__all__ = ["ENVIRONMENT_PREFIX", "EXTRA_ATTRIBUTES", "Level", "Settings"]

ENVIRONMENT_PREFIX = "OTEL_PYTHON_HELIOGRAPH_"

EXTRA_ATTRIBUTES = (
    "code.file.path",
    "code.line.number",
    "heliograph.receiver.dispatch_uid",
    "heliograph.sender.name",
    "heliograph.signal.argument_names",
)


class Level(enum.IntEnum):
    """How much is said about a signal or a receiver, from nothing to everything."""

    OFF = 0
    ERRORS = 1
    SLOW = 2
    ALL = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a value was found, for error messages."""

    name: str

    def refuse(self, value: object, valid: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name} cannot be {value!r}. Valid: {valid}.")


Parser = Callable[[Any, _Source], Any]


def _level(value: Any, source: _Source) -> Level:
    if isinstance(value, Level):
        return value
    if isinstance(value, str) and value.strip().upper() in Level.__members__:
        return Level[value.strip().upper()]
    raise source.refuse(value, "off, errors, slow, all")


def _seconds(value: Any, source: _Source) -> float:
    valid = "a number of seconds that is zero or more, such as 0.1"
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        raise source.refuse(value, valid) from None
    if not 0 <= seconds < math.inf:  # NaN compares false with everything
        raise source.refuse(value, valid)
    return seconds


def _count(value: Any, source: _Source) -> int:
    valid = "a whole number that is zero or more, such as 100"
    try:
        count = -1 if isinstance(value, (bool, float)) else int(value)
    except (TypeError, ValueError):
        raise source.refuse(value, valid) from None
    if count < 0:
        raise source.refuse(value, valid)
    return count


_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _flag(value: Any, source: _Source) -> bool:
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise source.refuse(value, "true or false")
    return found


def _patterns(value: Any, source: _Source) -> tuple[str, ...]:
    valid = "dotted names, * for any part, such as shop.receivers.* (a list, or one string with commas)"
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, Collection) or isinstance(names, (bytes, Mapping)):
        raise source.refuse(value, valid)
    stripped = [name.strip() if isinstance(name, str) else name for name in names]
    for name in stripped:
        if not isinstance(name, str) or (name and not _is_pattern(name)):
            raise source.refuse(name, valid)
    return tuple(name for name in stripped if name)


def _is_pattern(name: str) -> bool:
    return not any(character.isspace() or character in "=?[]" for character in name)


def _levels(value: Any, source: _Source) -> Mapping[str, Level]:
    if isinstance(value, str):
        value = dict(_assignments(value, source))
    if not isinstance(value, Mapping):
        raise source.refuse(value, "levels by dotted name, such as {'shop.*': 'slow'}")
    levels = {}
    for pattern, level in value.items():
        (name,) = _patterns([pattern], source) or ("",)
        if not name:
            raise source.refuse(pattern, "dotted names, * for any part")
        levels[name] = _level(level, _Source(f"{source.name} for {name}"))
    return MappingProxyType(levels)


def _assignments(text: str, source: _Source) -> Iterator[tuple[str, str]]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        pattern, separator, level = part.partition("=")
        if not separator:
            raise source.refuse(part, "pairs of name=level with commas between, such as shop.*=slow")
        yield pattern.strip(), level.strip()


def _extra_attributes(value: Any, source: _Source) -> frozenset[str]:
    names = _patterns(value, source)
    for name in names:
        if name not in EXTRA_ATTRIBUTES:
            raise source.refuse(name, ", ".join(EXTRA_ATTRIBUTES))
    return frozenset(names)


@dataclass(frozen=True)
class Settings:
    """What is worth saying. Make one with :meth:`load`, which parses and checks.

    Attributes:
        level: How much is said about what nothing below speaks of.
        slow: From how many seconds on a receiver, or a dispatch, is slow.
        levels: Levels by the dotted name of a signal or a receiver; the longest matching name decides.
        included_signals: If any, only these signals are observed.
        excluded_signals: Signals that are not observed.
        excluded_receivers: Receivers of which nothing is said.
        budget: How many dispatches of one signal under one parent span have spans of their own; those
            beyond are rolled up into one.
        extra_attributes: Attributes that are left out unless named here: see ``EXTRA_ATTRIBUTES``.
        exception_messages: Whether to tell what exceptions say. Where that may be personal data, False leaves their
            types and their frames.

    Patterns are dotted names in which ``*`` stands for anything, dots included. One without a dot is matched
    with the last segment alone: ``post_save``.
    """

    level: Level = Level.ALL
    slow: float = 0.1
    levels: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({}))
    included_signals: tuple[str, ...] = ()
    excluded_signals: tuple[str, ...] = ()
    excluded_receivers: tuple[str, ...] = ()
    budget: int = 100
    extra_attributes: frozenset[str] = frozenset()
    exception_messages: bool = True

    @classmethod
    def load(cls, framework: Mapping[str, Any] | None = None, /, **arguments: Any) -> Settings:
        """Return the settings from *arguments*, the *framework*'s settings and the environment, checked.

        Args:
            framework: A mapping such as Django's ``HELIOGRAPH``, its keys in upper or lower case.
            **arguments: Settings by name; None counts as not given.

        Raises:
            ConfigurationError: If a setting is unknown, or has a value that cannot be used. Names where it
                was found, the value, and what is valid.
        """
        found = {**_from_environment(), **_from_framework(framework or {})}
        found.update((name, (value, _Source(f"{name}="))) for name, value in arguments.items() if value is not None)
        for name, (_, source) in found.items():
            if name not in _PARSERS:
                raise ConfigurationError(_unknown(name, source))
        return cls(**{name: _PARSERS[name](value, source) for name, (value, source) in found.items()})


_PARSERS: dict[str, Parser] = {
    "level": _level,
    "slow": _seconds,
    "levels": _levels,
    "included_signals": _patterns,
    "excluded_signals": _patterns,
    "excluded_receivers": _patterns,
    "budget": _count,
    "extra_attributes": _extra_attributes,
    "exception_messages": _flag,
}


def _from_environment() -> dict[str, tuple[Any, _Source]]:
    found = {}
    for name in _PARSERS:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if os.environ.get(variable, "").strip():  # OpenTelemetry: an empty variable counts as unset
            found[name] = (os.environ[variable], _Source(variable))
    for variable, value in os.environ.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if variable.startswith(ENVIRONMENT_PREFIX) and name not in _PARSERS:
            found[name] = (value, _Source(variable))  # to be refused: a slip of the pen
    return found


def _from_framework(settings: Mapping[str, Any]) -> dict[str, tuple[Any, _Source]]:
    if not isinstance(settings, Mapping):
        raise _Source("HELIOGRAPH").refuse(settings, "a dict of settings, such as {'LEVEL': 'slow'}")
    return {str(key).lower(): (value, _Source(f"HELIOGRAPH[{key!r}]")) for key, value in settings.items()}


def _unknown(name: str, source: _Source) -> str:
    close = get_close_matches(name, _PARSERS, n=1)
    guess = f" Did you mean {close[0]}?" if close else ""
    return f"{source.name.removesuffix('=')} is no setting of heliograph.{guess} Settings: {', '.join(_PARSERS)}."
