"""A program that runs in the background until it is stopped, by its process id and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["BackendError", "Process", "wait_for"]

_PAUSE = 0.05  # seconds between two looks at a condition
# Where util-linux is, a program does not outlive whoever started it and was killed before it could stop it.
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()

T = TypeVar("T")


class BackendError(RuntimeError):
    """A program ended, or was not ready in time; what it last said is in the message."""


def wait_for(look: Callable[[], T], *, what: str, within: float) -> T:
    """Look until what is found is true, and return it.

    Args:
        look: Called again and again. An ``OSError``, such as a refused connection, is a "not yet".
        what: What is waited for, in words.
        within: How many seconds to wait.

    Raises:
        TimeoutError: If it is still not so; its message has what was found last.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            found: T | OSError = look()
        except OSError as error:
            found = error
        if found and not isinstance(found, OSError):
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:g} s; found last: {found!r}")
        time.sleep(_PAUSE)


class Process:
    """A program in the background. Also a context manager that starts and stops it.

    Args:
        name: What to call it, and its log.
        command: The program and its arguments.
        ready: An address that answers with 200 once it is ready.
        folder: Where its log goes.
        variables: Environment variables besides those of this process.
        patience: How many seconds it may take to be ready.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        ready: str,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        patience: float = 30,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._ready = ready
        self._variables = dict(variables or {})
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process that runs."""
        if self._process is None:
            raise BackendError(f"{self.name} does not run.")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            BackendError: If it ends before, or takes too long.
        """
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [*_ENDS_WITH_US, *self._command],
                env={**os.environ, **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for whoever started us, who then stops it
            )
        try:
            wait_for(lambda: self._is_ready(process), what=f"{self.name} is ready", within=self._patience)
        except TimeoutError as error:
            self.stop()
            raise BackendError(f"{error}\n{self.last_words()}") from None
        return self

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning, as a machine that loses its power does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it do nothing at all until :meth:`thaw`: it still takes connections, and never answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        os.kill(self.pid, signal.SIGCONT)

    def last_words(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        if (code := process.poll()) is not None:
            self._process = None
            raise BackendError(f"{self.name} ended with {code}:\n{self.last_words()}")
        with urllib.request.urlopen(self._ready, timeout=5) as response:
            return bool(response.status == 200)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a frozen one hears nothing
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
