"""Two receivers of everything: one for before heliograph is switched on, one for after."""

from __future__ import annotations

from importlib import import_module
from typing import Any

NAMES = (
    *("django.core.signals." + name for name in ("request_started", "request_finished", "got_request_exception")),
    "django.core.signals.setting_changed",
    *("django.db.models.signals." + name for name in ("pre_init", "post_init", "pre_save", "post_save")),
    *("django.db.models.signals." + name for name in ("pre_delete", "post_delete", "m2m_changed", "class_prepared")),
    *("django.db.models.signals." + name for name in ("pre_migrate", "post_migrate")),
    "django.db.backends.signals.connection_created",
    "django.test.signals.template_rendered",
    *("django.contrib.auth.signals.user_" + name for name in ("logged_in", "logged_out", "login_failed")),
    *("django.utils.autoreload." + name for name in ("autoreload_started", "file_changed")),
    *("signals_site.shop.signals." + name for name in ("pizza_done", "doors_open", "Kitchen.oven_hot")),
)
# Since Django 6.0.
TASKS = tuple("django.tasks.signals.task_" + name for name in ("enqueued", "started", "finished"))

heard: list[str] = []


def before(sender: Any, **named: Any) -> None:
    """Connected before heliograph is switched on."""
    heard.append("before")


def after(sender: Any, **named: Any) -> None:
    """Connected while heliograph is on."""
    heard.append("after")


def find(name: str) -> Any:
    """Return the signal that is defined at a dotted name, in a module or in a class of a module."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError:
        module, _, holder = module.rpartition(".")
        return getattr(getattr(import_module(module), holder), attribute)
