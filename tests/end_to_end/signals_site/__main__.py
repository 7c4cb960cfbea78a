"""Let everything happen, observed, and write down what was traced."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import heliograph

QUIET = ("pre_init", "post_init", "class_prepared")
# Nothing is slow, and nothing rolled up, so that what is traced depends on nothing but what was sent.
EXACT: dict[str, Any] = {"slow": 3600, "budget": 1_000_000}


def main(file: Path) -> None:
    """Let everything happen once with all signals asked for, once as heliograph is by default, once without it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "signals_site.settings"
    import django

    django.setup()
    from . import happenings, listeners

    names = [*listeners.NAMES, *(listeners.TASKS if django.VERSION >= (6,) else ())]
    signals = [listeners.find(name) for name in names]
    for signal in signals:
        signal.connect(listeners.before)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with heliograph.instrument("django", tracer_provider=provider, levels=dict.fromkeys(QUIET, "all"), **EXACT):
        for signal in signals:
            signal.connect(listeners.after)
        connected = {name: len(signal.receivers) for name, signal in zip(names, signals, strict=True)}
        asked_for = [let_happen(one, exporter, listeners.heard) for one in happenings.HAPPENINGS]
    with heliograph.instrument("django", tracer_provider=provider, **EXACT):
        by_default = let_happen(happenings.keep_a_pizza, exporter, listeners.heard)
    without = let_happen(happenings.keep_a_pizza, exporter, listeners.heard)
    found = {
        "asked_for": {one["happening"]: one for one in asked_for},
        "by_default": by_default,
        "without": without,
        "connected": connected,
    }
    file.write_text(json.dumps(found))


def let_happen(happening: Callable[[], None], exporter: InMemorySpanExporter, heard: list[str]) -> dict[str, Any]:
    """Return what was heard and what was traced while something happened."""
    heard.clear()
    exporter.clear()
    happening()
    return {
        "happening": happening.__name__,
        "heard": list(heard),
        "spans": [json.loads(span.to_json()) for span in exporter.get_finished_spans()],
    }


main(Path(sys.argv[1]))
