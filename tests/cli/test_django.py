"""Real Django projects, as their users run them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection

import pytest

from tests.cli.conftest import SECONDS, environment, interruptible

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("django_project")]


def test_manage_py_test(heliograph, python):
    """The tests run as they do without us; requests of the test client are requests, saves are counted."""
    ran = heliograph("run", "manage.py", "test", "--verbosity", "1")
    plain = python("manage.py", "test", "--verbosity", "1")

    assert (ran.code, ran.out) == (plain.code, plain.out) == (0, plain.out)
    assert re.sub(r"in [\d.]+s", "", ran.err) == re.sub(r"in [\d.]+s", "", plain.err)
    assert ran.report.splitlines()[1].startswith("heliograph · manage.py test --verbosity 1 ─")
    assert ran.report.splitlines()[2].startswith("1 request · ")
    assert ran.rows("request 1") == ["request 1"]
    assert ran.rows("post_save", "books.Book") == ["post_save  books.Book", "post_save  books.Book  ×10"]
    assert "books.models.index  ×10" in ran.report


def test_a_failing_test_run_keeps_its_exit_code(heliograph, folder):
    """A suite that fails fails."""
    with (folder / "books" / "tests.py").open("a") as tests:
        tests.write("\n    def test_wrong(self):\n        self.fail('wrong')\n")

    ran = heliograph("run", "manage.py", "test")

    assert ran.code == 1
    assert "AssertionError: wrong" in ran.err
    assert "books.models.index" in ran.report


def test_a_command_that_does_not_exist_keeps_its_exit_code(heliograph, python):
    """Errors of Django's command line are Django's."""
    ran, plain = heliograph("run", "manage.py", "nonsense"), python("manage.py", "nonsense")

    assert (ran.code, ran.out, ran.err) == (plain.code, plain.out, plain.err)


def test_pytest(heliograph, write):
    """The test runner runs as a module, with the options that are its own."""
    write(
        "test_books.py",
        """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        import django
        django.setup()
        from django.core.management import call_command
        from books.models import Book

        def test_saving():
            call_command("migrate", run_syncdb=True, verbosity=0)
            Book.objects.create(title="one")

        def test_wrong():
            assert 1 + 1 == 3
        """,
    )

    ran = heliograph(
        "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--level-that-is-not-ours=x", "test_books.py"
    )
    assert ran.code == 4
    ran = heliograph("run", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_books.py")

    assert ran.code == 1
    assert "1 failed, 1 passed" in ran.out
    assert "1 + 1) == 3" in ran.out or "(1 + 1) == 3" in ran.out
    assert ran.rows("post_save", "books.Book") == ["post_save  books.Book"]


def test_django_need_not_be_used(shop, heliograph):
    """A program without Django runs where Django is installed, and nothing of it is reported."""
    ran = heliograph("run", "shop.py")

    assert (ran.code, ran.out) == (0, "sold\n")
    assert "django" not in ran.report


RELOADING = """
    import os, signal, sys
    from django.conf import settings
    settings.configure(DEBUG=True)
    from django.dispatch import Signal
    from django.utils import autoreload

    started = Signal()

    def note(**_):
        print("noted", sys.argv[1:], flush=True)

    started.connect(note)

    def work(*_):
        started.send(None)
        os.kill(os.getpid(), signal.SIGINT)

    autoreload.run_with_reloader(work)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="is interrupted by a signal")
@pytest.mark.parametrize("as_module", [False, True])
def test_a_program_that_starts_itself_again_is_observed(write, heliograph, as_module):
    """Django's autoreloader does its work in a child; the child is observed, and it alone reports."""
    write("server.py", RELOADING)
    program = ("-m", "server") if as_module else ("server.py",)

    ran = heliograph("run", "--slow", "0.5", *program, "runserver", "--save")

    assert ran.out == "noted ['runserver', '--save']\n"
    assert ran.report.count("heliograph · ") == 1
    assert "note" in ran.report
    assert ran.code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="is interrupted by a signal")
def test_runserver(folder):
    """The development server serves, is interrupted, and reports the request."""
    port = free_port()
    command = ["run", "manage.py", "runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "heliograph", *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=interruptible,  # noqa: PLW1509  # it takes no lock
    )
    try:
        status = ask(process, port)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()

    assert status == 404
    assert process.returncode == 0
    assert f"heliograph · manage.py runserver --noreload --skip-checks 127.0.0.1:{port} ─" in err
    assert "\n1 request · " in err


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def ask(process: subprocess.Popen[str], port: int) -> int:
    """Ask the server for a page that does not exist as soon as it is there; return the status."""
    while process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        try:
            connection.request("GET", "/nowhere/", headers={"Connection": "close"})
            return connection.getresponse().status
        except ConnectionRefusedError:
            continue  # it is still starting
        finally:
            connection.close()
    raise AssertionError(process.communicate())


def test_the_demo(heliograph, folder):
    """A day at the pizza shop: what is slow, what fails, what cascades and what nobody hears is in the report."""
    ran = heliograph("demo", env={"COLUMNS": "80"})

    assert ran.code == 0
    assert "POST /orders/" in ran.out
    assert ran.report.splitlines()[1].startswith("heliograph · a day at the pizza shop ─")
    assert "SLOW" in ran.report
    assert "✗ FAILED ×3 ConnectionError" in ran.report
    assert "skipped" in ran.report
    assert "sent, and nobody heard" in ran.report
    assert "receivers never called" in ran.report
    assert max(map(len, ran.report.splitlines())) <= 80
    assert list(folder.glob("*.sqlite3")) == []


def test_the_demo_can_be_saved(heliograph):
    """The options of run are options of the demo."""
    ran = heliograph("demo", "--save", "day.json", "--level", "slow")
    again = heliograph("report", "day.json")

    assert (ran.code, ran.report) == (0, "")
    assert "print_receipt" in again.out
