"""Receivers that do what they should not: the sends that call them come to what they would unobserved."""

from __future__ import annotations

import django.dispatch
import pytest

TIMES = 2400


@pytest.mark.parametrize(
    "variant",
    [
        "BaseException from a receiver",
        "weak receiver dies during its send",
        "signals with a send of their own",
        "cancelled and timed out",
    ],
)
def test_no_send_is_lost_or_changed(compare, variant):
    """Results, errors, who lives and who was cleaned up; and nothing is left behind."""
    observed = compare("receivers", variant, times=TIMES)

    assert observed["sends"] >= TIMES // 2
    assert observed["spans"] > observed["sends"] // 2
    assert observed["grown"] < observed["sends"] // 4  # one block a send would be twice that


def test_sends_that_nest_200_deep(compare):
    """A receiver sends its own signal again: each level has its spans, under ``send`` up to the one that raised."""
    observed = compare("receivers", "200 sends deep", times=TIMES)

    assert observed["spans"] == observed["sends"] // 2 * 2 * (201 + 51)
    assert observed["grown"] < observed["spans"] // 4


def test_django_has_awaited_sends_where_they_are_tried():
    """Django 4.2 has none: there heliograph's own are."""
    assert hasattr(django.dispatch.Signal, "asend") == (django.VERSION >= (5, 0))
