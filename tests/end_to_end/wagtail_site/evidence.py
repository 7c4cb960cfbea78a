"""What is left of a day: answers, queries, log lines, warnings, mails, files and the whole database.

Only what two days can never have in common is made the same: random tokens and hashes, identifiers, and names
that hold a thread's number.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import django.utils.timezone
from django.http import HttpResponse

_RANDOM = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<!\w)[0-9a-f]{32}(?!\w)",
    "token": r"""(?<=csrfmiddlewaretoken" value=")\w{64}|(?<=CSRF_TOKEN": ")\w{64}""",
    "cookie": r"(?<=csrftoken=)\w+|(?<=sessionid=)\w+",
    "savepoint": r"(?<=SAVEPOINT \")s\d+_x\d+",
    "task": r"(?<=Task id=)\w{32}",
}
# Dates of HTTP, durations and addresses in memory: two that happen to be equal say nothing.
_PASSING = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT|(?<= in )\d+\.\d+ms|(?<= at )0x[0-9a-f]+")


class Names:
    """Numbers what is random in the order in which it appears: the same thing is the same number everywhere."""

    def __init__(self) -> None:
        self._patterns = {kind: re.compile(pattern) for kind, pattern in _RANDOM.items()}
        self._known: dict[str, dict[str, str]] = {kind: {} for kind in _RANDOM}

    def in_words(self, text: str) -> str:
        """Return *text* with a number in the place of all that is random."""
        for kind, pattern in self._patterns.items():
            text = pattern.sub(partial(self._number, kind), text)
        return _PASSING.sub("<passing>", text)

    def _number(self, kind: str, found: re.Match[str]) -> str:
        known = self._known[kind]
        return known.setdefault(found[0].replace("-", ""), f"<{kind} {len(known) + 1}>")


def set_the_clock() -> None:
    """From now on each reading of Django's clock is one second after the one before, on every day the same."""
    seconds = itertools.count()
    morning = datetime(2030, 1, 1, 8, tzinfo=UTC)
    django.utils.timezone.now = lambda: morning + timedelta(seconds=next(seconds))


class Evidence:
    """Collects it while the day lasts."""

    def __init__(self) -> None:
        self.names = Names()
        self.answers: list[dict[str, Any]] = []
        self.queries: list[str] = []
        self.log: list[str] = []
        self.warnings: list[str] = []

    def collect_from_python(self) -> None:
        """Keep warnings and log records."""
        warnings.simplefilter("always")
        warnings.showwarning = self._keep_warning  # type: ignore[assignment]  # what its first parameters are is enough
        handler = logging.Handler()
        handler.emit = self._keep_record  # type: ignore[method-assign]
        logging.root.addHandler(handler)
        logging.root.setLevel(logging.DEBUG)

    def collect_from_django(self) -> None:
        """Keep all queries. Asks for a connection, so Django must be set up."""
        from django.db import connection

        connection.execute_wrappers.append(self._keep_query)

    def keep_answer(self, method: str, path: str, response: HttpResponse) -> None:
        """Keep the answer to a request."""
        cookies = [self.names.in_words(cookie.OutputString()) for cookie in response.cookies.values()]
        body = b"".join(response) if response.streaming else response.content
        self.answers.append(
            {
                "request": f"{method} {path}",
                "status": response.status_code,
                "headers": {name: self.names.in_words(value) for name, value in sorted(response.items())},
                "cookies": cookies,
                "body": self.names.in_words(body.decode("utf-8", "backslashreplace")),
            }
        )

    def as_dict(self, directory: Path) -> dict[str, Any]:
        """Return all of it, with the database and the files in *directory*."""
        from django.core import mail

        return {
            "answers": self.answers,
            "queries": self.queries,
            "log": self.log,
            "warnings": self.warnings,
            "mails": [[one.subject, one.body, *one.to] for one in getattr(mail, "outbox", [])],
            "tables": self._tables(directory / "site.sqlite3"),
            "files": dict(_files(directory / "media")),
        }

    def _keep_query(self, execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any) -> Any:
        self.queries.append(self.names.in_words(sql))
        return execute(sql, parameters, many, context)

    def _keep_warning(self, message: Any, category: type, filename: str, line: int, *_: Any) -> None:
        self.warnings.append(self.names.in_words(f"{filename}:{line}: {category.__name__}: {message}"))

    def _keep_record(self, record: logging.LogRecord) -> None:
        self.log.append(self.names.in_words(f"{record.name} {record.levelname} {record.getMessage()}"))

    def _tables(self, path: Path) -> dict[str, list[str]]:
        database = sqlite3.connect(path)
        names = [
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        tables = {name: [self._row(name, row) for row in database.execute(f'SELECT * FROM "{name}"')] for name in names}
        database.close()
        return tables

    def _row(self, table: str, row: tuple[Any, ...]) -> str:
        if table == "django_session":
            return repr(_session(row[1]))
        return self.names.in_words(re.sub(r"md5\$\w+\$\w+", "<password>", repr(row)))


def _session(data: str) -> dict[str, Any]:
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore().decode(data)
    return {key: "<random>" if key == "_auth_user_hash" else value for key, value in sorted(session.items())}


def _files(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(root)), hashlib.sha256(path.read_bytes()).hexdigest()
