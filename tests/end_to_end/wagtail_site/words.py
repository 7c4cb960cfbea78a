"""Signals, senders and receivers in words, for the recorder's sends; found by other means than heliograph's."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from django.db.models import Model

from .recorder import Call, Send

# Where the signals that are sent during the day are defined, according to their libraries' documentation.
SIGNALS = (
    *("django.core.signals." + name for name in ("request_started", "request_finished", "got_request_exception")),
    *("django.db.models.signals." + name for name in ("class_prepared", "pre_init", "post_init", "m2m_changed")),
    *("django.db.models.signals." + name for name in ("pre_save", "post_save", "pre_delete", "post_delete")),
    *("django.db.models.signals." + name for name in ("pre_migrate", "post_migrate")),
    "django.db.backends.signals.connection_created",
    *("django.contrib.auth.signals.user_" + name for name in ("logged_in", "login_failed", "logged_out")),
    *("wagtail.signals." + name for name in ("published", "unpublished", "page_published", "page_unpublished")),
    *("wagtail.signals." + name for name in ("page_slug_changed", "pre_page_move", "post_page_move", "init_new_page")),
    *("wagtail.signals.workflow_" + name for name in ("submitted", "approved")),
    *("wagtail.signals.task_" + name for name in ("submitted", "approved")),
    "wagtail.documents.models.document_served",
    *("treebeard.mp_tree." + name for name in ("path_updated", "nodes_deleted")),
    *("django_tasks.signals.task_" + name for name in ("enqueued", "started", "finished")),
)


class Words:
    """Turns what was recorded into words."""

    def __init__(self) -> None:
        self._signals = {id(_named(name)): name for name in SIGNALS}

    def send(self, send: Send) -> dict[str, Any]:
        """Return a send, and all below it, in words."""
        return {
            "signal": self._signals.get(id(send.signal), "unknown"),
            "operation": send.operation,
            "sender": _sender(send.sender),
            "error": _error(send.error),
            "receivers": [_receiver(one) for one in send.receivers or ()],
            "calls": [self.call(one) for one in send.calls],
        }

    def call(self, call: Call) -> dict[str, Any]:
        """Return a receiver's call, and all below it, in words."""
        sends = [self.send(one) for one in call.sends]
        return {"receiver": _receiver(call.receiver), "error": _error(call.error), "sends": sends}


def _named(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def _sender(sender: Any) -> str | None:
    if sender is None:
        return None
    cls = sender if isinstance(sender, type) else type(sender)
    if issubclass(cls, Model):
        return cls._meta.label
    return f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")


def _receiver(receiver: Any) -> str:
    function = inspect.unwrap(receiver)
    if not inspect.isroutine(function):
        function = type(function)
        return f"{function.__module__}.{function.__qualname__}.__call__"
    return f"{function.__module__}.{function.__qualname__}"


def _error(error: type[BaseException] | None) -> str | None:
    return None if error is None else f"{error.__module__}.{error.__qualname__}".removeprefix("builtins.")
