"""The worker: ``-m celery_kitchen.worker POOL ORDER``."""

from __future__ import annotations

import sys

from .telemetry import set_up


def main(pool: str, order: str) -> None:
    set_up(order, pool=pool)
    from .app import app

    # OpenTelemetry's instrumentation keeps contexts by the task's id, and loses that of a first try when another thread
    # begins the second one before the first has ended.
    concurrency = "2" if pool == "prefork" else "1"
    options = ["--pool", pool, "--concurrency", concurrency, "--loglevel", "INFO"]
    app.worker_main(["worker", *options, "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main(*sys.argv[1:])
