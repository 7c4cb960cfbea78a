"""What makes Django send its signals, each done as it is done anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import current_thread
from typing import Any
from wsgiref.util import setup_testing_defaults

import django
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection, models
from django.test import Client, override_settings
from django.test.utils import setup_test_environment, teardown_test_environment
from django.utils.autoreload import StatReloader

from .shop.models import Pizza, Topping
from .shop.signals import Kitchen, doors_open, pizza_done


def migrate() -> None:
    call_command("migrate", verbosity=0)


def request_through_wsgi() -> None:
    get("/menu/")


def request_that_fails() -> None:
    get("/broken/")


def request_through_asgi() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/menu/",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    sent: list[Any] = []
    coming = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        return coming.pop() if coming else await asyncio.Future()  # the client stays, and says no more

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(ASGIHandler()(scope, receive, send))
    assert sent[0]["status"] == 200, sent


def change_a_setting() -> None:
    with override_settings(SHOP_CLOSES_AT=23):
        assert settings.SHOP_CLOSES_AT == 23


def render_a_template() -> None:
    setup_test_environment()
    get("/menu/")
    teardown_test_environment()


def connect_to_the_database() -> None:
    connection.close()
    connection.ensure_connection()


def log_in_and_out() -> None:
    User.objects.create_user("ada", password="enigma")
    client = Client()
    assert not client.login(username="ada", password="wrong")
    assert client.login(username="ada", password="enigma")
    client.logout()


def keep_a_pizza() -> None:
    salt = Topping.objects.create(name="Salt")
    pizza = Pizza.objects.create(name="Plain")
    pizza.toppings.add(salt)
    pizza.toppings.clear()
    pizza.delete()


def define_a_model() -> None:
    type("Drink", (models.Model,), {"__module__": "signals_site.shop.models"})


def reload_code() -> None:
    reloader = StatReloader()
    reloader.stop()
    reloader.run(current_thread())
    with suppress(SystemExit):  # nobody took care of the change, so the process would start anew
        reloader.notify_file_changed(Path(__file__))


def send_signals_of_the_shop() -> None:
    pizza_done.send(sender=Kitchen)
    pizza_done.send_robust(sender=Kitchen())
    doors_open.send(sender=None)
    Kitchen.oven_hot.send(sender=Kitchen)


def send_signals_of_the_shop_from_a_coroutine() -> None:
    async def send() -> None:
        await pizza_done.asend(sender=Kitchen)
        await pizza_done.asend_robust(sender=Kitchen)

    asyncio.run(send())


def run_a_task() -> None:
    from django.tasks import task

    task(bake).enqueue()


def bake() -> None:
    """The task."""


def get(path: str) -> None:
    """Make a request as a server does: all of the answer is read, then it is closed."""
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_HOST": "localhost"}
    setup_testing_defaults(environ)
    response: Any = WSGIHandler()(environ, lambda *_: lambda _: None)
    b"".join(response)
    response.close()


HAPPENINGS: list[Callable[[], None]] = [
    change_a_setting,
    migrate,
    request_through_wsgi,
    request_that_fails,
    request_through_asgi,
    render_a_template,
    connect_to_the_database,
    log_in_and_out,
    keep_a_pizza,
    define_a_model,
    reload_code,
    send_signals_of_the_shop,
    *([send_signals_of_the_shop_from_a_coroutine] if django.VERSION >= (5,) else []),
    *([run_a_task] if django.VERSION >= (6,) else []),
]
