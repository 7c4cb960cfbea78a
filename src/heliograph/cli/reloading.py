"""Programs that start themselves again: the new process is observed as well, and it is the one that reports."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["follow_reloads"]

_OF_THE_INTERPRETER = ("-W", "-X")


def follow_reloads(arguments: Sequence[str], handed_over: Callable[[], None]) -> None:
    """Make Django's autoreloader start ``heliograph run`` in place of the plain program.

    ``manage.py runserver`` does its work in a child process, which it starts with the command line of the
    parent as far as that can be found out. The program would find itself, without us.

    Args:
        arguments: The options of ``heliograph run``.
        handed_over: Called when the program is about to be started again.
    """
    if importlib.util.find_spec("django") is None:
        return
    autoreload: Any = importlib.import_module("django.utils.autoreload")
    original = autoreload.get_child_arguments

    def get_child_arguments() -> list[str]:
        handed_over()
        return observed(original(), arguments)

    autoreload.get_child_arguments = get_child_arguments


def observed(command: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the *command* that runs a program under Python with ``heliograph run`` between the two."""
    start = 1
    while start < len(command) and command[start].startswith(_OF_THE_INTERPRETER):
        start += 1
    return [*command[:start], "-m", "heliograph", "run", *arguments, *command[start:]]
