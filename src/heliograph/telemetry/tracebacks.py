"""Exceptions as text: as Python prints them, or without a word of what they say."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType

from heliograph.fanout.describe import error_type
from heliograph.fanout.plain import plain

__all__ = ["bare_traceback", "full_traceback", "message_of"]

_HEADER = "Traceback (most recent call last):\n"
_BECAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"

_LONGEST_CHAIN = 100
_MOST_MEMBERS = 15
_DEEPEST = 10


def message_of(error: BaseException) -> str:
    """Return what *error* says, as far as its ``__str__`` works, in characters that can be encoded."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # an exception's __str__ is other people's code
        return ""


def full_traceback(error: BaseException) -> str:
    """Return the traceback of *error* as Python prints it, fit for a log.

    What the exception says may come from anywhere. No escape sequence of it gets through, and none of its lines
    begins at the margin, where it could pass for a line of the log.
    """
    try:
        parts = traceback.format_exception(error)
    except Exception:  # an exception's __str__ is other people's code
        return bare_traceback(error)
    return plain("".join(_set_off(parts)), keep="\n\t")


def bare_traceback(error: BaseException) -> str:
    """Return the traceback of *error* and of all that led to it: the types and the frames.

    Left out is whatever may hold data: messages, notes, the text of a syntax error, and lines of source, which
    quote the message that they raise.
    """
    return plain("".join(_chain(error, 0)), keep="\n")


def _set_off(parts: Iterable[str]) -> Iterator[str]:
    """Yield the *parts* of a traceback, indented where they are further lines of a message, or notes."""
    is_due = True  # the line that names the exception, which is Python's own and begins at the margin
    for part in parts:
        first, *further = part.split("\n")
        if part in (_BECAUSE, _MEANWHILE):
            is_due = True
        elif part != _HEADER or not is_due:
            further = [_indented(line) for line in further]
            if not part.startswith(" "):
                first = first if is_due else _indented(first)
                is_due = False
        yield "\n".join([first, *further])


def _indented(line: str) -> str:
    return line if not line or line.startswith(" ") else f"    {line}"


def _chain(error: BaseException, depth: int) -> Iterator[str]:
    """Yield the parts of the traceback of *error*, after those of what it came of."""
    chain, joints, seen = [error], [""], {id(error)}
    while len(chain) < _LONGEST_CHAIN:
        earlier, joint = _came_of(chain[-1])
        if earlier is None or id(earlier) in seen:
            break
        seen.add(id(earlier))
        chain.append(earlier)
        joints.append(joint)
    for one, joint in zip(reversed(chain), [*reversed(joints[1:]), ""], strict=True):
        yield from _one(one, depth)
        yield joint


def _came_of(error: BaseException) -> tuple[BaseException | None, str]:
    """Return the exception that *error* came of, and the words that stand between the two."""
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__, _BECAUSE
    return error.__context__, _MEANWHILE


def _one(error: BaseException, depth: int) -> Iterator[str]:
    if error.__traceback__ is not None:
        yield _HEADER
        yield from _frames(error.__traceback__)
    yield f"{error_type(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        members = error.exceptions if depth < _DEEPEST else ()
        for number, member in enumerate(members[:_MOST_MEMBERS], 1):
            yield f"  +- {number} of {len(members)}\n"
            yield textwrap.indent("".join(_chain(member, depth + 1)), "  |  ", lambda _: True)


def _frames(trace: TracebackType) -> list[str]:
    entries = [(frame.f_code.co_filename, line, frame.f_code.co_name, "") for frame, line in traceback.walk_tb(trace)]
    return traceback.StackSummary.from_list(entries).format()
