"""A post office: letters are tasks, and some of Celery's signals have receivers. Nothing in it knows that it is watched."""

import os
import time

from celery import Celery, signals

REDIS = os.environ.get("POST_OFFICE_REDIS", "redis://localhost")

app = Celery("post_office", broker=REDIS, backend=REDIS)
app.conf.broker_connection_retry_on_startup = True


class BridgeIsUpError(Exception):
    """Nobody gets across. It comes down again."""


@app.task
def stamp(letter):
    return f"{letter}, stamped"


@app.task
def deliver(letter, street):
    if street == "Nowhere":
        raise LookupError(street)
    return f"{letter}, in {street}"


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def cross_river(self, letter):
    if self.request.retries == 0:
        raise self.retry(exc=BridgeIsUpError())
    return f"{letter}, across"


@signals.worker_ready.connect
def open_counter(**kwargs):
    print("The counter is open.")


@signals.task_prerun.connect
def write_into_book(task, **kwargs):
    pass


@signals.task_success.connect(sender=stamp)
def count_stamps(**kwargs):
    time.sleep(0.12)  # one by one


@signals.task_failure.connect
def tell_sender(args, **kwargs):
    raise ConnectionError("the telegraph is down")  # Celery logs it and goes on: the sender never hears


@signals.task_retry.connect
def tell_ferryman(**kwargs):
    pass
