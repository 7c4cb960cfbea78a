"""Words and numbers: safe to print, and no longer than there is room for."""

from __future__ import annotations

import pytest

from heliograph.report.text import number, per_cent, plain, seconds, short_signals, shorten


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop.receivers.index", "shop.receivers.index"),
        ("größe.東京", "größe.東京"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
        ("\u2028", "\\u2028"),
    ],
)
def test_what_is_no_visible_character_is_spelled_out(text, expected):
    """No name, from a program or a file, can steer a terminal."""
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.00 µs"),
        (1.5e-6, "1.50 µs"),
        (0.0009994, "999 µs"),
        (0.0009996, "1.00 ms"),
        (0.0123, "12.3 ms"),
        (0.99949, "999 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (123.4, "123 s"),
        (12345, "12,345 s"),
    ],
)
def test_durations_have_three_digits(value, expected):
    """The unit is the one that needs the fewest digits."""
    assert seconds(value) == expected


def test_shares_are_in_per_cent():
    """Little is less than one per cent, and not nothing."""
    assert [per_cent(part) for part in (0, 0.004, 0.01, 0.5, 1, 1.2)] == ["0%", "<1%", "1%", "50%", "100%", "100%"]


def test_counts_agree_with_their_nouns():
    """One dispatch, two dispatches."""
    assert [number(1, "dispatch"), number(2000, "dispatch"), number(0, "request")] == [
        "1 dispatch",
        "2,000 dispatches",
        "0 requests",
    ]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (40, "shop.orders.receivers.Printer.print_it"),
        (37, "shop…receivers.Printer.print_it"),
        (28, "…receivers.Printer.print_it"),
        (25, "shop…Printer.print_it"),
        (18, "…Printer.print_it"),
        (13, "shop…print_it"),
        (10, "…print_it"),
        (8, "print_it"),
        (5, "prin…"),
    ],
)
def test_long_names_lose_their_middle_then_their_beginning(room, expected):
    """The end of a dotted name says the most, and goes last."""
    assert shorten("shop.orders.receivers.Printer.print_it", room) == expected


def test_wide_characters_take_two_cells():
    """Room is cells of the terminal, not characters."""
    assert shorten("店.受信.印刷", 12) == "店.受信.印刷"
    assert shorten("店.受信.印刷", 11) == "店…印刷"


def test_signals_are_as_short_as_they_are_distinct():
    """The last segment is enough where no other signal ends in it."""
    assert short_signals(["django.db.models.signals.post_save", "shop.a.paid", "shop.b.paid", "paid"]) == {
        "django.db.models.signals.post_save": "post_save",
        "shop.a.paid": "a.paid",
        "shop.b.paid": "b.paid",
        "paid": "paid",
    }
