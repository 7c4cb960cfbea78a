"""The programs behind these tests: where they are, what happens when one is missing, and how they start and stop."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards.backends.get import get
from dashboards.backends.process import BackendError, Process, wait_for
from dashboards.backends.servers import Jaeger, free_ports
from dashboards.backends.store import BACKENDS, MissingBackendError, program
from tests.end_to_end.backends.reading import services

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "heliograph" / "bin"


@pytest.mark.parametrize("name", BACKENDS)
def test_a_program_that_was_not_got_is_an_error(name: str, empty_cache: Path):
    """Nothing is skipped where a backend is missing: the error says which file, and what gets it."""
    with pytest.raises(MissingBackendError) as caught:
        program(name)

    assert str(caught.value) == f"{empty_cache / BACKENDS[name]().file} does not exist; get it with: make backends"


def test_a_program_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The same for what comes from the distribution."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingBackendError, match="prometheus is not on the PATH; install it"):
        program("prometheus")


def test_what_is_there_is_not_got_again(empty_cache: Path):
    """A file of that version's name is taken as it is, in no time and without a network."""
    path = empty_cache / BACKENDS["jaeger"]().file
    empty_cache.mkdir(parents=True)
    path.write_text("built before")
    said: list[str] = []

    assert get("jaeger", said.append) == path
    assert (path.read_text(), said) == ("built before", [f"jaeger v1.76.0: {path}"])


@pytest.mark.parametrize("variable", ["GOSUMDB", "GONOSUMDB"])
def test_nothing_is_built_without_checksums(variable: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch):
    """Where Go is told to verify nothing, or not all, nothing is built, and nothing is left behind."""
    monkeypatch.setenv(variable, {"GOSUMDB": "off", "GONOSUMDB": "github.com/jaegertracing/*"}[variable])

    with pytest.raises(RuntimeError, match="Go does not verify all checksums here"):
        get("jaeger", lambda _: None)

    assert [path.name for path in empty_cache.iterdir()] == [".jaeger.lock"]


def test_zipkin_is_the_one_that_was_checked():
    """The jar in the cache has the checksum that is written down."""
    found = hashlib.sha256(program("zipkin").read_bytes()).hexdigest()

    assert found in (ROOT / "dashboards" / "backends" / "get.py").read_text()


def test_a_name_that_is_none_is_an_error():
    """The command says which names there are."""
    command = [sys.executable, "-m", "dashboards.backends", "tempo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "unknown: tempo; there are jaeger, zipkin, collector" in done.stderr


def test_a_program_that_ends_says_why(tmp_path: Path):
    """One that ends before it is ready is an error with its exit code and its last words."""
    ends = Process(
        "ends",
        [sys.executable, "-c", "print('no room left'); raise SystemExit(3)"],
        ready="http://127.0.0.1:1/",
        folder=tmp_path,
    )

    with pytest.raises(BackendError, match="ends ended with 3:\nno room left"):
        ends.start()


def test_a_program_that_is_never_ready_is_stopped(tmp_path: Path):
    """One that takes too long is an error, and does not run on."""
    [port] = free_ports(1)
    waits = Process(
        "waits",
        [sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"],
        ready=f"http://127.0.0.1:{port}/",
        folder=tmp_path,
        patience=2,
    )

    with pytest.raises(BackendError, match="waits is ready: not within 2 s"):
        waits.start()

    assert not Path(f"/proc/{int(waits.log.read_text())}").exists()


STARTS_JAEGER = """
import signal, sys
from pathlib import Path
from dashboards.backends.servers import Jaeger
print(Jaeger(Path(sys.argv[1])).start().pid, flush=True)
signal.pause()
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="only where util-linux is")
def test_a_program_does_not_outlive_who_started_it(tmp_path: Path):
    """One whose starter is killed before it can stop it ends by itself."""
    command = [sys.executable, "-c", STARTS_JAEGER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()

    wait_for(lambda: not _runs(pid), what="Jaeger has ended", within=10)


def _runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended and nobody asks about, where no init does, runs no more."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return not status.rpartition(") ")[2].startswith("Z")


def test_what_was_waited_for_in_vain_is_told():
    """The message has what was found last: an error of the operating system is a "not yet"."""

    def refused() -> None:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(
        TimeoutError, match=r"an answer: not within 0 s; found last: ConnectionRefusedError\('nobody there'\)"
    ):
        wait_for(refused, what="an answer", within=0)


def test_a_frozen_program_stops_too(tmp_path: Path):
    """Jaeger can be frozen, thawed, asked again at the same address, frozen again, and stopped all the same."""
    jaeger = Jaeger(tmp_path)
    with jaeger:
        jaeger.freeze()
        jaeger.thaw()
        assert services(jaeger) == []
        pid = jaeger.pid
        jaeger.freeze()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(BackendError, match="jaeger does not run"):
        assert jaeger.pid
