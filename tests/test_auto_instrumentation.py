"""The entry point of ``opentelemetry-instrument``: no line of code in the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path

import django.dispatch
import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

import heliograph
from heliograph import instrumentor as heliograph_instrumentor
from heliograph.auto_instrumentation import HeliographInstrumentor
from heliograph.errors import ConfigurationError

ORIGINAL = vars(django.dispatch.Signal)["send"]


@pytest.fixture
def instrumentor():
    """The one instrumentor, not instrumented before and after."""
    made = HeliographInstrumentor()
    yield made
    if made.is_instrumented_by_opentelemetry:
        made.uninstrument()


def test_it_keeps_the_contract_of_an_instrumentor(instrumentor):
    """One instance, no dependencies of its own, and it knows whether it is on."""
    assert isinstance(instrumentor, BaseInstrumentor)
    assert HeliographInstrumentor() is instrumentor
    assert list(instrumentor.instrumentation_dependencies()) == []
    assert instrumentor.is_instrumented_by_opentelemetry is False


def test_it_instruments_and_uninstruments(instrumentor, spans, metrics):
    """With what it was given; afterwards all is as before."""
    instrumentor.instrument(tracer_provider=spans.provider, meter_provider=metrics.provider, level="all")
    assert instrumentor.is_instrumented_by_opentelemetry is True
    django.dispatch.Signal().send(sender=None)
    heliograph.Signal(name="own").send(sender=None)
    instrumentor.uninstrument()
    django.dispatch.Signal().send(sender=None)

    assert spans.names == ["send _OTHER", "send own"]
    assert vars(django.dispatch.Signal)["send"] is ORIGINAL
    assert heliograph_instrumentor._installed == {}


def test_it_can_be_instrumented_again(instrumentor, spans):
    """As often as one likes."""
    for _ in range(2):
        instrumentor.instrument(tracer_provider=spans.provider)
        heliograph.Signal(name="own").send(sender=None)
        instrumentor.uninstrument()

    assert spans.names == ["send own", "send own"]


def test_instrumenting_twice_is_instrumenting_once(instrumentor, spans):
    """OpenTelemetry says so in a log line."""
    instrumentor.instrument(tracer_provider=spans.provider)
    instrumentor.instrument(tracer_provider=spans.provider)
    heliograph.Signal(name="own").send(sender=None)

    assert spans.names == ["send own"]


def test_uninstrumenting_what_is_not_instrumented_does_nothing(instrumentor):
    """Not even after somebody else has instrumented."""
    instrumentor.uninstrument()

    assert vars(django.dispatch.Signal)["send"] is ORIGINAL


def test_a_wrong_setting_is_an_error(instrumentor):
    """And it is not on then."""
    with pytest.raises(ConfigurationError, match=r"^level= cannot be 'verbose'"):
        instrumentor.instrument(level="verbose")

    assert instrumentor.is_instrumented_by_opentelemetry is False


def installed() -> bool:
    try:
        distribution("heliograph")
    except PackageNotFoundError:
        return False
    return True


needs_installation = pytest.mark.skipif(not installed(), reason="capability entry points: heliograph is not installed")


@needs_installation
def test_it_is_found_by_its_entry_point():
    """Under the name ``heliograph``, in the group that opentelemetry-instrument loads."""
    [found] = entry_points(group="opentelemetry_instrumentor", name="heliograph")

    assert found.load() is HeliographInstrumentor


PROGRAM = """
import django
from django.conf import settings
from django.dispatch import Signal

settings.configure()
django.setup()
pizza_done = Signal()

def ring(sender, **kwargs):
    return "rang"

pizza_done.connect(ring)
assert pizza_done.send(sender=None) == [(ring, "rang")]
"""


def run_program(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program under opentelemetry-instrument, with heliograph alone to instrument it."""
    program = folder / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = Path(sys.executable).parent / "opentelemetry-instrument"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DJANGO_", "PYTEST_"))}
    return subprocess.run(
        [command, "--traces_exporter", "console", "--metrics_exporter", "none", sys.executable, program],
        env={
            **kept,
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "django",
            "OTEL_LOGS_EXPORTER": "none",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


needs_command = pytest.mark.skipif(
    shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent)) is None,
    reason="capability opentelemetry-instrument: not installed",
)


def spans_in(output: str) -> list[dict[str, object]]:
    decoder, found = json.JSONDecoder(), []
    while output := output.lstrip():
        span, end = decoder.raw_decode(output)
        found.append(span)
        output = output[end:]
    return found


@needs_installation
@needs_command
def test_a_program_without_a_line_of_code_is_traced(tmp_path):
    """``opentelemetry-instrument python program.py`` prints its dispatches and receivers."""
    ended = run_program(tmp_path)

    assert ended.returncode == 0, ended.stderr
    spans = {str(span["name"]): span for span in spans_in(ended.stdout)}
    assert {"send pizza_done", "handle __main__.ring"} <= set(spans)
    dispatch, handled = spans["send pizza_done"], spans["handle __main__.ring"]
    assert handled["parent_id"] == dispatch["context"]["span_id"]  # type: ignore[index]
    assert dispatch["attributes"]["heliograph.signal.name"] == "__main__.pizza_done"  # type: ignore[index]


@needs_installation
@needs_command
def test_the_environment_decides(tmp_path):
    """A level of errors leaves a healthy program's spans out."""
    ended = run_program(tmp_path, OTEL_PYTHON_HELIOGRAPH_LEVEL="errors")

    assert ended.returncode == 0, ended.stderr
    assert "pizza_done" not in ended.stdout


@needs_installation
@needs_command
def test_a_wrong_variable_leaves_the_program_alone(tmp_path):
    """It runs to its end, and the message names the variable, the value and what is valid."""
    ended = run_program(tmp_path, OTEL_PYTHON_HELIOGRAPH_LEVEL="verbose")

    assert ended.returncode == 0
    assert "OTEL_PYTHON_HELIOGRAPH_LEVEL cannot be 'verbose'. Valid: off, errors, slow, all." in ended.stderr
