"""Signals, senders, receivers and errors in words. Nothing here raises, or runs code of what it describes.

Attributes are looked up statically: a mock makes up whatever it is asked for, a lazy object loads itself,
and a property may query a database.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from heliograph.fanout.plain import plain

__all__ = [
    "error_type",
    "held_by",
    "know_senders",
    "look_through",
    "receiver_location",
    "receiver_name",
    "sender_name",
    "unwrapped",
]

T = TypeVar("T")

_MAX_UNWRAPS = 32
_CLASS_DICT = type.__dict__["__dict__"]
_BUILTIN_CALLABLES = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
_senders: dict[str, Callable[[str], Any]] = {}  # by library: finds the sender that a text stands for
_holders: dict[tuple[str, str], str] = {}  # module and qualified name of a wrapper: the variable that has what it wraps


def receiver_name(receiver: Any, /) -> str:
    """Return ``module.qualname`` of the function that runs when *receiver* is called.

    Partials, bound methods and functions wrapped with :func:`functools.wraps` are unwrapped; a callable
    object is named for its class's ``__call__``.
    """
    return _cached(_receiver_names, unwrapped(receiver), _function_name)


def receiver_location(receiver: Any, /) -> tuple[str, int] | None:
    """Return the file and line where *receiver*'s function begins, or None for what has no Python source."""
    function = unwrapped(receiver)
    if not _is_a(function, types.FunctionType, type):
        function = _attribute_of_class(type(function), "__call__")
    code = function.__code__ if _is_a(function, types.FunctionType) else None
    return (code.co_filename, code.co_firstlineno) if code is not None else None


def sender_name(sender: Any, /) -> str | None:
    """Return the model label or class path of a sender, or None for no sender. Never anything of an instance."""
    if sender is None:
        return None
    return _labels.values.get(id(sender)) or _sender_name(sender)


def _sender_name(sender: Any) -> str:
    if type(sender) is str:
        return _sender_named(sender)
    if _is_a(sender, types.ModuleType):
        return _text(vars(sender).get("__name__")) or "module"
    if _is_a(sender, types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial):
        return receiver_name(sender)
    if _is_a(sender, type):
        label = _class_label(sender)
        _labels.keep(sender, label)
        return label
    return sender_name(type(sender)) or "_OTHER"


def know_senders(library: str, find: Callable[[str], Any]) -> None:
    """From now on, describe a sender that is a text by what *find* returns for it, unless that is None.

    Of other texts nothing is said: they may hold anything.
    """
    _senders[library] = find


def _sender_named(text: str) -> str:
    for find in _senders.values():
        with suppress(Exception):  # it looks into a library, and a name is never worth an error
            found = find(text)
            if found is not None and type(found) is not str:
                return sender_name(found) or "str"
    return "str"


def error_type(error: BaseException, /) -> str:
    """Return the qualified class name of *error*; built-in ones without a module, as OpenTelemetry has it."""
    return _cached(_error_names, type(error), _class_path)


def unwrapped(receiver: Any, /) -> Any:
    """Return the function at the bottom of partials, bound methods and ``functools.wraps`` wrappers."""
    for _ in range(_MAX_UNWRAPS):  # a wrapper may wrap itself
        if _is_a(receiver, functools.partial):
            receiver = receiver.func
        elif _is_a(receiver, types.MethodType):
            receiver = receiver.__func__
        elif _is_a(receiver, types.FunctionType) and "__wrapped__" in receiver.__dict__:
            receiver = receiver.__dict__["__wrapped__"]
        elif (held := held_by(receiver)) is not receiver:
            receiver = held
        else:
            break
    return receiver


def look_through(module: str, qualname: str, variable: str) -> None:
    """From now on, describe functions of that name by what they hold in *variable*.

    For a library's own wrappers, which say nothing of what they wrap and would all be the same receiver.
    """
    _holders[module, qualname] = variable


def held_by(receiver: Any, /) -> Any:
    """Return what *receiver* holds if it is one of those wrappers, else *receiver*."""
    if not _is_a(receiver, types.FunctionType) or not receiver.__closure__:
        return receiver
    variable = _holders.get((receiver.__module__, receiver.__qualname__))
    variables = dict(zip(receiver.__code__.co_freevars, receiver.__closure__, strict=True))
    try:
        return variables[variable].cell_contents if variable in variables else receiver
    except ValueError:  # not set yet, or any more
        return receiver


def _is_a(thing: object, *kinds: type) -> bool:
    # Not isinstance(), which also asks the object: a lazy one loads itself, a mock of a function says it is one.
    return issubclass(type(thing), kinds)


class PerObject(Generic[T]):
    """Values by the identity of functions or classes, each for as long as its object lives.

    Attributes:
        values: By the ``id`` of the object; to be read without a call where every nanosecond counts.
        deaths: How many objects have died, in a list of one: while it is the same, ``values`` says the same of an id.
    """

    def __init__(self) -> None:
        self.values: dict[int, T] = {}
        self.deaths = [0]
        self._references: dict[int, weakref.ref[Any]] = {}

    def keep(self, thing: Any, value: T) -> None:
        """Keep *value* until *thing* dies; at once forget that of a thing whose death cannot be noticed."""
        key, values, references, deaths = id(thing), self.values, self._references, self.deaths

        def forget(_: object) -> None:  # runs as the thing dies, before its id can be used again
            deaths[0] += 1
            values.pop(key, None)
            references.pop(key, None)

        try:
            references[key] = weakref.ref(thing, forget)
        except TypeError:
            return
        values[key] = value


_Names = weakref.WeakKeyDictionary[Any, str]
_receiver_names: _Names = weakref.WeakKeyDictionary()
_labels: PerObject[str] = PerObject()  # of classes, by id: the hash of a class may be its metaclass's affair
_error_names: _Names = weakref.WeakKeyDictionary()


def _cached(cache: _Names, thing: Any, describe: Callable[[Any], str]) -> str:
    if not _is_a(thing, type, types.FunctionType):
        return describe(thing)  # instances may define equality or hash as they like: no key for a cache
    try:
        return cache[thing]
    except KeyError:
        name = cache[thing] = describe(thing)
        return name
    except Exception:  # a metaclass may make its classes unhashable
        return describe(thing)


def _function_name(function: Any) -> str:
    if _is_a(function, type):
        return _class_path(function)
    if _is_a(function, types.FunctionType):
        return _dotted(function.__module__, function.__qualname__)
    if _is_a(function, *_BUILTIN_CALLABLES):
        return _dotted(getattr(function, "__module__", None), function.__qualname__)
    return f"{_class_path(type(function))}.__call__"


def _class_label(cls: type) -> str:
    # Django's models carry their label; read statically, so that no descriptor or metaclass code runs.
    meta = _attribute_of_class(cls, "_meta")
    is_django = _class_path(type(meta)).startswith("django.")
    state = getattr(meta, "__dict__", {}) if is_django else {}
    app, model = _text(state.get("app_label")), _text(state.get("object_name"))
    return f"{app}.{model}" if app and model else _class_path(cls)


def _class_path(cls: type) -> str:
    return _dotted(_CLASS_DICT.__get__(cls).get("__module__"), type.__dict__["__qualname__"].__get__(cls))


def _attribute_of_class(cls: type, name: str) -> Any:
    for base in type.__dict__["__mro__"].__get__(cls):
        if name in _CLASS_DICT.__get__(base):
            return _CLASS_DICT.__get__(base)[name]
    return None


def _dotted(module: object, qualname: object) -> str:
    prefix, name = _text(module), _text(qualname) or "_OTHER"
    return name if prefix in (None, "", "builtins") else f"{prefix}.{name}"


def _text(value: object) -> str | None:
    return plain(value) if type(value) is str else None


class Described:
    """A receiver in words, made once and shared: what outlives a dispatch in place of the receiver itself.

    Attributes:
        name: As :func:`receiver_name` returns it.
        location: As :func:`receiver_location` returns it.
    """

    __slots__ = ("location", "name")

    def __init__(self, receiver: Any) -> None:
        self.name: str = receiver_name(receiver)
        self.location: tuple[str, int] | None = receiver_location(receiver)


_described: PerObject[Described] = PerObject()


def described(receiver: Any, /) -> Described:
    """Return the description of *receiver*; the same object for the same function, however it is bound."""
    function = receiver.__func__ if type(receiver) is types.MethodType else receiver
    found = _described.values.get(id(function))
    if found is None:
        found = Described(function)
        _described.keep(function, found)
    return found
