"""Run the own tests of the libraries heliograph observes, without and with it, and compare test by test.

    python -m tests.peers                  # all of them
    python -m tests.peers blinker flask    # some

Ends with 0 only if no test comes out differently with heliograph on, and heliograph saw what was sent.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from importlib.metadata import version

from tests.peers.frame import Suite, all_suites, run_suite


def main() -> int:
    """Run the suites named on the command line."""
    suites = all_suites()
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("library", nargs="*", help=f"one of {', '.join(suites)}; all unless given")
    chosen = parser.parse_args().library or list(suites)
    if unknown := set(chosen) - suites.keys():
        parser.error(f"no suite of {', '.join(sorted(unknown))}; there are {', '.join(suites)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what it has started ends with it
    began = time.perf_counter()
    results = [report(suites[name]) for name in chosen]
    passed, wrong = sum(count for count, _ in results), sum(count for _, count in results)
    failures = f"{wrong} failed, " if wrong else ""
    print(f"== {failures}{passed} passed with heliograph as without it in {time.perf_counter() - began:.1f}s")
    return 1 if wrong else 0


def report(suite: Suite) -> tuple[int, int]:
    """Run *suite* and say what it came to; return how many tests passed and how many things are wrong."""
    print(f"== {suite.distribution} {version(suite.distribution)}", flush=True)
    result = run_suite(suite)
    spans = sum(result.observed.spans.values())
    print(f"   without heliograph: {result.plain}")
    print(f"   with heliograph:    {result.observed}, {spans} spans of {len(result.observed.spans)} names")
    for test, outcome in result.plain.outcomes.items():
        if outcome.startswith("failed") and result.observed.outcomes.get(test) == outcome:
            print(f"   fails either way: {test}")
    for test in result.unstable:
        print(f"   unstable without heliograph as well: {test}")
    for what in result.wrong:
        print(f"   WRONG: {what}")
    sys.stdout.flush()
    return result.observed.passed, len(result.wrong)


if __name__ == "__main__":
    sys.exit(main())
