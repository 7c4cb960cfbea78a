"""Where code is, in as few words as find it: a path that says nothing of the machine it is on."""

from __future__ import annotations

import functools
import sys
import sysconfig
from pathlib import Path
from types import TracebackType

from heliograph.fanout.describe import receiver_location
from heliograph.fanout.facts import Receiver

__all__ = ["error_place", "is_installed", "place", "receiver_place"]

_FARTHEST = 10_000


def error_place(error: BaseException, receiver: Receiver) -> str | None:
    """Return where *error* left the file of *receiver*, as ``file:line``; else where it was raised.

    The frame that raised is often deep in a library. The line of the receiver's own file that led there is
    the one its author can change.
    """
    own = receiver_location(receiver)
    found = innermost = None
    trace: TracebackType | None = error.__traceback__
    for _ in range(_FARTHEST):
        if trace is None:
            break
        innermost = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        if own is not None and innermost[0] == own[0]:
            found = innermost
        trace = trace.tb_next
    location = found or innermost
    return None if location is None else place(*location)


def receiver_place(receiver: Receiver) -> str | None:
    """Return where *receiver*'s function begins, as ``file:line``, if it has source."""
    location = receiver_location(receiver)
    return None if location is None else place(*location)


def place(file: str, line: int) -> str:
    """Return ``file:line``, the file relative to where its modules are imported from."""
    return f"{_short(file)}:{line}"


def is_installed(receiver: Receiver) -> bool:
    """Tell whether *receiver* belongs to Python or an installed library rather than to the program."""
    location = receiver_location(receiver)
    return location is None or Path(location[0]).is_relative_to(_STANDARD_LIBRARY) or _in_site_packages(location[0])


_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_SITE_PACKAGES = {"site-packages", "dist-packages"}


def _in_site_packages(file: str) -> bool:
    return not _SITE_PACKAGES.isdisjoint(Path(file).parts)


@functools.lru_cache(maxsize=2048)
def _short(file: str) -> str:
    path = Path(file)
    if not path.is_absolute():  # "<string>" and the like
        return file
    folders = [folder for folder in (_START, *sys.path) if folder and path.is_relative_to(folder)]
    return str(path.relative_to(max(folders, key=len))) if folders else "/".join(path.parts[-2:])


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it may be gone
        return ""


_START = _working_folder()
