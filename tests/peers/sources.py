"""Fetches what other projects' test suites consist of and need, once, into a cache outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

__all__ = ["CACHE", "packages", "sources"]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heliograph"

_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def sources(distribution: str, version: str) -> Path:
    """Return the folder with the sources of a release, from its sdist."""
    folder = CACHE / f"{distribution.lower()}-{version}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        fetch = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", scratch]
        subprocess.run([*_PIP, *fetch, f"{distribution}=={version}"], check=True)
        [archive] = Path(scratch).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
        [unpacked] = (path for path in Path(scratch).iterdir() if path.is_dir())
        unpacked.rename(folder)  # whole or not at all, whenever this is interrupted
    return folder


def packages(requirements: Sequence[str]) -> Path | None:
    """Return a folder to import *requirements* from, installed beside everything else and without what they depend on."""
    if not requirements:
        return None
    python = f"{sys.implementation.cache_tag}"
    folder = CACHE / f"packages-{python}-{sha256(' '.join(requirements).encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        target = Path(scratch) / "packages"
        subprocess.run([*_PIP, "install", "--quiet", "--no-deps", "--target", str(target), *requirements], check=True)
        target.rename(folder)
    return folder
