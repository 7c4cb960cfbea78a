"""Gets the programs from the registries of Go and Maven, checksums verified, and keeps them.

Needs Go for Jaeger and the Collector, Maven for Zipkin, and nothing outside Python's standard library.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dashboards.backends.store import BACKENDS, COLLECTOR_MANIFEST, MissingBackendError, Release, folder

__all__ = ["get"]

_JAEGER = "github.com/jaegertracing/jaeger"
_BUILDER = "go.opentelemetry.io/collector/cmd/builder"
_ZIPKIN_SHA256 = "45530b0d895d7b56fffa5f6385f4bd45a6b8aa3c57e1c2bda4b4bb1225881333"


def get(name: str, say: Callable[[str], None]) -> Path:
    """Get the program *name*, unless it is there already, and return where it is.

    Whoever wants the same at the same time waits for it, and then finds it there.

    Args:
        name: One of :data:`~dashboards.backends.store.BACKENDS`.
        say: Told in words what is going on.

    Raises:
        MissingBackendError: If what builds it is not on this machine.
        subprocess.CalledProcessError: If it cannot be built.
    """
    release = BACKENDS[name]()
    path = folder() / release.file
    folder().mkdir(parents=True, exist_ok=True)
    with _alone(name):
        if path.is_file():
            say(f"{name} {release.version}: {path}")
            return path
        say(f"{name} {release.version}: getting it ...")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder(), prefix=f".{name}-") as work:
            _GETTERS[name](release, Path(work)).replace(path)  # whole, or not there at all
        say(f"{name} {release.version}: {path}, in {time.monotonic() - began:.0f} s")
    return path


@contextmanager
def _alone(name: str) -> Iterator[None]:
    with (folder() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _get_jaeger(release: Release, work: Path) -> Path:
    """Build Jaeger where Go has unpacked it: its own ``go.sum``, verified with it, pins all that it needs.

    ``go install`` refuses a module that replaces another one, and the checksum database lacks some of its dependencies.
    """
    _demand_checksums()
    source = json.loads(_go("mod", "download", "-json", f"{_JAEGER}@{release.version}", cwd=work))["Dir"]
    built = work / "jaeger"
    version = f"-X {_JAEGER}/internal/version.latestVersion={release.version}"
    flags = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", f"-s -w {version}")
    _go("build", *flags, "-o", str(built), "./cmd/jaeger", cwd=Path(source))
    return built


def _get_collector(release: Release, work: Path) -> Path:
    """Build a Collector of the manifest's components with OpenTelemetry's own builder."""
    _demand_checksums()
    _go("install", f"{_BUILDER}@{release.version}", cwd=work, GOBIN=str(work))
    _run(work / "builder", "--config", COLLECTOR_MANIFEST, cwd=work)
    [built] = (
        path for path in (work / "out").iterdir() if path.name.startswith("otelcol") and os.access(path, os.X_OK)
    )
    return built


def _get_zipkin(release: Release, work: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingBackendError("Zipkin comes through Maven, and there is no mvn on the PATH.")
    artifact = f"io.zipkin:zipkin-server:{release.version}:jar:exec"
    _run(
        maven,
        "-q",
        "-B",
        "--strict-checksums",
        "dependency:copy",
        f"-Dartifact={artifact}",
        f"-DoutputDirectory={work}",
    )
    jar = work / release.file
    if (found := hashlib.sha256(jar.read_bytes()).hexdigest()) != _ZIPKIN_SHA256:
        raise RuntimeError(f"{jar.name} has the SHA-256 {found}, and not {_ZIPKIN_SHA256}.")
    return jar


_GETTERS: dict[str, Callable[[Release, Path], Path]] = {
    "jaeger": _get_jaeger,
    "collector": _get_collector,
    "zipkin": _get_zipkin,
}


def _demand_checksums() -> None:
    """Refuse to build what nobody has verified."""
    database, without = _go("env", "GOSUMDB", "GONOSUMDB", cwd=folder()).splitlines()
    if database == "off" or without:
        raise RuntimeError(f"Go does not verify all checksums here: GOSUMDB={database!r}, GONOSUMDB={without!r}.")


def _go(*arguments: str, cwd: Path, **variables: str) -> str:
    go = shutil.which("go", path=f"{os.environ['PATH']}{os.pathsep}/usr/local/go/bin")
    if go is None:
        raise MissingBackendError("Jaeger and the Collector are built with Go, and there is no go on the PATH.")
    return _run(go, *arguments, cwd=cwd, **variables)


def _run(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": f"{os.environ['PATH']}{os.pathsep}/usr/local/go/bin", **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
