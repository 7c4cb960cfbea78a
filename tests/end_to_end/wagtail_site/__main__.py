"""Live the day in one of three ways, and write the evidence down."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Day = Callable[[], None]
Seen = dict[str, Any]


def main(way: str, directory: Path) -> None:
    """Live the day: ``plain``, ``recorded`` by the interpreter's own tracing, or ``observed`` by heliograph."""
    os.environ["WAGTAIL_SITE_DIRECTORY"] = str(directory)
    os.environ["DJANGO_SETTINGS_MODULE"] = "wagtail_site.settings"
    from .evidence import Evidence, set_the_clock

    evidence = Evidence()
    evidence.collect_from_python()
    set_the_clock()
    seen = {"plain": plain, "recorded": recorded, "observed": observed}[way](lambda: live(evidence))
    (directory / "evidence.json").write_text(json.dumps({**evidence.as_dict(directory), **seen}))


def live(evidence: Any) -> None:
    """Set Django up and live the day."""
    import django

    django.setup()
    from .browser import Browser
    from .day import live

    evidence.collect_from_django()
    live(Browser(evidence.keep_answer))


def plain(day: Day) -> Seen:
    """Live the day as it is."""
    day()
    return {"heliograph_imported": "heliograph" in sys.modules}


def recorded(day: Day) -> Seen:
    """Live the day and write down, by other means than heliograph's, who called whom."""
    from .recorder import Recorder

    recorder = Recorder()
    recorder.start()
    day()
    recorder.stop()
    from .words import Words

    words = Words()
    return {"sends": [words.send(one) for one in recorder.sends], "heliograph_imported": "heliograph" in sys.modules}


def observed(day: Day) -> Seen:
    """Live the day instrumented, and keep all telemetry."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    import heliograph

    exporter, reader, provider = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # Nothing is slow, and nothing rolled up, so that what is seen depends on nothing but what was sent.
    undo = heliograph.instrument(
        "django",
        tracer_provider=provider,
        meter_provider=MeterProvider([reader]),
        level="all",
        slow=3600,
        budget=1_000_000,
    )
    day()
    undo()
    metrics = reader.get_metrics_data()
    assert metrics is not None
    return {
        "spans": [json.loads(span.to_json()) for span in exporter.get_finished_spans()],
        "metrics": json.loads(metrics.to_json()),
    }


main(sys.argv[1], Path(sys.argv[2]))
