"""Celery's unit tests of what sends its signals: the dispatcher, applications, tasks, workers and pools."""

from __future__ import annotations

from tests.peers.frame import Suite

SUITE = Suite(
    "celery",
    observe=["celery"],
    arguments=[
        "-o",
        "addopts=",  # not --strict-markers: one of its marks comes from pytest-celery, which wants containers
        "t/unit/app",
        "t/unit/apps",
        "t/unit/concurrency",
        "t/unit/tasks/test_tasks.py",
        "t/unit/tasks/test_trace.py",
        "t/unit/utils/test_dispatcher.py",
        "t/unit/worker",
    ],
    # As in its own requirements.
    needs=["freezegun==1.5.5", "pytest-click==1.1.0", "pytest-order==1.5.0", "pytest-timeout==2.4.0"],
    spans=["send before_task_publish", "send task_prerun", "send task_failure", "send worker_init"],
    timeout=400,
)
