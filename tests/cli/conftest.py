"""Programs to run, and the command that runs them: real processes, as a user starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Write = Callable[..., Path]
Run = Callable[..., "Ran"]

SECONDS = 120


class Ran(NamedTuple):
    """How a process ended, and what it wrote.

    Attributes:
        code: Its exit code.
        out: What it wrote to its standard output.
        err: What it wrote to its standard error, the report left out.
        report: The report, if one was printed.
    """

    code: int
    out: str
    err: str
    report: str

    def rows(self, *words: str) -> list[str]:
        """Return the lines of the report that have all *words* in them, without their numbers."""
        lines = [line for line in self.report.splitlines() if all(word in line for word in words)]
        return [re.split(r"  +[\d.,]+ [mµ]?s", line)[0].strip("│├└─ ") for line in lines]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a process: nothing in it decides how a report looks, or what is observed."""
    unwanted = ("OTEL_", "DJANGO_", "PYTEST_", "PIZZA_SHOP_", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PYTHONSAFEPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PYTHONIOENCODING": "utf-8", "TERM": "dumb", **variables}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that processes are started in."""
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a file into the folder, its text without the test's indentation."""

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


def interruptible() -> None:
    """Let SIGINT interrupt the process that is started, also where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(folder: Path, words: tuple[str, ...], env: dict[str, str], **options: Any) -> Ran:
    process = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
        preexec_fn=interruptible,
        **options,
    )
    err, begin, report = process.stderr.partition("\nheliograph · ")
    return Ran(process.returncode, process.stdout, err, begin + report)


@pytest.fixture
def python(folder: Path) -> Run:
    """Runs Python with some words, as a user would without heliograph."""
    return lambda *words, env=None, **options: _run(folder, words, env or {}, **options)


@pytest.fixture
def heliograph(folder: Path) -> Run:
    """Runs ``heliograph`` with some words."""
    return lambda *words, env=None, **options: _run(folder, ("-m", "heliograph", *words), env or {}, **options)


SHOP = """
    import logging
    import sys
    import heliograph

    logging.getLogger("heliograph.dispatch").addHandler(logging.NullHandler())
    paid = heliograph.Signal()
    lost = heliograph.Signal()

    @heliograph.receiver(paid)
    def receipt(**_):
        pass

    @heliograph.receiver(paid)
    def credit(**_):
        raise ConnectionError("canary")

    @heliograph.receiver(lost)
    def search(**_):
        pass

    for _ in range(3):
        paid.send_robust(None)
    print("sold", *sys.argv[1:])
"""


@pytest.fixture
def shop(write: Write) -> Path:
    """A script that sends one signal three times, to a receiver that works and to one that fails."""
    return write("shop.py", SHOP)


@pytest.fixture
def django_project(write: Write) -> None:
    """A Django project with one application, a model, a receiver and two tests."""
    write(
        "manage.py",
        """
        import os, sys
        from django.core.management import execute_from_command_line

        if __name__ == "__main__":
            os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
            execute_from_command_line(sys.argv)
        """,
    )
    write(
        "settings.py",
        """
        SECRET_KEY = "only for tests"
        DEBUG = True
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "books.urls"
        INSTALLED_APPS = ["books"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        USE_TZ = True
        """,
    )
    write("books/__init__.py", "")
    write(
        "books/models.py",
        """
        from django.db import models
        from django.db.models.signals import post_save
        from django.dispatch import receiver

        class Book(models.Model):
            title = models.CharField(max_length=50)

        @receiver(post_save, sender=Book)
        def index(sender, **kwargs):
            pass
        """,
    )
    write(
        "books/urls.py",
        """
        from django.http import HttpResponse
        from django.urls import path
        from books.models import Book

        def add(request):
            Book.objects.create(title="new")
            return HttpResponse("added")

        urlpatterns = [path("add/", add)]
        """,
    )
    write(
        "books/tests.py",
        """
        from django.test import TestCase
        from books.models import Book

        class BookTests(TestCase):
            def test_saving(self):
                for number in range(10):
                    Book.objects.create(title=str(number))

            def test_adding(self):
                self.assertEqual(self.client.get("/add/").content, b"added")
        """,
    )
