"""heliograph as a Django application, in projects of its own: each test runs a real ``manage.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = """
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["heliograph.contrib.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True
"""

OBSERVED = """
import django
from django.dispatch import Signal
from django.test.utils import override_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
django.setup()

order_paid = Signal()

def send_receipt(**kwargs):
    pass

order_paid.connect(send_receipt)

def spans_of_a_send():
    exporter.clear()
    order_paid.send(sender=None)
    return [span.name for span in exporter.get_finished_spans()]
"""


class Project:
    """A Django project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def configure(self, heliograph: str) -> None:
        (self.folder / "project_settings.py").write_text(f"{SETTINGS}\nHELIOGRAPH = {heliograph}\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"DJANGO_SETTINGS_MODULE": "project_settings", "PYTHONPATH": _python_path(self.folder)}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment | self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def check(self) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "django", "check")


def _python_path(folder: Path) -> str:
    return ":".join([str(folder), *filter(None, sys.path)])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.configure("{}")
    return project


def test_an_installed_app_traces_signals_without_further_code(project):
    """One line in INSTALLED_APPS is enough: a send of the project's own signal has its spans."""
    ran = project.run("-c", f"{OBSERVED}\nprint(spans_of_a_send())")

    assert ran.stderr == ""
    assert ran.stdout == "['handle __main__.send_receipt', 'send order_paid']\n"


def test_settings_come_from_the_heliograph_dict(project):
    """HELIOGRAPH decides what is said, its keys in upper case."""
    project.configure("{'EXCLUDED_SIGNALS': ['__main__.order_paid']}")

    ran = project.run("-c", f"{OBSERVED}\nprint(spans_of_a_send())")

    assert ran.stdout == "[]\n"


def test_settings_are_read_again_when_a_test_overrides_them(project):
    """override_settings(HELIOGRAPH=...) is in force inside the block, and the old settings after it."""
    ran = project.run(
        "-c",
        f"{OBSERVED}\n"
        "print(spans_of_a_send())\n"
        "with override_settings(HELIOGRAPH={'LEVEL': 'errors'}):\n"
        "    print(spans_of_a_send())\n"
        "print(spans_of_a_send())\n",
    )

    both = "['handle __main__.send_receipt', 'send order_paid']"
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [both, "[]", both]


def test_the_dict_beats_the_environment(project):
    """A value in HELIOGRAPH wins over OTEL_PYTHON_HELIOGRAPH_LEVEL."""
    project.configure("{'LEVEL': 'all'}")
    project.environment["OTEL_PYTHON_HELIOGRAPH_LEVEL"] = "off"

    ran = project.run("-c", f"{OBSERVED}\nprint(spans_of_a_send())")

    assert ran.stdout == "['handle __main__.send_receipt', 'send order_paid']\n"


def test_the_system_check_reports_every_bad_setting(project):
    """Unknown keys and bad values are errors of ``manage.py check``: each with its key, its value and what is valid."""
    project.configure("{'LEVLE': 'slow', 'SLOW': -1, 'LEVEL': 'loud'}")

    ran = project.check()

    assert ran.returncode == 1
    assert "HELIOGRAPH['LEVLE'] is no setting of heliograph. Did you mean level?" in ran.stderr
    assert (
        "HELIOGRAPH['SLOW'] cannot be -1. Valid: a number of seconds that is zero or more, such as 0.1." in ran.stderr
    )
    assert "HELIOGRAPH['LEVEL'] cannot be 'loud'. Valid: off, errors, slow, all." in ran.stderr
    assert "3 issues" in ran.stderr


def test_the_system_check_reports_what_is_no_dict(project):
    """HELIOGRAPH has to be a dictionary."""
    project.configure("['slow']")

    ran = project.check()

    assert ran.returncode == 1
    assert "HELIOGRAPH cannot be ['slow']. Valid: a dict of settings" in ran.stderr


def test_the_system_check_warns_of_a_filter_that_matches_nothing(project):
    """A slip in a name is a warning with the name that was meant."""
    project.configure("{'EXCLUDED_SIGNALS': ['post_sve', 'pre_save']}")

    ran = project.check()

    assert ran.returncode == 0
    assert "heliograph.W001" in ran.stderr
    assert "excluded_signals: 'post_sve' matches nothing that is known here." in ran.stderr
    assert "Did you mean django.db.models.signals.post_save" in ran.stderr
    assert "'pre_save'" not in ran.stderr


def test_bad_settings_do_not_stop_a_program_that_runs_no_checks(project):
    """The program's own work goes on unobserved, and the log says why."""
    project.configure("{'LEVEL': 'loud'}")

    ran = project.run("-c", f"{OBSERVED}\nprint(spans_of_a_send())")

    assert ran.returncode == 0
    assert ran.stdout == "[]\n"
    assert "heliograph observes nothing: HELIOGRAPH['LEVEL'] cannot be 'loud'." in ran.stderr


def test_a_sound_configuration_passes_the_check(project):
    """No message where nothing is wrong."""
    project.configure("{'LEVEL': 'slow', 'SLOW': 0.25, 'BUDGET': 50}")

    ran = project.check()

    assert ran.returncode == 0
    assert "no issues" in ran.stdout + ran.stderr


def test_the_launcher_and_the_dict_work_together(project):
    """What the launcher instrumented before Django had its settings takes them over; arguments stay."""
    project.configure("{'EXCLUDED_SIGNALS': ['__main__.order_paid'], 'LEVEL': 'slow'}")
    program = OBSERVED.replace(
        "django.setup()", "import heliograph\nfirst = heliograph.instrument(level='all')\ndjango.setup()"
    )

    ran = project.run(
        "-c",
        f"{program}\n"
        "from heliograph import instrumentor\n"
        "print(spans_of_a_send(), instrumentor._installed['django'].telemetry.worth.settings.level)\n"
        "first()\n"
        "first()\n",
    )

    assert ran.stderr == ""
    assert ran.stdout == "[] all\n"


def test_a_misspelt_variable_is_reported_by_the_check(project):
    """A variable with our prefix that is no setting is an error that says which was meant."""
    project.environment["OTEL_PYTHON_HELIOGRAPH_EXCLUDED_RECIEVERS"] = "shop.*"

    ran = project.check()

    assert ran.returncode == 1
    assert "OTEL_PYTHON_HELIOGRAPH_EXCLUDED_RECIEVERS is no setting of heliograph." in ran.stderr
    assert "Did you mean excluded_receivers?" in ran.stderr
