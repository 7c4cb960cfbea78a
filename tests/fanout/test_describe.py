"""Receivers, senders and errors in words: a good name for whatever can be called, and never a crash."""

from __future__ import annotations

import functools
import types
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from heliograph.fanout.describe import error_type, receiver_location, receiver_name, sender_name, unwrapped
from tests.support.shop.models import Pizza

HERE = __name__


def function(**_):
    return None


def decorated(wrapped):
    @functools.wraps(wrapped)
    def wrapper(**named):
        return wrapped(**named)

    return wrapper


@decorated
@decorated
def wrapped(**_):
    return None


async def coroutine_function(**_):
    return None


class Receivers:
    def method(self, **_):
        return None

    @classmethod
    def of_class(cls, **_):
        return None

    @staticmethod
    def static(**_):
        return None

    def __call__(self, **_):
        return None

    def _partial(self, *_, **__):
        return None

    partial_method = functools.partialmethod(_partial, 1)


class Uncooperative:
    """Fails whatever it is asked."""

    def _fail(self, *_):
        raise RuntimeError("asked")

    __getattribute__ = __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = _fail

    def __call__(self, **_):
        return None


class UncooperativeMeta(type):
    """Makes classes that fail whatever they are asked."""

    def _fail(cls, *_):
        raise RuntimeError("asked")

    __getattribute__ = __repr__ = __str__ = __eq__ = __hash__ = _fail


class UncooperativeClass(metaclass=UncooperativeMeta):
    """An instance of such a metaclass."""


class LiesAboutItsClass:
    """Says it is a function, by ``__class__``."""

    @property  # type: ignore[misc]
    def __class__(self):
        raise RuntimeError("asked")

    def __call__(self, **_):
        return None


class Endless:
    """Wraps itself."""

    @staticmethod
    def receiver(**_):
        return None


Endless.receiver.__wrapped__ = Endless.receiver  # type: ignore[attr-defined]

NAMES = [
    (function, f"{HERE}.function"),
    (coroutine_function, f"{HERE}.coroutine_function"),
    (wrapped, f"{HERE}.wrapped"),
    (functools.partial(function, more=1), f"{HERE}.function"),
    (functools.partial(functools.partial(Receivers().method, more=1), less=2), f"{HERE}.Receivers.method"),
    (Receivers().method, f"{HERE}.Receivers.method"),
    (Receivers().of_class, f"{HERE}.Receivers.of_class"),
    (Receivers.of_class, f"{HERE}.Receivers.of_class"),
    (Receivers.static, f"{HERE}.Receivers.static"),
    (Receivers().static, f"{HERE}.Receivers.static"),
    (Receivers().partial_method, f"{HERE}.Receivers._partial"),
    (Receivers(), f"{HERE}.Receivers.__call__"),
    (Receivers, f"{HERE}.Receivers"),
    (Uncooperative(), f"{HERE}.Uncooperative.__call__"),
    (Uncooperative, f"{HERE}.Uncooperative"),
    (UncooperativeClass, f"{HERE}.UncooperativeClass"),
    (LiesAboutItsClass(), f"{HERE}.LiesAboutItsClass.__call__"),
    (Endless.receiver, f"{HERE}.Endless.receiver"),
    (Mock(), "unittest.mock.Mock.__call__"),
    (Mock(spec=function), "unittest.mock.Mock.__call__"),
    (Mock(spec=functools.partial), "unittest.mock.Mock.__call__"),
    (MagicMock(), "unittest.mock.MagicMock.__call__"),
    (AsyncMock(), "unittest.mock.AsyncMock.__call__"),
    (print, "print"),
    (dict, "dict"),
    ([].append, "list.append"),
    (str.upper, "str.upper"),
    (functools.lru_cache(function), "functools._lru_cache_wrapper.__call__"),
    (None, "NoneType.__call__"),
]


@pytest.mark.parametrize("index", range(len(NAMES)), ids=[f"{number} {name}" for number, (_, name) in enumerate(NAMES)])
def test_receivers_are_named_for_what_runs(index):
    """Module and qualified name of the function at the bottom, or of the class whose ``__call__`` it is."""
    receiver, name = NAMES[index]  # not a parameter: pytest would ask it for its name
    assert receiver_name(receiver) == name
    assert receiver_name(receiver) == name  # from the cache


def test_a_lambda_says_where_it_is():
    """Its qualified name is all it has."""
    assert receiver_name(lambda **_: None) == f"{HERE}.test_a_lambda_says_where_it_is.<locals>.<lambda>"


def test_an_autospec_is_named_for_what_it_stands_for():
    """``create_autospec`` makes a function with the name of the original."""
    assert receiver_name(create_autospec(function)).rpartition(".")[2] == "function"


def test_a_function_without_a_module_has_its_name_alone():
    """As those made by exec have."""
    namespace: dict[str, object] = {}
    exec("def made(**_): pass", {}, namespace)
    made = namespace["made"]
    made.__module__ = None  # type: ignore[assignment]

    assert receiver_name(made) == "made"


def test_describing_a_mock_touches_nothing_of_it():
    """A mock makes up whatever it is asked for, and remembers it."""
    mock = MagicMock()
    receiver_name(mock)
    receiver_location(mock)
    sender_name(mock)

    assert mock.mock_calls == []
    assert mock.method_calls == []
    assert vars(mock)["_mock_children"].keys() == MagicMock().__dict__["_mock_children"].keys()


def test_a_lazy_object_is_not_loaded():
    """``request.user`` as a sender is no query."""
    lazy = SimpleLazyObject(lambda: pytest.fail("loaded"))

    assert sender_name(lazy) == "django.utils.functional.SimpleLazyObject"
    assert receiver_name(lazy) == "django.utils.functional.SimpleLazyObject.__call__"


SENDERS = [
    (None, None),
    (Receivers, f"{HERE}.Receivers"),
    (Receivers(), f"{HERE}.Receivers"),
    (Pizza, "shop.Pizza"),
    (Pizza(name="margherita"), "shop.Pizza"),
    (function, f"{HERE}.function"),
    (Receivers().method, f"{HERE}.Receivers.method"),
    (functools.partial(function, more=1), f"{HERE}.function"),
    (types, "types"),
    (types.ModuleType("made"), "made"),
    ("text", "str"),
    (17, "int"),
    (int, "int"),
    (Uncooperative(), f"{HERE}.Uncooperative"),
    (UncooperativeClass, f"{HERE}.UncooperativeClass"),
    (LiesAboutItsClass(), f"{HERE}.LiesAboutItsClass"),
]


@pytest.mark.parametrize(
    "index", range(len(SENDERS)), ids=[f"{number} {name}" for number, (_, name) in enumerate(SENDERS)]
)
def test_senders_are_named_for_their_class_or_label(index):
    """A model has its label, a class or an instance the class's path; None is no sender."""
    sender, name = SENDERS[index]
    assert sender_name(sender) == name


def test_only_djangos_meta_is_a_label():
    """Another's ``_meta`` may be anything."""

    class Other:
        class _meta:
            app_label, object_name = "not", "django"

    assert str(sender_name(Other)).endswith("<locals>.Other")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("payload"), "ValueError"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "payload"), "UnicodeDecodeError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Pizza.DoesNotExist("payload"), "tests.support.shop.models.Pizza.DoesNotExist"),
        (ExceptionGroup("payload", [ValueError()]), "ExceptionGroup"),
    ],
)
def test_errors_are_named_for_their_class(error, name):
    """Built-in ones without a module; nothing of what they say."""
    assert error_type(error) == name


@pytest.mark.parametrize(
    ("receiver", "code"),
    [
        (function, function.__code__),
        (functools.partial(Receivers().method), Receivers.method.__code__),
        (Receivers(), Receivers.__call__.__code__),
        (wrapped, unwrapped(wrapped).__code__),
    ],
)
def test_a_receiver_is_found_in_its_file(receiver, code):
    """Where the function that runs begins."""
    assert receiver_location(receiver) == (__file__, code.co_firstlineno)


@pytest.mark.parametrize("receiver", [print, dict, [].append, None, object(), Receivers])
def test_what_has_no_python_source_is_nowhere(receiver):
    """Built-in functions, classes, and what is no callable."""
    assert receiver_location(receiver) is None


def test_names_do_not_keep_what_they_name():
    """The caches hold functions and classes weakly."""
    import gc
    import weakref

    def local(**_):
        return None

    class Local:
        pass

    receiver_name(local)
    sender_name(Local())
    references: list[Any] = [weakref.ref(local), weakref.ref(Local)]
    del local, Local
    gc.collect()

    assert [reference() for reference in references] == [None, None]


class Grumpy:
    """Can be looked at, and nothing else."""

    def _fail(self, *_):
        raise RuntimeError("asked")

    __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __getitem__ = _fail


class Weird:
    """An object whose attributes are whatever Hypothesis came up with."""

    def __call__(self, **_):
        return None


values = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.binary(max_size=3), st.builds(object), st.builds(Grumpy)
)
attributes = st.sampled_from(
    ["__name__", "__qualname__", "__module__", "__wrapped__", "__func__", "__self__", "__code__", "_meta", "func"]
)


@given(st.dictionaries(attributes, values, max_size=6), st.sampled_from(["instance", "class", "function"]))
def test_whatever_a_receiver_holds_it_has_a_name(held, kind):
    """A dotted name that is not empty, for any object with any attributes, as a receiver and as a sender."""
    if kind == "function":

        def thing(**_):
            return None

        vars(thing).update({name: value for name, value in held.items() if name not in ("__name__", "__qualname__")})
    elif kind == "class":
        allowed = {name: value for name, value in held.items() if name != "__qualname__" or isinstance(value, str)}
        thing = type("Thing", (Weird,), allowed)
    else:
        thing = Weird()
        vars(thing).update(held)

    for name in (receiver_name(thing), sender_name(thing), receiver_name(functools.partial(thing))):
        assert isinstance(name, str)
        assert name
    assert receiver_location(thing) is None or isinstance(receiver_location(thing), tuple)


@given(st.integers(min_value=0, max_value=60), st.booleans())
def test_any_number_of_wrappers_is_unwrapped_up_to_a_bound(depth, partials):
    """What is wrapped more often than anybody would keeps a name of some kind."""
    receiver = function
    for _ in range(depth):
        receiver = functools.partial(receiver) if partials else decorated(receiver)

    assert receiver_name(receiver).endswith("function") or depth > 30
    assert receiver_name(receiver)
