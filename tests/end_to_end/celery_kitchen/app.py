"""The application: its tasks, and the receivers that hear of them."""

from __future__ import annotations

import os
import threading
from typing import Any

from celery import Celery, signals
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

REDIS = os.environ["KITCHEN_REDIS"]
SLOW = 0.15  # seconds; more than the tenth of a second from which heliograph calls a receiver slow

app = Celery("celery_kitchen", broker=REDIS, backend=REDIS)
app.conf.update(
    broker_connection_retry_on_startup=True, result_backend_transport_options={"global_keyprefix": "kitchen"}
)
tracer = trace.get_tracer("kitchen")


@app.task(name="kitchen.bake")
def bake(meal: str) -> str:
    with tracer.start_as_current_span("oven"):
        return f"{meal}, baked"


@app.task(name="kitchen.burn")
def burn() -> None:
    raise ValueError("smoke")


@app.task(name="kitchen.try_again", bind=True, max_retries=1)
def try_again(self: Any) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@signals.before_task_publish.connect(sender="kitchen.bake")
def stamp(headers: dict[str, Any], **_: Any) -> None:
    headers["stamped"] = True


@signals.after_task_publish.connect
def tell_guest(**_: Any) -> None:
    pass


@signals.task_prerun.connect
def lay_table(**_: Any) -> None:
    pass


@signals.task_success.connect
def applaud(**_: Any) -> None:
    with tracer.start_as_current_span("clap"):
        raise LookupError("nobody here")


@signals.task_failure.connect(retry=True)
def sweep(**_: Any) -> None:
    with tracer.start_as_current_span("broom"):
        pass


@signals.task_retry.connect
def fetch_more(**_: Any) -> None:
    pass


@signals.task_postrun.connect(sender=bake)  # before the application is finalized, so bake is a promise still
def wash_up(**_: Any) -> None:
    with tracer.start_as_current_span("sponge"):
        threading.Event().wait(SLOW)


@signals.worker_ready.connect
def open_doors(**_: Any) -> None:
    os.write(1, b"the kitchen is open\n")  # not through sys.stdout, which Celery redirects to its log


@signals.worker_process_shutdown.connect
def flush(**_: Any) -> None:
    # Pool processes end without their exit handlers, and what the provider holds back would be lost.
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush()
