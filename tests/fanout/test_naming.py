"""Dotted names of signals, found in the modules and classes that hold them."""

from __future__ import annotations

import gc
import sys
import types
from typing import Any

import django.core.signals
import django.db.models.signals
import django.test.signals
import pytest
from django.dispatch import Signal

import heliograph
from heliograph.fanout.naming import SignalNames
from tests.support.shop import signals as shop


@pytest.fixture
def names() -> SignalNames:
    """The names of Django's signals."""
    return SignalNames(Signal)


@pytest.fixture
def module():
    """A module that is loaded during the test."""
    made = types.ModuleType("made_for_a_test")
    yield made
    sys.modules.pop(made.__name__, None)


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        (django.db.models.signals.post_save, "django.db.models.signals.post_save"),
        (django.db.models.signals.m2m_changed, "django.db.models.signals.m2m_changed"),
        (django.db.models.signals.class_prepared, "django.db.models.signals.class_prepared"),
        (django.core.signals.request_started, "django.core.signals.request_started"),
        (django.core.signals.setting_changed, "django.core.signals.setting_changed"),
        (django.test.signals.template_rendered, "django.test.signals.template_rendered"),
        (shop.pizza_done, "tests.support.shop.signals.pizza_done"),
        (shop.Oven.heated, "tests.support.shop.signals.Oven.heated"),
    ],
)
def test_a_signal_is_named_for_where_it_is_defined(names, signal, name):
    """Though many modules import it, and another gives it a second name."""
    assert names.name_of(signal) == name


def test_a_signal_that_nobody_holds_has_no_name(names):
    """A local variable is no place to be found in."""
    assert names.name_of(Signal()) is None


def test_a_signal_in_a_module_imported_later_is_found_then(names, module):
    """The loaded modules are searched again when there are more of them."""
    module.late = Signal()
    assert names.name_of(module.late) is None

    sys.modules[module.__name__] = module
    assert names.name_of(module.late) == "made_for_a_test.late"


def test_a_name_once_found_stays(names, module):
    """Also when its module is gone."""
    module.late = Signal()
    sys.modules[module.__name__] = module
    assert names.name_of(module.late) == "made_for_a_test.late"
    del sys.modules[module.__name__]

    assert names.name_of(module.late) == "made_for_a_test.late"


def test_names_do_not_keep_signals(names, module):
    """A signal that died is not listed."""
    module.late = Signal()
    sys.modules[module.__name__] = module
    assert "made_for_a_test.late" in dict(names.all())
    del module.late
    gc.collect()

    assert "made_for_a_test.late" not in dict(names.all())


def test_all_signals_are_listed_by_name(names):
    """Each once, in alphabetical order."""
    found = names.all()
    listed = [name for name, _ in found]

    assert listed == sorted(listed)
    assert dict(found)["django.db.models.signals.post_save"] is django.db.models.signals.post_save
    assert len({id(signal) for _, signal in found}) == len(found)


def test_each_kind_of_signal_has_its_own_names():
    """Heliograph's are not Django's."""
    own = dict(SignalNames(heliograph.Signal).all())

    assert own["tests.support.shop.signals.own_pizza_done"] is shop.own_pizza_done
    assert "tests.support.shop.signals.pizza_done" not in own
    assert shop.own_pizza_done.name == "tests.support.shop.signals.own_pizza_done"


class Unhashable(Signal):
    """Compares by value, so Python gives it no hash."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)

    __hash__ = None  # type: ignore[assignment]


def test_a_signal_that_cannot_be_hashed_is_named_too(names, module):
    """And does not keep the others from being named."""
    module.first, module.second = Unhashable(), Signal()
    sys.modules[module.__name__] = module

    assert names.name_of(module.first) == "made_for_a_test.first"
    assert names.name_of(module.second) == "made_for_a_test.second"


def test_equal_signals_have_names_of_their_own(names, module):
    """They are told apart by identity."""

    class Equal(Signal):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    module.first, module.second = Equal(), Equal()
    sys.modules[module.__name__] = module

    assert names.name_of(module.second) == "made_for_a_test.second"
    assert names.name_of(module.first) == "made_for_a_test.first"


def test_strange_modules_are_no_obstacle(names, module, monkeypatch):
    """``sys.modules`` may hold anything."""

    class Strange:
        def __getattribute__(self, name):
            raise RuntimeError(name)

    class Loader:
        def get_code(self, name):
            raise RuntimeError(name)

    monkeypatch.setitem(sys.modules, "strange", Strange())
    monkeypatch.setitem(sys.modules, "nothing", None)
    other: Any = types.ModuleType("made_for_a_test_too")
    module.shared = other.shared = Signal()
    module.__spec__ = types.SimpleNamespace(loader=Loader())
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, other.__name__, other)

    assert names.name_of(module.shared) == "made_for_a_test.shared"


@pytest.mark.parametrize(
    ("modules", "name"),
    [
        (["__main__"], "__main__.shared"),
        (["__main__", "__mp_main__"], "__main__.shared"),
        (["__mp_main__"], "__mp_main__.shared"),
        (["__main__", "__mp_main__", "zoo.signals"], "zoo.signals.shared"),
    ],
)
def test_the_main_module_has_its_best_name(names, monkeypatch, modules, name):
    """Programs import it under its real name as well, and multiprocessing gives it another."""
    main: Any = types.ModuleType("__main__")
    main.shared = Signal()
    for one in ("__main__", "__mp_main__"):
        monkeypatch.delitem(sys.modules, one, raising=False)
    for one in modules:
        monkeypatch.setitem(sys.modules, one, main)

    assert names.name_of(main.shared) == name


def test_a_signal_defined_later_in_a_loaded_module_is_found(names, module):
    """A module may send one signal before it defines the next: no new module is loaded in between."""
    sys.modules[module.__name__] = module
    module.first = Signal()
    assert names.name_of(module.first) == "made_for_a_test.first"

    module.second = Signal()
    assert names.name_of(module.second) == "made_for_a_test.second"


def test_the_first_name_within_a_module_is_the_signals(names, module):
    """The others are aliases, whatever they are called."""
    sys.modules[module.__name__] = module
    module.order_paid = module.Alias = Signal()

    assert names.name_of(module.order_paid) == "made_for_a_test.order_paid"


def test_signals_that_are_held_nowhere_do_not_cost_a_search_each(names, monkeypatch):
    """Beyond the first ones, searches wait for their turn; a name can still be found later."""
    searches = []
    search = names._search

    def counted():
        searches.append(1)
        search()

    monkeypatch.setattr(names, "_search", counted)
    monkeypatch.setattr("heliograph.fanout.naming.perf_counter", lambda: 0.0)  # time stands still
    for _ in range(500):
        names.name_of(Signal())

    assert len(searches) == 50
