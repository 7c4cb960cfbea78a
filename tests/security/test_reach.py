"""How far heliograph reaches by itself, and what grows with use."""

from __future__ import annotations

from collections.abc import Callable

import heliograph
from tests.security.conftest import CANARY, OutOfStock, python


def make_receiver(number: int) -> Callable[..., int]:
    def receiver(**_):
        return number

    return receiver


class Sender:
    """Is sent, each time another one."""


def test_series_are_as_many_as_there_are_names_in_the_code(instrument, spans, metrics):
    """Receivers made anew, other senders, other values, other messages: the same series, and the same names of spans."""
    instrument("heliograph", budget=1000)
    for number in range(50):
        signal = heliograph.Signal(name="shop.order_paid")
        receiver = make_receiver(number)
        signal.connect(receiver)
        signal.connect(fails := (lambda number, **_: (_ for _ in ()).throw(OutOfStock(f"{CANARY} {number}"))))
        signal.send_robust(sender=Sender(), number=number, canary=f"{CANARY} {number}")
        del fails

    assert len({span.name for span in spans.finished}) == 3
    assert len(spans.finished) == 150
    assert {name: len(metrics.points(name)) for name in sorted(metrics.all())} == {
        "heliograph.dispatch.duration": 1,
        "heliograph.dispatch.receivers": 1,
        "heliograph.receiver.duration": 2,
    }


WITHOUT_A_BACKEND = """
import sys

touched = []

def note(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")):
        touched.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        touched.append(f"write {arguments[0]}")

sys.dont_write_bytecode = True
import heliograph
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

sys.addaudithook(note)
heliograph.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider([InMemoryMetricReader()]))
paid = heliograph.Signal(name="shop.paid")

@heliograph.receiver(paid)
def receipt(**_):
    raise ConnectionError

paid.send_robust(sender=None)
print(touched)
"""


def test_the_library_opens_nothing_itself(tmp_path):
    """No connection, no port, no process, no file to write: whatever leaves goes through the exporters it is given."""
    (tmp_path / "program.py").write_text(WITHOUT_A_BACKEND, encoding="utf-8")
    ran = python(tmp_path, "program.py")

    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr
