"""Settings: where they come from, which wins, and what is said of a wrong one."""

from __future__ import annotations

import dataclasses

import pytest

from heliograph.config import ENVIRONMENT_PREFIX, EXTRA_ATTRIBUTES, Level, Settings
from heliograph.errors import ConfigurationError, HeliographError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """The environment says nothing unless a test has it speak."""
    for one in dataclasses.fields(Settings):
        monkeypatch.delenv(ENVIRONMENT_PREFIX + one.name.upper(), raising=False)


def test_defaults_are_those_of_the_documentation():
    """Everything, slow from a tenth of a second, a budget of a hundred, nothing extra."""
    assert vars(Settings.load()) == {
        "level": Level.ALL,
        "slow": 0.1,
        "levels": {},
        "included_signals": (),
        "excluded_signals": (),
        "excluded_receivers": (),
        "budget": 100,
        "extra_attributes": frozenset(),
        "exception_messages": True,
    }


def test_settings_are_frozen():
    """They are parsed once and hold for good."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.load().level = Level.OFF  # type: ignore[misc]
    with pytest.raises(TypeError):
        Settings.load(levels={"shop.*": "slow"}).levels["shop.*"] = Level.OFF  # type: ignore[index]


def test_arguments_beat_the_framework_which_beats_the_environment(monkeypatch):
    """And a default is the last to be asked."""
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_LEVEL", "errors")
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_SLOW", "1")
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_BUDGET", "1")
    found = Settings.load({"SLOW": 2, "BUDGET": 2}, budget=3)

    assert (found.level, found.slow, found.budget) == (Level.ERRORS, 2.0, 3)


def test_an_argument_of_none_is_not_given(monkeypatch):
    """So that callers can pass on what they got."""
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_LEVEL", "errors")

    assert Settings.load(level=None).level is Level.ERRORS


@pytest.mark.parametrize("value", ["", "   "])
def test_an_empty_variable_is_not_set(monkeypatch, value):
    """As OpenTelemetry has it."""
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_LEVEL", value)

    assert Settings.load().level is Level.ALL


def test_the_environment_speaks_of_every_setting(monkeypatch):
    """In text: lists with commas, levels with equal signs."""
    values = {
        "LEVEL": "Slow",
        "SLOW": " 0.25 ",
        "LEVELS": "shop.*=errors, post_save = off",
        "INCLUDED_SIGNALS": "shop.*, post_save,",
        "EXCLUDED_SIGNALS": "pre_save",
        "EXCLUDED_RECEIVERS": "shop.receivers.reindex",
        "BUDGET": "7",
        "EXTRA_ATTRIBUTES": "heliograph.sender.name, code.file.path",
        "EXCEPTION_MESSAGES": " False ",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"OTEL_PYTHON_HELIOGRAPH_{name}", value)

    assert vars(Settings.load()) == {
        "level": Level.SLOW,
        "slow": 0.25,
        "levels": {"shop.*": Level.ERRORS, "post_save": Level.OFF},
        "included_signals": ("shop.*", "post_save"),
        "excluded_signals": ("pre_save",),
        "excluded_receivers": ("shop.receivers.reindex",),
        "budget": 7,
        "extra_attributes": frozenset({"heliograph.sender.name", "code.file.path"}),
        "exception_messages": False,
    }


def test_the_framework_may_use_either_case():
    """``HELIOGRAPH = {"LEVEL": ...}`` as Django's settings are, or as the arguments are."""
    assert Settings.load({"LEVEL": "off", "slow": 3}).level is Level.OFF
    assert Settings.load({"LEVEL": "off", "slow": 3}).slow == 3.0


@pytest.mark.parametrize("value", [Level.SLOW, "slow", " SLOW "])
def test_a_level_is_a_member_or_its_name(value):
    """In any case."""
    assert Settings.load(level=value).level is Level.SLOW
    assert str(Level.SLOW) == "slow"


@pytest.mark.parametrize("value", ["a, b", ["a", "b"], ("a", " b "), {"a": 0, "b": 0}.keys()])
def test_patterns_are_a_list_or_a_text_with_commas(value):
    """Whatever holds them."""
    assert Settings.load(excluded_signals=value).excluded_signals == ("a", "b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), *((word, True) for word in ("true", "1", "YES", " on "))]
    + [(word, False) for word in ("False", "0", "no", " OFF ")],
)
def test_a_flag_is_a_bool_or_a_word_for_one(value, expected):
    """In any case."""
    assert Settings.load(exception_messages=value).exception_messages is expected


LEVELS = "off, errors, slow, all"
SECONDS = "a number of seconds that is zero or more, such as 0.1"
COUNT = "a whole number that is zero or more, such as 100"
NAMES = "dotted names, * for any part, such as shop.receivers.* (a list, or one string with commas)"
WRONG = [
    ("level", "verbose", "verbose", LEVELS),
    ("level", 3, 3, LEVELS),
    ("level", True, True, LEVELS),
    ("level", ["all"], ["all"], LEVELS),
    ("slow", "soon", "soon", SECONDS),
    ("slow", -0.1, -0.1, SECONDS),
    ("slow", float("nan"), float("nan"), SECONDS),
    ("slow", float("inf"), float("inf"), SECONDS),
    ("slow", "nan", "nan", SECONDS),
    ("slow", True, True, SECONDS),
    ("slow", [], [], SECONDS),
    ("budget", -1, -1, COUNT),
    ("budget", 1.5, 1.5, COUNT),
    ("budget", "1.5", "1.5", COUNT),
    ("budget", "many", "many", COUNT),
    ("budget", False, False, COUNT),
    ("included_signals", 3, 3, NAMES),
    ("included_signals", b"shop", b"shop", NAMES),
    ("excluded_signals", {"shop": "off"}, {"shop": "off"}, NAMES),
    ("excluded_signals", ["shop", None], None, NAMES),
    ("excluded_receivers", "shop receivers", "shop receivers", NAMES),
    ("excluded_receivers", ["shop.[ab]"], "shop.[ab]", NAMES),
    ("excluded_receivers", "shop=off", "shop=off", NAMES),
    ("excluded_receivers", "shop.?", "shop.?", NAMES),
    ("levels", 3, 3, "levels by dotted name, such as {'shop.*': 'slow'}"),
    ("levels", "shop.*", "shop.*", "pairs of name=level with commas between, such as shop.*=slow"),
    ("levels", {"": "off"}, "", "dotted names, * for any part"),
    ("levels", {"sh op": "off"}, "sh op", NAMES),
    ("extra_attributes", "code.line", "code.line", ", ".join(EXTRA_ATTRIBUTES)),
    ("exception_messages", "maybe", "maybe", "true or false"),
    ("exception_messages", 0, 0, "true or false"),
    ("exception_messages", [], [], "true or false"),
]


@pytest.mark.parametrize(("name", "value", "refused", "valid"), WRONG)
def test_a_wrong_argument_says_what_was_given_and_what_is_valid(name, value, refused, valid):
    """With the argument's name; the error is a ValueError too."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(**{name: value})

    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, HeliographError)
    assert str(caught.value) == f"{name}= cannot be {refused!r}. Valid: {valid}."


@pytest.mark.parametrize(("name", "value", "refused", "valid"), [one for one in WRONG if isinstance(one[1], str)])
def test_a_wrong_variable_is_named(monkeypatch, name, value, refused, valid):
    """With its value, and what is valid."""
    variable = f"OTEL_PYTHON_HELIOGRAPH_{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert str(caught.value) == f"{variable} cannot be {refused!r}. Valid: {valid}."


@pytest.mark.parametrize(("name", "value", "refused", "valid"), WRONG)
def test_a_wrong_framework_setting_is_named(name, value, refused, valid):
    """By its key."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({name.upper(): value})

    assert str(caught.value) == f"HELIOGRAPH['{name.upper()}'] cannot be {refused!r}. Valid: {valid}."


def test_a_wrong_level_of_a_pattern_names_the_pattern(monkeypatch):
    """And the place it was found in."""
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_LEVELS", "shop.*=loud")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert str(caught.value) == f"OTEL_PYTHON_HELIOGRAPH_LEVELS for shop.* cannot be 'loud'. Valid: {LEVELS}."


def test_a_variable_that_is_overruled_is_not_read(monkeypatch):
    """A wrong value that does not count hurts nobody."""
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_LEVEL", "verbose")

    assert Settings.load(level="off").level is Level.OFF


def test_an_unknown_setting_is_an_error_with_a_suggestion():
    """In arguments and in the framework's settings."""
    known = ", ".join(one.name for one in dataclasses.fields(Settings))
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(levle="off")
    assert str(caught.value) == f"levle is no setting of heliograph. Did you mean level? Settings: {known}."

    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"COLOUR": "red"})
    assert str(caught.value) == f"HELIOGRAPH['COLOUR'] is no setting of heliograph. Settings: {known}."


@pytest.mark.parametrize("value", ["off", ["LEVEL"], 3])
def test_the_frameworks_settings_must_be_a_mapping(value):
    """Anything else is an error that shows one."""
    with pytest.raises(ConfigurationError, match=r"a dict of settings, such as \{'LEVEL': 'slow'\}"):
        Settings.load(value)
