"""``heliograph.instrument`` and its undo, and heliograph's own signals, which need neither."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import django.dispatch
import pytest

import heliograph
from heliograph import instrumentor
from heliograph.errors import ConfigurationError, LibraryNotFoundError
from heliograph.fanout import observer as observers
from tests.support.shop.models import Pizza
from tests.support.shop.signals import pizza_done
from tests.support.telemetry import Metrics, Spans

Signal = django.dispatch.Signal
METHODS = [name for name in ("send", "send_robust", "asend", "asend_robust") if hasattr(Signal, name)]
ORIGINALS = {name: vars(Signal)[name] for name in METHODS}


def methods():
    return {name: vars(Signal)[name] for name in METHODS}


def receiver(**_):
    return "heard"


@pytest.fixture(params=[heliograph.Signal, Signal], ids=["heliograph", "django"])
def signal(request):
    """A signal of each library, with one receiver."""
    made = request.param()
    made.connect(receiver)
    return made


def test_every_installed_library_is_instrumented(instrument, spans, signal):
    """When none is named."""
    instrument()
    signal.send(sender=None)

    assert spans.counts() == {"send _OTHER": 1, "handle receiver": 1}
    assert [one.library for one in instrumentor.adapters()] == [
        "heliograph",
        "blinker",
        "celery",
        "django",
        "pydispatcher",
    ]


def test_a_library_that_was_not_named_is_left_alone(instrument, spans):
    """By its methods and its spans."""
    instrument("heliograph")
    Signal().send(sender=None)

    assert methods() == ORIGINALS
    assert spans.finished == []


def test_undo_leaves_no_trace(instrument, spans, signal):
    """The original functions are back, nobody observes, nothing is said."""
    before = observers._interest.observers
    undo = instrument()
    assert methods() != ORIGINALS
    undo()
    signal.send(sender=None)

    assert methods() == ORIGINALS
    assert observers._interest.observers == before
    assert instrumentor._installed == {}
    assert spans.finished == []


def test_undoing_twice_is_undoing_once(instrument, spans, signal):
    """The second time does not undo what somebody else has done since."""
    first = instrument()
    first()
    second = instrument()
    first()
    signal.send(sender=None)
    assert spans.counts()["send _OTHER"] == 1
    second()
    second()

    assert methods() == ORIGINALS


def test_instrumenting_twice_is_instrumenting_once(instrument, spans, signal, caplog):
    """One span a send, and nobody complains."""
    first = instrument()
    second = instrument()
    signal.send(sender=None)
    assert spans.counts() == {"send _OTHER": 1, "handle receiver": 1}
    second()
    signal.send(sender=None)
    assert spans.counts() == {"send _OTHER": 2, "handle receiver": 2}
    first()
    signal.send(sender=None)
    assert spans.counts() == {"send _OTHER": 2, "handle receiver": 2}
    assert caplog.records == []


def test_instrumenting_again_with_other_settings_says_so(instrument, spans, signal, caplog):
    """What is in force stays in force."""
    instrument()
    with caplog.at_level(logging.WARNING):
        instrument("heliograph", level="off")
    signal.send(sender=None)

    [record] = caplog.records
    assert record.getMessage() == (
        "heliograph is instrumented already, with other settings or providers, and stays as it is. "
        "Undo that first to change them."
    )
    assert spans.counts()["send _OTHER"] == 1


def test_libraries_are_undone_by_whoever_instrumented_them(instrument, spans):
    """One at a time, in any order."""
    own, theirs = heliograph.Signal(), Signal()
    first = instrument("django")
    rest = instrument()
    first()
    own.send(sender=None)
    theirs.send(sender=None)
    assert [dict(span.attributes)["heliograph.system.name"] for span in spans.finished] == ["heliograph"]
    rest()
    own.send(sender=None)
    assert len(spans.finished) == 1


def test_it_is_a_context_manager(instrument, spans, signal):
    """Nested ones are one."""
    with instrument() as undo:
        assert callable(undo)
        with instrument():
            signal.send(sender=None)
        signal.send(sender=None)
    signal.send(sender=None)

    assert spans.counts()["send _OTHER"] == 2
    assert methods() == ORIGINALS


def test_an_error_within_undoes_too(instrument):
    """And is not swallowed."""
    with pytest.raises(KeyError), instrument():
        raise KeyError

    assert methods() == ORIGINALS


def test_an_unknown_library_is_an_error():
    """With those that are known."""
    with pytest.raises(ConfigurationError) as caught:
        heliograph.instrument("djanog")

    assert (
        str(caught.value)
        == "There is no adapter for 'djanog'. Valid: heliograph, blinker, celery, django, pydispatcher. "
        "Flask's signals are blinker's, Scrapy's are pydispatcher's."
    )


def test_a_library_that_is_not_installed_is_an_error(monkeypatch):
    """If it was named; otherwise it is passed over."""
    monkeypatch.setattr(instrumentor._adapters["django"], "available", lambda: False)
    with pytest.raises(LibraryNotFoundError) as caught:
        heliograph.instrument("django")

    assert str(caught.value) == "django was to be instrumented but is not installed. Install django first."
    assert isinstance(caught.value, ImportError)
    assert "django" not in [one.library for one in instrumentor.adapters()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "verbose"}, "level= cannot be 'verbose'. Valid: off, errors, slow, all."),
        ({"slow": -1}, "slow= cannot be -1. Valid: a number of seconds that is zero or more, such as 0.1."),
        ({"framework_settings": {"LEVEL": "x"}}, "HELIOGRAPH['LEVEL'] cannot be 'x'. Valid: off, errors, slow, all."),
    ],
)
def test_wrong_settings_instrument_nothing(arguments, message):
    """All is checked before the first library is touched."""
    with pytest.raises(ConfigurationError) as caught:
        heliograph.instrument(**arguments)

    assert str(caught.value) == message
    assert methods() == ORIGINALS
    assert instrumentor._installed == {}


def test_an_unknown_argument_is_an_error():
    """With a suggestion."""
    with pytest.raises(ConfigurationError, match=r"levle is no setting of heliograph. Did you mean level"):
        heliograph.instrument(levle="off")


def test_a_wrong_variable_is_an_error_that_names_it(monkeypatch):
    """Nothing is instrumented."""
    monkeypatch.setenv("OTEL_PYTHON_HELIOGRAPH_SLOW", "soon")
    with pytest.raises(ConfigurationError, match=r"^OTEL_PYTHON_HELIOGRAPH_SLOW cannot be 'soon'"):
        heliograph.instrument()
    assert methods() == ORIGINALS


def test_patterns_that_match_nothing_are_reported(instrument):
    """With what looks like them: signals and receivers of all libraries are known."""
    pizza_done.connect(receiver)
    instrument(
        excluded_signals=["django.db.models.signals.post_svae", "pizza_done"],
        excluded_receivers=[f"{__name__}.reciever", "qqqqqqqqqqqq"],
    )
    found = [str(one) for one in instrumentor.unmatched_patterns()]
    pizza_done.disconnect(receiver)

    nothing = "matches nothing that is known here."
    assert len(found) == 3
    assert found[0].startswith(
        f"excluded_signals: 'django.db.models.signals.post_svae' {nothing} "
        "Did you mean django.db.models.signals.post_save"
    )
    assert found[1].startswith(f"excluded_receivers: '{__name__}.reciever' {nothing} Did you mean {__name__}.receiver")
    assert found[2] == f"excluded_receivers: 'qqqqqqqqqqqq' {nothing}"


def test_a_pattern_matches_a_signal_that_was_only_sent(instrument):
    """A signal that no module holds is known from its sends."""
    instrument(included_signals=["shop.order_paid"])
    assert [one.pattern for one in instrumentor.unmatched_patterns()] == ["shop.order_paid"]
    signal = heliograph.Signal(name="shop.order_paid")
    signal.send(sender=None)

    assert instrumentor.unmatched_patterns() == []


def test_at_the_end_of_the_process_unmatched_patterns_are_logged(instrument, caplog):
    """And what is held back is said."""
    instrument("heliograph", excluded_signals=["qqqqqqqqqqqq"])
    with caplog.at_level(logging.WARNING):
        instrumentor._end()

    assert [record.getMessage() for record in caplog.records] == [
        "excluded_signals: 'qqqqqqqqqqqq' matches nothing that is known here."
    ]


def test_settings_of_the_framework_are_beaten_by_arguments(instrument, spans, signal):
    """As for Settings."""
    instrument(framework_settings={"LEVEL": "off"}, level="all")
    signal.send(sender=None)

    assert spans.counts()["send _OTHER"] == 1


def test_each_library_speaks_to_the_providers_it_was_given():
    """They may differ."""
    first, second, metrics = Spans(), Spans(), Metrics()
    with (
        heliograph.instrument("heliograph", tracer_provider=first.provider, meter_provider=metrics.provider),
        heliograph.instrument("django", tracer_provider=second.provider, meter_provider=metrics.provider),
    ):
        heliograph.Signal(name="own").send(sender=None)
        Signal().send(sender=None)

    assert first.counts() == {"send own": 1}
    assert second.counts() == {"send _OTHER": 1}


def test_receivers_are_never_replaced(instrument, signal):
    """Neither in the registry nor in responses, before, during and after."""
    registered = list(signal.receivers)
    undo = instrument()
    [(during, _)] = signal.send(sender=None)
    assert list(signal.receivers) == registered
    undo()
    [(after, _)] = signal.send(sender=None)

    assert during is after is receiver
    assert list(signal.receivers) == registered


def test_classes_prepared_while_instrumented_are_models_all_the_same(instrument):
    """Django sends class_prepared while it builds them."""
    from django.db import models

    instrument(levels={"class_prepared": "all"})

    class Made(models.Model):
        class Meta:
            app_label = "shop"

        def __str__(self) -> str:
            return "made"

    assert Made._meta.label == "shop.Made"
    assert Pizza._meta.label == "shop.Pizza"


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with nothing of this one's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DJANGO_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


OWN = """
import sys
import heliograph

order_paid = heliograph.Signal(name="shop.order_paid")
pings = heliograph.Signal(name="shop.pings")

@order_paid.connect
def receipt(**_):
    return "receipt"

assert order_paid.send(sender=None) == [(receipt, "receipt")]
assert "django" not in sys.modules, "a framework was imported"

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))

def said():
    names = [span.name for span in exporter.get_finished_spans()]
    exporter.clear()
    return names

order_paid.send(sender=None)
assert said() == [], "there was no provider"
trace.set_tracer_provider(provider)
"""


def passes(program: str, **environment: str) -> None:
    ended = run(OWN + program, **environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_own_signals_speak_to_the_global_provider_once_there_is_one():
    """Without any call, and without a framework being imported."""
    passes("""
order_paid.send(sender=None)
assert said() == ["handle __main__.receipt", "send order_paid"]
""")


def test_own_signals_that_are_instrumented_are_not_traced_twice():
    """Instrumenting takes over, and undoing gives back."""
    passes("""
with heliograph.instrument("heliograph", level="errors"):
    order_paid.send(sender=None)
    assert said() == []
order_paid.send(sender=None)
assert said() == ["handle __main__.receipt", "send order_paid"]
""")


def test_own_signals_read_the_environment():
    """Levels and filters hold for them too."""
    passes(
        """
order_paid.send(sender=None)
assert said() == []
pings.send(sender=None)
assert said() == ["send pings"]
""",
        OTEL_PYTHON_HELIOGRAPH_EXCLUDED_SIGNALS="order_paid",
    )


def test_a_wrong_variable_does_not_break_own_signals():
    """Nobody called anything that could raise: it is logged once, by name, and the sends go on."""
    ended = run(
        OWN
        + """
import logging
logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
for _ in range(3):
    assert order_paid.send(sender=None) == [(receipt, "receipt")]
assert said() == []
""",
        OTEL_PYTHON_HELIOGRAPH_LEVEL="verbose",
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("OTEL_PYTHON_HELIOGRAPH_LEVEL cannot be 'verbose'") == 1


def test_importing_heliograph_imports_no_framework():
    """Adapters import their library when they are installed."""
    ended = run("import sys, heliograph; print([one for one in sys.modules if one.partition('.')[0] in ('django',)])")

    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "[]", "")


def test_what_is_rolled_up_is_said_at_the_end_of_the_process():
    """A parent that never ended does not swallow it."""
    ended = run("""
import heliograph
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")))
trace.set_tracer_provider(provider)
heliograph.instrument("heliograph", budget=1)
signal = heliograph.Signal(name="shop.order_paid")
with trace.use_span(provider.get_tracer("application").start_span("never ended")):
    for _ in range(5):
        signal.send(sender=None)
print("end")
""")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["send order_paid", "end", "send order_paid"]


def test_receivers_of_own_signals_are_known():
    """With the names of their signals, as long as both live."""
    from tests.support.shop.signals import own_pizza_done

    def local(**_):
        return None

    own_pizza_done.connect(local)
    own = instrumentor._adapters["heliograph"]
    assert ("tests.support.shop.signals.own_pizza_done", local) in list(own.connected())
    assert "tests.support.shop.signals.own_pizza_done" in own.signal_names()
    del local

    assert "tests.support.shop.signals.own_pizza_done" not in dict(own.connected())


def test_own_signals_are_known_by_the_name_they_were_given(monkeypatch):
    """It is the one that their spans have; where they are held does not matter then."""
    held: Any = ModuleType("made_for_a_test")
    held.paid = heliograph.Signal(name="shop.paid")
    held.paid.connect(receiver)
    monkeypatch.setitem(sys.modules, held.__name__, held)
    own = instrumentor._adapters["heliograph"]

    assert "shop.paid" in own.signal_names()
    assert "made_for_a_test.paid" not in own.signal_names()
    assert ("shop.paid", receiver) in list(own.connected())
