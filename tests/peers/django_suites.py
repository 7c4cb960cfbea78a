"""Run Django's own `dispatch` and `signals` tests, from the sdist of the Django that is installed, in one of three ways.

    python -m tests.peers.django_suites --signal django               # as they are: what to compare with
    python -m tests.peers.django_suites --signal heliograph           # heliograph.Signal in place of Django's
    python -m tests.peers.django_suites --signal django-instrumented  # Django's Signal, observed, spans recorded

With `--whole`, all of Django's tests are run without heliograph and with it (`make peers-django`, half an hour): Django may
fail tests of its own on a machine, and what must hold is that it fails the same.

The sdist is kept in `$XDG_CACHE_HOME/heliograph` (or `~/.cache/heliograph`). Ends with 0 only if every test passed and the
signals under test were the intended ones.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import runpy
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from tests.peers.sources import sources

SUITES = ("dispatch", "signals")
Check = Callable[[], None]


def main() -> int:
    """Run the suites in a process of their own and return its exit code."""
    options = parse(sys.argv[1:])
    if options.inside is not None:
        return run_here(options.signal, options.inside, () if options.all else SUITES)

    import django

    version = django.get_version()
    tests = sources("Django", version) / "tests"
    if options.whole:
        return compare_all(version, tests)
    print(f"== Django {version}: {' and '.join(SUITES)}, signal: {options.signal}", flush=True)
    began = time.perf_counter()
    command = [sys.executable, "-m", "tests.peers.django_suites", "--signal", options.signal, "--inside", str(tests)]
    code = subprocess.run(command, check=False).returncode
    print(
        f"== {'passed' if code == 0 else 'FAILED'} in {time.perf_counter() - began:.1f}s",
        flush=True,
    )
    return code


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options given on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--signal", choices=sorted(PREPARATIONS), help="what is under test")
    way.add_argument("--whole", action="store_true", help="all of Django's tests, without heliograph and with it")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# ------------------------------------------------------------------------------------------------------- all of the tests


def compare_all(version: str, tests: Path) -> int:
    """Run all of Django's tests without heliograph and with it, side by side; return 0 if they come to the same."""
    print(f"== Django {version}: all tests, on SQLite", flush=True)
    with ThreadPoolExecutor() as pool:
        plain, observed = pool.map(partial(outcomes_of, tests), ("django", "django-instrumented"))
    changed = sorted(plain.failures ^ observed.failures)
    for test in changed:
        print(f"   WRONG: {test} fails only {'without' if test in plain.failures else 'with'} heliograph")
    for test in sorted(plain.failures & observed.failures):
        print(f"   fails either way: {test}")
    complete = plain.ran == observed.ran > 0 and observed.spans != NO_SPANS
    print(f"== {plain.ran} tests without heliograph, {observed.ran} with it, {observed.spans}: ", end="")
    print("the same" if complete and not changed else "DIFFERENT", flush=True)
    return 0 if complete and not changed else 1


NO_SPANS = "no spans"


class Outcomes(NamedTuple):
    """What a run of all tests came to: how many there were, which failed, and what was recorded."""

    ran: int
    failures: frozenset[str]
    spans: str


def outcomes_of(tests: Path, signal: str) -> Outcomes:
    """Run all tests in a process of their own."""
    command = [sys.executable, "-m", "tests.peers.django_suites", "--signal", signal, "--inside", str(tests), "--all"]
    said = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    count = re.search(r"^Ran (\d+) tests", said, re.MULTILINE)
    if count is None:
        print(f"The run of {signal} did not come to its end:\n{said[-4000:]}", file=sys.stderr)
    return Outcomes(
        int(count[1]) if count else 0,
        frozenset(re.findall(r"^(?:FAIL|ERROR): (.*)$", said, re.MULTILINE)),
        next(iter(re.findall(r"^\d+ spans of \d+ names", said, re.MULTILINE)), NO_SPANS),
    )


# ---------------------------------------------------------------------------------------------------- inside the process


def run_here(signal: str, tests: Path, suites: Sequence[str]) -> int:
    """Prepare Django as *signal* says, run its test runner as the main program, then check what was under test.

    No *suites* are all of them.
    """
    early = sorted(name for name in sys.modules if name.startswith("django"))
    if early:
        print(f"Django was imported before it could be prepared: {early}", file=sys.stderr)
        return 1
    check = PREPARATIONS[signal]()
    os.chdir(tests)
    sys.path[0] = str(tests)
    sys.argv = ["runtests.py", *suites, "--settings=test_sqlite", "--parallel=1", "--noinput"]
    code = 0
    try:
        runpy.run_path("runtests.py", run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    try:
        check()
    except AssertionError as wrong:
        print(f"The tests did not run on what was to be tested: {wrong}", file=sys.stderr)
        return code or 1
    return code


def as_it_is() -> Check:
    """Leave Django alone."""
    return lambda: None


def replaced() -> Check:
    """Put heliograph's Signal and receiver where Django's modules and tests import theirs from."""
    import heliograph

    early = sorted(name for name in sys.modules if name.startswith("django"))
    assert not early, f"import heliograph imported {early}"

    from django import dispatch
    from django.dispatch import dispatcher

    class Signal(heliograph.Signal):
        """heliograph's Signal, with what Django's tests take from the inside of Django's to count receivers."""

        def _clear_dead_receivers(self) -> None:
            """Nothing to clear: dead receivers are never listed."""

    originals = dispatcher.Signal
    for module in (dispatch, dispatcher):
        vars(module).update(Signal=Signal, receiver=heliograph.receiver)
    logging.getLogger("heliograph.dispatch").addHandler(AsDjangoLogs())

    def check() -> None:
        from django.core import signals as core
        from django.db.models import signals as models
        from django.test import signals as test

        for signal in (
            models.post_save,
            models.class_prepared,
            core.request_finished,
            test.setting_changed,
        ):
            assert isinstance(signal, heliograph.Signal), f"{signal!r} is no heliograph.Signal"
            assert not isinstance(signal, originals), f"{signal!r} is one of Django's"

    return check


class AsDjangoLogs(logging.Handler):
    """Passes on what heliograph logs for a captured error as Django's test expects it.

    Django logs to a logger of another name and calls the receiver by its qualified name, without its module.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* once more, in Django's name."""
        receiver, error = cast(tuple[str, Exception], record.args)
        receiver = receiver.removeprefix("dispatch.tests.")
        logger = logging.getLogger("django.dispatch")
        logger.log(record.levelno, record.msg, receiver, error, exc_info=record.exc_info)


def instrumented() -> Check:
    """Observe Django's signals, with spans that are recorded and kept."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    import heliograph

    names: Counter[str] = Counter()

    class Count(SpanExporter):
        """Keeps nothing but how many spans there were: of all tests there are more than memory holds."""

        def export(self, spans: Any) -> SpanExportResult:
            names.update(span.name for span in spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Count()))
    heliograph.instrument("django", tracer_provider=provider, level="all")

    def check() -> None:
        print(f"{names.total()} spans of {len(names)} names were recorded", flush=True)
        for expected in ("send pre_save", "send post_save", "send post_delete", "send a_signal"):
            assert names[expected], f"no span {expected!r} among {sorted(names)}"
        assert any(name.startswith("handle ") for name in names), f"no receiver's span among {sorted(names)}"

    return check


PREPARATIONS: dict[str, Callable[[], Check]] = {
    "django": as_it_is,
    "heliograph": replaced,
    "django-instrumented": instrumented,
}

if __name__ == "__main__":
    sys.exit(main())
