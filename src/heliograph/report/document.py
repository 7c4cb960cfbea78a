"""A report as a JSON document: versioned, and checked field by field when it is read.

``docs/report.md`` describes the format. A document is read as what it is: a file that somebody may have
written by hand, cut off, or made up.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable
from typing import Any

from heliograph.errors import ReportError
from heliograph.report.model import Report

__all__ = ["LARGEST", "VERSION", "dumps", "loads"]

VERSION = 1
_MARK = "heliograph_report"
_DEEPEST = 100
_LONGEST = 1e12
_MOST = 10**15
_MOST_COMMAS = 4_000_000  # a value takes up to twenty times as much memory as it takes of the file
LARGEST = 64 * 1024 * 1024
"""How many bytes a document may have."""


def dumps(report: Report) -> str:
    """Return *report* as a JSON document; :func:`loads` is the way back."""
    document = {_MARK: VERSION, **dataclasses.asdict(report)}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def loads(document: bytes | str) -> Report:
    """Return the report that *document* holds.

    Raises:
        ReportError: If it is no JSON, no report, of a version this heliograph does not know, or if a field
            is missing or has a value that cannot be one.
    """
    fields = _parse(document)
    if not isinstance(fields, dict) or _MARK not in fields:
        raise ReportError(f'This is no saved report: it has no field "{_MARK}". Pass a file that --save has written.')
    version = fields[_MARK]
    if type(version) is not int or version != VERSION:
        raise ReportError(
            f"This report has version {_shown(version)}, and this heliograph reads version {VERSION}. "
            "Print it with the heliograph that saved it, or save it again."
        )
    return _reader(Report)(fields, "", 0)  # type: ignore[no-any-return]


def _parse(document: bytes | str) -> Any:
    if len(document) > LARGEST:
        raise ReportError(f"This file is too large for a report, which has {LARGEST:,} bytes at most.")
    comma: Any = "," if isinstance(document, str) else b","
    if document.count(comma) > _MOST_COMMAS:
        raise ReportError("This file has too many values for a report.")
    try:
        return json.loads(document, parse_constant=_no_constant)
    except RecursionError:
        raise ReportError("This is no report: it is nested too deeply.") from None
    except ValueError as error:
        raise ReportError(f"This is no saved report, because it is no JSON: {error}.") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


_Reader = Callable[[Any, str, int], Any]


@functools.cache
def _reader(kind: Any) -> _Reader:
    """Return a function that checks a value, says where it stands when it is wrong, and makes a *kind* of it."""
    if dataclasses.is_dataclass(kind):
        return functools.partial(_read_fields, kind)
    if typing.get_origin(kind) is tuple:
        return functools.partial(_read_items, typing.get_args(kind)[0])
    if typing.get_origin(kind) is types.UnionType:
        return functools.partial(_read_optional, typing.get_args(kind)[0])
    return _SCALARS[kind]


@functools.cache
def _kinds(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read_fields(kind: Any, value: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ReportError(f"This is no report: it is nested more than {_DEEPEST} deep.")
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    return kind(**{name: _read_field(part, value, name, where, depth) for name, part in _kinds(kind).items()})


def _read_field(kind: Any, fields: dict[str, Any], name: str, where: str, depth: int) -> Any:
    path = f"{where}.{name}" if where else name
    if name not in fields:
        raise ReportError(f"This report is incomplete: {path} is missing. Save it again.")
    return _reader(kind)(fields[name], path, depth + 1)


def _read_items(kind: Any, value: Any, where: str, depth: int) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _wrong(where, "an array", value)
    read = _reader(kind)
    return tuple(read(item, f"{where}[{index}]", depth) for index, item in enumerate(value))


def _read_optional(kind: Any, value: Any, where: str, depth: int) -> Any:
    return None if value is None else _reader(kind)(value, where, depth)


def _read_text(value: Any, where: str, _: int) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "a string", value)
    return value


def _read_flag(value: Any, where: str, _: int) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false", value)
    return value


def _read_count(value: Any, where: str, _: int) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise _wrong(where, "a count: a whole number, zero or more", value)
    return value


def _read_seconds(value: Any, where: str, _: int) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _LONGEST:
        raise _wrong(where, "a number of seconds, zero or more", value)
    return float(value)


_SCALARS: dict[Any, _Reader] = {str: _read_text, bool: _read_flag, int: _read_count, float: _read_seconds}


def _wrong(where: str, expected: str, value: Any) -> ReportError:
    return ReportError(f"This report is damaged: {where} should be {expected}, and is {_shown(value)}.")


def _shown(value: Any) -> str:
    found = json.dumps(value)
    return found if len(found) <= 60 else f"{found[:57]}..."
