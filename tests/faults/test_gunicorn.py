"""gunicorn forks two workers from a process that is observed already; real requests are served by both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.faults.conftest import LIMIT, ROOT, note

pytestmark = pytest.mark.skipif(
    find_spec("gunicorn") is None, reason="capability gunicorn: only the main environment has it"
)

REQUESTS = 100
SENDS = 4  # a request


@contextmanager
def serving(**environment: str) -> Iterator[str]:
    """Run the server, and stop it as a service manager does; yield its address."""
    options = ["--preload", "--workers", "2", "--threads", "2", "--bind", "127.0.0.1:0"]
    command = [sys.executable, "-m", "gunicorn", *options, "tests.faults.programs.server:application"]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
    kill = threading.Timer(LIMIT, server.kill)
    kill.start()
    try:
        assert server.stderr is not None
        said = []
        for line in server.stderr:  # ends when the server does
            said.append(line)
            if "Listening at: " in line:
                break
        else:
            pytest.fail("".join(said))
        yield line.partition("Listening at: ")[2].split(" ")[0]
        server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
        assert server.wait() == 0, rest
        assert "Traceback" not in rest
        assert "WORKER TIMEOUT" not in rest
    finally:
        kill.cancel()
        server.kill()
        server.wait()
        server.stderr.close() if server.stderr else None


def answers(url: str) -> list[bytes]:
    """Send the requests, eight at a time; return what was answered to each."""

    def get(number: int) -> bytes:
        with urllib.request.urlopen(f"{url}/{number % 7}", timeout=LIMIT) as response:
            body: bytes = response.read()
            return body

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(get, range(REQUESTS)))


def test_workers_forked_from_an_observed_process(tmp_path: Path):
    """All answers are what they are unobserved; each worker exports the spans of its own requests, each once, also as it ends."""
    with serving() as url:
        expected = answers(url)
    path = tmp_path / "spans"
    with serving(SPANS=str(path)) as url:
        found = answers(url)

    changed = sum(one != other for one, other in zip(found, expected, strict=True))
    note("gunicorn with two forked workers", REQUESTS * SENDS, changed)
    assert found == expected
    assert len(set(expected)) == 7
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    names = Counter(name.rpartition(".")[2] for _, name in lines)
    assert names == {
        "send stock": REQUESTS,
        "send own": REQUESTS,
        "send_robust stock": REQUESTS + 1,
        "send_robust own": REQUESTS + 1,
        "value_of": 4 * REQUESTS + 2,
        "fails": 4 * REQUESTS + 2,
    }
    assert len({process for process, _ in lines}) == 3  # the parent has exported what was sent before it forked
