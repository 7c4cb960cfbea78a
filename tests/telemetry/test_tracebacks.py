"""Exceptions as text: what Python prints, fit for a log; and what is left of it where messages are not to be told."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from heliograph.telemetry.tracebacks import bare_traceback, full_traceback, message_of

HERE = __file__
BAD = "no pizza\n2026-01-01 [info] all is well\n\x1b[2J\r\x85\u2028"


class OutOfStock(Exception):
    """Raised on purpose."""


class Silent(Exception):
    """Cannot say what it is about."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Falsy(Exception):
    """Counts as nothing where one asks for its truth."""

    def __bool__(self) -> bool:
        return False


def caught(raising: Callable[[], object]) -> BaseException:
    """Return what *raising* raises."""
    try:
        raising()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def with_a_cause():
    try:
        raise KeyError("basil")
    except KeyError as error:
        raise OutOfStock("no pizza") from error


def in_a_handler():
    try:
        raise Falsy("basil")
    except Falsy:
        raise OutOfStock("no pizza")  # noqa: B904  # the point


def without_its_context():
    try:
        raise KeyError("basil")
    except KeyError:
        raise OutOfStock("no pizza") from None


def no_code():
    compile("pizza = = 1", "menu.txt", "exec")


def misspelled():
    pizzza  # type: ignore[name-defined]  # noqa: B018, F821  # the point


def deep(times: int = 20):
    if times == 0:
        raise OutOfStock("no pizza")
    deep(times - 1)


def several():
    raise BaseExceptionGroup("kitchen", [caught(with_a_cause), ExceptionGroup("oven", [ValueError("cold")])])


ALL = [with_a_cause, in_a_handler, without_its_context, no_code, misspelled, deep, several]


@pytest.mark.parametrize("raising", ALL)
def test_a_full_traceback_is_pythons(raising):
    """With causes, contexts, groups, syntax errors and suggestions, character for character."""
    error = caught(raising)

    assert full_traceback(error) == "".join(traceback.format_exception(error))


def test_no_line_of_a_message_begins_at_the_margin():
    """Neither of the message, nor of a note, nor of a name of a file; escape sequences are spelled out."""
    error = caught(lambda: exec(compile("raise OutOfStock(message)", "a\nfile", "exec"), {**globals(), "message": BAD}))
    error.add_note("a note\nTraceback (most recent call last):\n \nforged")
    printed = full_traceback(error).split("\n")

    assert [line for line in printed if line and not line.startswith(" ")] == [
        "Traceback (most recent call last):",
        f"{__name__}.OutOfStock: no pizza",
    ]
    assert printed[-8:] == [
        f"{__name__}.OutOfStock: no pizza",
        "    2026-01-01 [info] all is well",
        "    \\x1b[2J\\r\\x85\\u2028",
        "    a note",
        "    Traceback (most recent call last):",
        " ",
        "    forged",
        "",
    ]
    assert not [char for char in "".join(printed) if not char.isprintable()]


def frames(*places: tuple[int, str]) -> str:
    return "".join(f'  File "{HERE}", line {line}, in {name}\n' for line, name in places)


def line_of(function: Callable[..., object], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


CAUGHT = line_of(caught, 3)


@pytest.mark.parametrize(
    ("raising", "joint", "first"),
    [
        (with_a_cause, "The above exception was the direct cause of the following exception:", "KeyError"),
        (in_a_handler, "During handling of the above exception, another exception occurred:", f"{__name__}.Falsy"),
    ],
)
def test_a_bare_traceback_has_types_and_frames_of_all_that_led_to_it(raising, joint, first):
    """In the order and with the words that Python has for it, and not a word of what was said."""
    header = "Traceback (most recent call last):\n"

    assert bare_traceback(caught(raising)) == (
        f"{header}{frames((line_of(raising, 2), raising.__name__))}{first}\n\n{joint}\n\n"
        f"{header}{frames((CAUGHT, 'caught'), (line_of(raising, 4), raising.__name__))}{__name__}.OutOfStock\n"
    )


def test_a_bare_traceback_keeps_to_what_python_shows():
    """A context that was suppressed stays so."""
    assert "KeyError" not in bare_traceback(caught(without_its_context))


def test_a_bare_traceback_of_a_group_has_its_members():
    """Nested ones too, each with what led to it."""
    printed = bare_traceback(caught(several))

    assert [line for line in printed.splitlines() if "File" not in line] == [
        "Traceback (most recent call last):",
        "ExceptionGroup",
        "  +- 1 of 2",
        "  |  Traceback (most recent call last):",
        "  |  KeyError",
        "  |  ",
        "  |  The above exception was the direct cause of the following exception:",
        "  |  ",
        "  |  Traceback (most recent call last):",
        f"  |  {__name__}.OutOfStock",
        "  +- 2 of 2",
        "  |  ExceptionGroup",
        "  |    +- 1 of 1",
        "  |    |  ValueError",
    ]


def test_a_bare_traceback_is_short_where_frames_repeat():
    """As Python's is."""
    printed = bare_traceback(caught(deep))

    assert printed.count(", in deep") == 4
    assert "  [Previous line repeated 17 more times]\n" in printed


@pytest.mark.parametrize("raising", ALL)
@pytest.mark.parametrize("word", ["basil", "pizza", "kitchen", "oven", "cold", "menu", "raise", "Did you mean"])
def test_a_bare_traceback_quotes_nothing(raising, word):
    """No message, no suggestion, no line of source, nothing of the text of a syntax error."""
    printed = bare_traceback(caught(raising)).replace(HERE, "").replace(misspelled.__name__, "")

    assert word not in printed


def test_chains_and_groups_without_an_end_come_to_one():
    """A chain that bites its tail, one of a thousand links, and a group thirty deep with a thousand members."""
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__context__ = second, first
    assert bare_traceback(first) == (
        "KeyError\n\nThe above exception was the direct cause of the following exception:\n\nValueError\n"
    )

    link = TypeError()
    for _ in range(1000):
        longer = TypeError()
        longer.__cause__, link = link, longer
    assert bare_traceback(link).count("TypeError") == 100

    group: ExceptionGroup[Exception] = ExceptionGroup("", [ValueError() for _ in range(1000)])
    assert bare_traceback(group).count("ValueError") == 15
    for _ in range(30):
        group = ExceptionGroup("", [group])
    assert bare_traceback(group).count("ExceptionGroup") == 11


def test_an_exception_that_cannot_speak_is_told_without_its_words():
    """Its ``__str__`` is other people's code."""
    error = caught(lambda: (_ for _ in ()).throw(Silent()))

    assert message_of(error) == ""
    assert full_traceback(error).endswith(f"{__name__}.Silent: <exception str() failed>\n")
    assert bare_traceback(error).endswith(f"{__name__}.Silent\n")
    assert message_of(ValueError("cold")) == "cold"
