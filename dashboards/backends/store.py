"""Which programs there are, in which version, and where they are kept: in a folder outside the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BACKENDS", "COLLECTOR_MANIFEST", "MissingBackendError", "Release", "folder", "program"]

COLLECTOR_MANIFEST = Path(__file__).parent.parent / "collector" / "otelcol.yaml"


class MissingBackendError(RuntimeError):
    """A program that tests need is not on this machine."""


@dataclass(frozen=True, slots=True)
class Release:
    """One program in one version.

    Attributes:
        version: What its registry calls the version.
        file: Its name in :func:`folder`; another version has another name.
    """

    version: str
    file: str


def jaeger() -> Release:
    """Return Jaeger 2.13.0: the Go module has kept the numbers of Jaeger 1."""
    return Release("v1.76.0", "jaeger-v1.76.0")


def zipkin() -> Release:
    """Return Zipkin, a jar that runs by itself."""
    return Release("3.4.4", "zipkin-server-3.4.4-exec.jar")


def collector() -> Release:
    """Return the Collector that the manifest describes; the name follows what is in the manifest."""
    manifest = COLLECTOR_MANIFEST.read_bytes()
    return Release("v0.161.0", f"otelcol-heliograph-{hashlib.sha256(manifest).hexdigest()[:12]}")


BACKENDS: dict[str, Callable[[], Release]] = {"jaeger": jaeger, "zipkin": zipkin, "collector": collector}
"""What can be got, by name. Prometheus is not among them: distributions have it."""


def folder() -> Path:
    """Return where programs are kept: ``~/.cache/heliograph/bin``, or the same below ``XDG_CACHE_HOME``."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "heliograph" / "bin"


def program(name: str) -> Path:
    """Return where the program *name* is: one of :data:`BACKENDS`, or one on the ``PATH``.

    Raises:
        MissingBackendError: If it is not there.
    """
    if name not in BACKENDS:
        found = shutil.which(name)
        if found is None:
            raise MissingBackendError(f"{name} is not on the PATH; install it (Debian: apt-get install {name}).")
        return Path(found)
    path = folder() / BACKENDS[name]().file
    if not path.is_file():
        raise MissingBackendError(f"{path} does not exist; get it with: make backends")
    return path
