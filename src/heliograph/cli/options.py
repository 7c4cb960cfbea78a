"""The options that ``run`` and ``demo`` share, checked before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from heliograph.config import Settings
from heliograph.errors import ConfigurationError

__all__ = ["Options", "observing_options"]

F = TypeVar("F", bound=Callable[..., Any])

LEVELS = ("off", "errors", "slow", "all")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about observing.

    Attributes:
        level, slow: As given, or None; the environment and the defaults fill in.
        settings: What these and the environment come to.
        exception_messages: False if what exceptions say shall not be exported, else None.
        otlp: Where to export to, if anywhere.
        save: Where to save the report, if anywhere.
    """

    level: str | None
    slow: float | None
    exception_messages: bool | None
    settings: Settings
    otlp: str | None
    save: Path | None

    @classmethod
    def of(cls, *, otlp: str | None, save: Path | None, **given: Any) -> Options:
        """Return the options.

        Args:
            otlp: Where to export to, if anywhere.
            save: Where to save the report, if anywhere.
            **given: ``level``, ``slow`` and ``exception_messages``, each a value or None.

        Raises:
            click.UsageError: If an option, or a setting in the environment, has a value that cannot be used.
        """
        try:
            return cls(settings=Settings.load(**given), otlp=otlp, save=save, **given)
        except ConfigurationError as error:
            raise click.UsageError(re.sub(r"^(\w+)=", r"--\1", str(error))) from None

    def arguments(self) -> list[str]:
        """Return them as they would be typed."""
        given = {"--level": self.level, "--slow": self.slow, "--otlp": self.otlp, "--save": self.save}
        words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        return words if self.exception_messages is None else [*words, "--no-exception-messages"]


def observing_options(command: F) -> F:
    """Give *command* the options that say how to observe and where to show it."""
    for option in (
        click.option(
            "--save", metavar="FILE", callback=_path_to_save, help="Save the report as JSON, do not print it."
        ),
        click.option(
            "--otlp", metavar="URL", callback=_url, help="Export spans and metrics as well, by OTLP over HTTP."
        ),
        click.option(
            "--no-exception-messages",
            "exception_messages",
            is_flag=True,
            callback=_false_if_given,
            help="Export what was raised and where, not what it says.",
        ),
        click.option("--slow", metavar="SECONDS", type=click.FloatRange(min=0), help="What counts as slow (0.1)."),
        click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), help="What is shown (all)."),
    ):
        command = option(command)
    return command


def _false_if_given(_: click.Context, __: click.Parameter, value: bool) -> bool | None:
    return False if value else None


def _path_to_save(_: click.Context, __: click.Parameter, value: str | None) -> Path | None:
    if value is None:
        return None
    path = Path(value).absolute()  # the program may change the working folder
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(path.parent)!r} to save in. Create it first.")
    if path.is_dir():
        raise click.BadParameter(f"{value!r} is a folder. Name a file in it.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.BadParameter(f"{value!r} cannot be written. Choose another file.")
    return path


def _url(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        usable = False
    if not usable:
        raise click.BadParameter(f"{value!r} is no HTTP address. Pass one such as http://127.0.0.1:4318.")
    return value.rstrip("/")
