"""Celery with everything real: a worker, a client, Redis between them, and OpenTelemetry's own instrumentation beside us."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.otlp import OtlpSink

pytestmark = pytest.mark.end_to_end

for needed in ("celery", "redis", "opentelemetry.instrumentation.celery"):
    if find_spec(needed.partition(".")[0]) is None or find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

PYTHON = sys.executable
BIN = Path(sys.executable).parent
POST_OFFICE = Path(__file__).parents[2] / "examples" / "celery_post_office"
WORKER = ["-A", "celery_kitchen.app", "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
SECONDS = 60

Span = dict[str, Any]
Command = list[str | Path]


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a Redis of our own, on a socket that nobody else knows."""
    server = shutil.which("redis-server")
    if server is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed: apt-get install redis-server")
        pytest.skip("redis-server is not installed")
    with tempfile.TemporaryDirectory(prefix="heliograph") as folder:  # the path of a socket has to be short
        socket = Path(folder) / "redis.sock"
        command = [server, "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert any("ready to accept connections" in line.lower() for line in process.stdout)
            yield f"redis+socket://{socket}"
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


class Evening(NamedTuple):
    """What came of one worker's time in the kitchen.

    Attributes:
        meals: What the waiter printed: the tasks' results.
        spans: All spans that client and worker exported.
        log: The worker's log.
    """

    meals: list[str]
    spans: list[Span]
    log: str


@pytest.fixture
def backend() -> Iterator[OtlpSink]:
    """Where client and worker send their spans."""
    with OtlpSink() as sink:
        yield sink


@pytest.fixture
def serve(redis, backend, start) -> Callable[..., Evening]:
    """Runs a worker and a client, one after the other's start, and stops the worker when all tasks have been done."""

    def serve(worker: Command, waiter: Command, **variables: str) -> Evening:
        environment = {
            "KITCHEN_REDIS": redis,
            "KITCHEN_OTLP": backend.url,
            "OTEL_BSP_SCHEDULE_DELAY": "600000",  # whatever is exported has been flushed
            **variables,
        }
        open_worker = start(*worker, **environment)
        assert "the kitchen is open\n" in iter(open_worker.stdout.readline, ""), open_worker.stderr.read()
        client = start(*waiter, **environment)
        meals, complaints = client.communicate(timeout=SECONDS)
        assert client.returncode == 0, complaints
        open_worker.terminate()
        _, log = open_worker.communicate(timeout=SECONDS)
        assert open_worker.returncode == 0, log
        return Evening(meals.splitlines(), backend.spans, log)

    return serve


def branch(name: str, *children: Any, status: str = "") -> Any:
    """A span and those below it, in no order: they may come from two processes."""
    return (f"{name} {status}".strip(), *sorted(children, key=str))


MEALS = ["'pizza, baked'", "ValueError('smoke')", "1"]

TOLD = branch("send after_task_publish", "handle tell_guest")
SET = branch("send task_prerun", "handle lay_table")
APPLAUDED = branch("send task_success", branch("handle applaud", "clap ERROR", status="ERROR"))

# One evening, seen by heliograph beside OpenTelemetry's instrumentation. apply_async and run are theirs.
GUEST = branch(
    "guest",
    "send on_configure",
    "send on_after_configure",
    branch("send before_task_publish", "handle stamp"),
    "send on_after_finalize",
    branch(
        "apply_async/kitchen.bake",
        TOLD,
        branch(
            "run/kitchen.bake",
            SET,
            "oven",
            APPLAUDED,
            branch("send task_postrun", branch("handle wash_up", "sponge")),
        ),
    ),
    branch(
        "apply_async/kitchen.burn",
        TOLD,
        branch(
            "run/kitchen.burn",
            SET,
            branch("send task_failure", branch("handle sweep", "broom")),
            status="ERROR",
        ),
    ),
    branch(
        "apply_async/kitchen.try_again",
        TOLD,
        branch(
            "run/kitchen.try_again",
            SET,
            branch(
                "apply_async/kitchen.try_again",
                TOLD,
                branch("run/kitchen.try_again", SET, APPLAUDED),
            ),
            branch("send task_retry", "handle fetch_more"),
        ),
    ),
)


@pytest.mark.parametrize(
    ("pool", "order"),
    [
        ("solo", "heliograph-first"),
        ("solo", "heliograph-last"),
        ("threads", "heliograph-first"),
        ("threads", "heliograph-last"),
        ("prefork", "heliograph-first"),
        ("prefork", "heliograph-last"),
        ("prefork", "in-the-pool"),
    ],
)
def test_receivers_are_in_their_tasks_trace(serve, pool, order):
    """In each pool, whichever instrumentation was there first, and whichever receivers.

    A client orders three meals: one succeeds, one fails, one is tried again. From the client's span to the last span in the
    worker it is one trace, and each span has the parent it should: receivers their dispatch, dispatches and the task's own
    spans the task. OpenTelemetry's own receivers are not seen, and none of its contexts was lost.
    """
    evening = serve(
        [PYTHON, "-m", "celery_kitchen.worker", pool, order],
        [PYTHON, "-m", "celery_kitchen.waiter", "heliograph-first" if order == "in-the-pool" else order],
    )

    assert evening.meals == MEALS
    assert outlines(evening.spans)["guest"] == [GUEST]
    assert [span["name"] for span in evening.spans if "opentelemetry." in span["name"]] == []
    assert "Failed to detach" not in evening.log
    assert said("signal_receiver_failed", evening.log) == ["celery_kitchen.app.applaud"] * 2
    assert "celery_kitchen.app.wash_up" in said("signal_receiver_slow", evening.log)  # others may be, on a busy machine
    assert evening.log.count("Signal handler <function applaud at 0x") == 2  # Celery's own line is still there


def test_no_line_of_code_is_needed(serve, backend):
    """Client and worker are started with ``opentelemetry-instrument``, the worker by Celery's own command: the same trace."""
    if not entry_points(group="opentelemetry_configurator"):
        pytest.skip("opentelemetry-distro is not installed: nothing sets a provider up")
    evening = serve(
        [BIN / "opentelemetry-instrument", BIN / "celery", *WORKER, "--concurrency", "2"],
        [BIN / "opentelemetry-instrument", PYTHON, "-m", "celery_kitchen.waiter"],
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
    )

    assert evening.meals == MEALS
    assert outlines(evening.spans)["guest"] == [GUEST]
    assert "Failed to detach" not in evening.log


def test_heliograph_run_reports_on_a_worker(redis, start, tmp_path):
    """``heliograph run -m celery ... worker``, with the example: no backend, no SDK, and its receivers are in the report."""
    saved = tmp_path / "report.json"
    variables = {"POST_OFFICE_REDIS": redis, "PYTHONPATH": str(POST_OFFICE)}
    command = [PYTHON, "-m", "heliograph", "run", "--save", saved, "-m", "celery", "-A", "post_office", "worker"]
    worker = start(*command, "--pool", "solo", "--loglevel", "WARNING", **variables)
    assert any("The counter is open." in line for line in iter(worker.stderr.readline, "")), "it ended"
    client = start(PYTHON, POST_OFFICE / "day.py", **variables)
    letters, complaints = client.communicate(timeout=SECONDS)
    worker.terminate()
    worker.communicate(timeout=SECONDS)

    assert (client.returncode, complaints, worker.returncode) == (0, "", 0)
    assert letters.splitlines() == [
        "'a bill, stamped'",
        "'a postcard, stamped'",
        "'a bill, in Mill Lane'",
        "LookupError('Nowhere')",
        "'a parcel, across'",
    ]
    report = json.loads(saved.read_text())
    assert sorted((one["signal"], one["receiver"], one["count"], one["failed"]) for one in report["receivers"]) == [
        ("celery.signals.task_failure", "post_office.tell_sender", 1, 1),
        ("celery.signals.task_prerun", "post_office.write_into_book", 6, 0),
        ("celery.signals.task_retry", "post_office.tell_ferryman", 1, 0),
        ("celery.signals.task_success", "post_office.count_stamps", 2, 0),
        ("celery.signals.worker_ready", "post_office.open_counter", 1, 0),
    ]
    assert [(one["receiver"], one["error"], one["captured"]) for one in report["failures"]] == [
        ("post_office.tell_sender", "ConnectionError", True)
    ]
    assert {one["receiver"]: one["slow"] for one in report["receivers"]}["post_office.count_stamps"] == 2
    assert "celery.signals.task_received" in {one["signal"] for one in report["orphans"]}


def outlines(spans: list[Span]) -> dict[str, list[Any]]:
    """Return all trees as nested tuples of names, by the root's name, as :func:`branch` writes them.

    Receivers are without their modules, and who failed says so. A span whose parent was not exported is an orphan.
    """
    known = {(span["trace_id"], span["span_id"]) for span in spans}
    assert len(known) == len(spans)
    below = defaultdict(list)
    for span in spans:
        parent = (span["trace_id"], span["parent_id"])
        assert not span["parent_id"] or parent in known, f"orphan: {span['name']}"
        below[parent].append(span)

    def outline(span: Span) -> Any:
        children = [outline(child) for child in below[span["trace_id"], span["span_id"]]]
        return branch(label(span), *children) if children else label(span)

    roots = [span for span in spans if not span["parent_id"]]
    return {name: [outline(root) for root in roots if root["name"] == name] for name in {one["name"] for one in roots}}


def label(span: Span) -> str:
    verb, _, rest = span["name"].partition(" ")
    name = f"handle {rest.rpartition('.')[2]}" if verb == "handle" else span["name"]
    return name if span["status"] == "UNSET" else f"{name} {span['status']}"


def said(event: str, log: str) -> list[str]:
    """Return the receivers that heliograph's lines of that event are about."""
    return re.findall(rf"{event} .*? receiver=(\S+)", log)
