"""Text that cannot steer what shows it: a terminal, a log of lines."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str, *, keep: str = "") -> str:
    """Return *text* with all that is no visible character spelled out: line breaks, escape sequences, lone surrogates.

    Args:
        text: Any text, as it comes from a program or a file.
        keep: Characters to leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode() for char in text
    )
