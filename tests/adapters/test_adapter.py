"""Attributes replaced for as long as anybody needs them."""

from __future__ import annotations

from heliograph.adapters.adapter import Patches, replace


class Dispatcher:
    """A class whose methods are replaced."""

    def send(self):
        return "original"


ORIGINAL = Dispatcher.__dict__["send"]


def replacement(self):
    return "replacement"


def patches():
    return Patches(lambda: [replace(Dispatcher, "send", replacement)])


def test_a_replaced_attribute_comes_back():
    """The very object."""
    undo = replace(Dispatcher, "send", replacement)
    assert Dispatcher().send() == "replacement"
    undo()
    assert Dispatcher.__dict__["send"] is ORIGINAL
    undo()
    assert Dispatcher.__dict__["send"] is ORIGINAL


def test_what_somebody_else_has_replaced_since_stays():
    """Taking ours out would take theirs out."""

    def theirs(self):
        return "theirs"

    undo = replace(Dispatcher, "send", replacement)
    Dispatcher.send = theirs  # type: ignore[method-assign]
    undo()
    assert Dispatcher.__dict__["send"] is theirs
    Dispatcher.send = ORIGINAL  # type: ignore[method-assign]


def test_patches_are_applied_by_the_first_and_undone_by_the_last():
    """Whatever the order in which they let go."""
    shared = patches()
    first, second = shared.hold(), shared.hold()
    assert Dispatcher().send() == "replacement"
    first()
    assert Dispatcher().send() == "replacement"
    second()
    assert Dispatcher.__dict__["send"] is ORIGINAL


def test_letting_go_twice_is_letting_go_once():
    """The second time does not count for somebody else."""
    shared = patches()
    first, second = shared.hold(), shared.hold()
    first()
    first()
    assert Dispatcher().send() == "replacement"
    second()
    second()
    assert Dispatcher.__dict__["send"] is ORIGINAL


def test_patches_can_be_applied_again():
    """After all have let go."""
    shared = patches()
    shared.hold()()
    undo = shared.hold()
    assert Dispatcher().send() == "replacement"
    undo()
    assert Dispatcher.__dict__["send"] is ORIGINAL
