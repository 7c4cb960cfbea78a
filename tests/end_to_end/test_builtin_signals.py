"""Each signal that Django sends by itself, sent by Django doing what sends it, and signals of an application.

Every signal has two receivers: one was connected before heliograph was switched on, one afterwards.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any, NamedTuple

import django
import pytest

pytestmark = pytest.mark.end_to_end

Tree = dict[str, Any]


class Sent(NamedTuple):
    """One dispatch as it must be seen.

    Attributes:
        operation: The method of the signal.
        sender: The sender's name, if it has one.
        own: The receivers that Django or the shop had connected before ours.
        silent: How many more there are of which nothing is said unless they are slow; None where releases differ.
        depth: How many dispatches enclose it.
    """

    operation: str
    sender: str | None
    own: tuple[str, ...] = ()
    silent: int | None = 0
    depth: int = 0


ASYNC = django.VERSION >= (5,)
KITCHEN = "signals_site.shop.signals.Kitchen"
WAITER = ("signals_site.shop.receivers.tell_waiter",)
WSGI = "django.core.handlers.wsgi.WSGIHandler"
ASGI = "django.core.handlers.asgi.ASGIHandler"
APPS = (
    "signals_site.shop.apps.ShopConfig",
    "django.contrib.auth.apps.AuthConfig",
    "django.contrib.contenttypes.apps.ContentTypesConfig",
    "django.contrib.sessions.apps.SessionsConfig",
)
INJECT_RENAMES = ("django.contrib.contenttypes.management.inject_rename_contenttypes_operations",)
AFTER_MIGRATION = (
    *(["django.contrib.auth.management.rename_permissions_after_model_rename"] if django.VERSION >= (6,) else []),
    "django.contrib.auth.management.create_permissions",
    "django.contrib.contenttypes.management.create_contenttypes",
)
LAST_LOGIN = ("django.contrib.auth.models.update_last_login",)
MODELS = "django.db.models.signals"
SAVED_AT_LOGIN = [
    Sent("send", "auth.User"),
    Sent("send", "sessions.Session"),
    Sent("send", "sessions.Session"),
    Sent("send", "auth.User", depth=1),
    Sent("send", "sessions.Session"),
]
THROUGH = "shop.Pizza_toppings"

# What happens, which signal Django sends then, and all dispatches of it, in their order.
SENT: dict[tuple[str, str], list[Sent]] = {
    ("migrate", f"{MODELS}.pre_migrate"): [
        Sent("send", app, INJECT_RENAMES if "contenttypes" in app else ()) for app in APPS
    ],
    ("migrate", f"{MODELS}.post_migrate"): [Sent("send", app, AFTER_MIGRATION) for app in APPS],
    ("request_through_wsgi", "django.core.signals.request_started"): [Sent("send", WSGI, silent=2)],
    ("request_through_wsgi", "django.core.signals.request_finished"): [Sent("send", WSGI, silent=3)],
    ("request_that_fails", "django.core.signals.got_request_exception"): [Sent("send", None)],
    ("request_that_fails", "django.core.signals.request_finished"): [Sent("send", WSGI, silent=3)],
    ("request_through_asgi", "django.core.signals.request_started"): [
        Sent("asend" if ASYNC else "send", ASGI, silent=2)
    ],
    ("request_through_asgi", "django.core.signals.request_finished"): [Sent("send", ASGI, silent=3)],
    ("change_a_setting", "django.core.signals.setting_changed"): [
        Sent("send", "django.conf.UserSettingsHolder", silent=None),
        Sent("send_robust", "django.conf.Settings", silent=None),
    ],
    ("render_a_template", "django.test.signals.template_rendered"): [Sent("send", "django.template.base.Template")],
    ("connect_to_the_database", "django.db.backends.signals.connection_created"): [
        Sent("send", "django.db.backends.sqlite3.base.DatabaseWrapper")
    ],
    # The sender of a failed login is a module's name, a string; and strings are never told.
    ("log_in_and_out", "django.contrib.auth.signals.user_login_failed"): [Sent("send", "str")],
    ("log_in_and_out", "django.contrib.auth.signals.user_logged_in"): [Sent("send", "auth.User", LAST_LOGIN)],
    ("log_in_and_out", "django.contrib.auth.signals.user_logged_out"): [Sent("send", "auth.User")],
    ("log_in_and_out", f"{MODELS}.pre_save"): SAVED_AT_LOGIN,
    ("log_in_and_out", f"{MODELS}.post_save"): SAVED_AT_LOGIN,
    ("keep_a_pizza", f"{MODELS}.pre_init"): [
        Sent("send", sender) for sender in ("shop.Topping", "shop.Pizza", THROUGH, THROUGH)
    ],
    ("keep_a_pizza", f"{MODELS}.post_init"): [
        Sent("send", sender) for sender in ("shop.Topping", "shop.Pizza", THROUGH, THROUGH)
    ],
    ("keep_a_pizza", f"{MODELS}.pre_save"): [Sent("send", "shop.Topping"), Sent("send", "shop.Pizza")],
    ("keep_a_pizza", f"{MODELS}.post_save"): [Sent("send", "shop.Topping"), Sent("send", "shop.Pizza")],
    ("keep_a_pizza", f"{MODELS}.m2m_changed"): [Sent("send", THROUGH)] * 4,  # before and after, adding and clearing
    ("keep_a_pizza", f"{MODELS}.pre_delete"): [Sent("send", "shop.Pizza")],
    ("keep_a_pizza", f"{MODELS}.post_delete"): [Sent("send", "shop.Pizza")],
    ("define_a_model", f"{MODELS}.class_prepared"): [Sent("send", "shop.Drink")],
    ("reload_code", "django.utils.autoreload.autoreload_started"): [
        Sent("send", "django.utils.autoreload.StatReloader", silent=2)
    ],
    ("reload_code", "django.utils.autoreload.file_changed"): [
        Sent("send", "django.utils.autoreload.StatReloader", silent=2)
    ],
    ("send_signals_of_the_shop", "signals_site.shop.signals.pizza_done"): [
        Sent("send", KITCHEN, WAITER),
        Sent("send_robust", KITCHEN, WAITER),  # sent by an instance, of which only the class is told
    ],
    ("send_signals_of_the_shop", "signals_site.shop.signals.doors_open"): [Sent("send", None)],
    ("send_signals_of_the_shop", "signals_site.shop.signals.Kitchen.oven_hot"): [Sent("send", KITCHEN)],
}
if ASYNC:
    SENT["send_signals_of_the_shop_from_a_coroutine", "signals_site.shop.signals.pizza_done"] = [
        Sent("asend", KITCHEN, WAITER),
        Sent("asend_robust", KITCHEN, WAITER),
    ]
if django.VERSION >= (6,):
    for name in ("enqueued", "started", "finished"):
        SENT["run_a_task", f"django.tasks.signals.task_{name}"] = [
            Sent("send", "django.tasks.backends.immediate.ImmediateBackend", (f"django.tasks.signals.log_task_{name}",))
        ]


@pytest.fixture(scope="module")
def found(start, tmp_path_factory) -> dict[str, Any]:
    """What the project's program wrote down."""
    directory = tmp_path_factory.mktemp("signals_site")
    program = start(
        *(sys.executable, "-m", "signals_site", directory / "found.json"),
        SIGNALS_SITE_DATABASE=directory / "site.sqlite3",
    )
    _, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    written: dict[str, Any] = json.loads((directory / "found.json").read_text())
    return written


@pytest.fixture
def dispatches(found, grow):
    """Returns the dispatches of a signal while something happened, with the receivers' spans but none below these."""

    def dispatches(happening: str, signal: str) -> list[Tree]:
        spans = found["asked_for"][happening]["spans"]
        mine = [span for span in spans if span["attributes"]["heliograph.signal.name"] == signal]
        trees: list[Tree] = grow(mine)
        assert all(tree["name"].startswith(("send", "asend")) for tree in trees)
        return trees

    return dispatches


def expected(signal: str, sent: Sent, connected: int) -> Tree:
    """Return the span that a dispatch must have, with those of its receivers."""
    receivers = [*sent.own, "signals_site.listeners.before", "signals_site.listeners.after"]
    about = {"heliograph.system.name": "django", "heliograph.signal.name": signal}
    attributes = {
        **about,
        "heliograph.operation.name": sent.operation,
        "heliograph.error.policy": "capture" if sent.operation.endswith("robust") else "propagate",
        "heliograph.dispatch.receiver.count": connected if sent.silent is None else len(receivers) + sent.silent,
        **({"heliograph.sender.name": sent.sender} if sent.sender else {}),
        **({"heliograph.dispatch.depth": sent.depth} if sent.depth else {}),
    }
    calls = [
        span(f"handle {name}", {**about, "code.function.name": name, "heliograph.receiver.mode": "sync"}, [])
        for name in receivers
    ]
    return span(f"{sent.operation} {signal.rpartition('.')[2]}", attributes, calls)


def span(name: str, attributes: dict[str, Any], children: list[Tree]) -> Tree:
    return {
        "name": name,
        "kind": "SpanKind.INTERNAL",
        "status": "UNSET",
        "attributes": attributes,
        "events": [],
        "children": children,
    }


@pytest.mark.parametrize(("happening", "signal"), SENT)
def test_a_signal_is_traced_when_django_sends_it(found, dispatches, happening, signal):
    """Both our receivers are seen, in the order of their connection after Django's own, under the dispatch's name."""
    seen = dispatches(happening, signal)
    if signal.endswith("setting_changed"):  # Django's own receivers of it are not the same in any two releases
        for tree in seen:
            tree["children"] = [child for child in tree["children"] if not child["name"].startswith("handle django.")]
    assert seen == [expected(signal, sent, found["connected"][signal]) for sent in SENT[happening, signal]]


def test_the_table_knows_every_signal_that_has_receivers_here(found):
    """No built-in signal is left out."""
    assert {signal for _, signal in SENT} == set(found["connected"])


def test_what_was_heard_is_what_was_traced(found):
    """Each call of our receivers has one span, whatever happened, and there is no span without a call."""
    for one in found["asked_for"].values():
        names = Counter(span["name"] for span in one["spans"])
        traced = {name: names[f"handle signals_site.listeners.{name}"] for name in ("before", "after")}
        assert traced == Counter(one["heard"])


def test_every_dispatch_has_the_name_of_its_signal(found):
    """No signal that Django sends remains without a name, whatever module it is defined in."""
    names = {
        span["attributes"]["heliograph.signal.name"] for one in found["asked_for"].values() for span in one["spans"]
    }
    assert names == set(found["connected"])


def test_what_a_login_saves_is_below_the_receiver_that_saves_it(found, grow):
    """``update_last_login`` saves the user: its span is the parent of both dispatches, in the same trace."""
    trees = grow(found["asked_for"]["log_in_and_out"]["spans"])
    [login] = [tree for tree in trees if tree["name"] == "send user_logged_in"]
    last_login, *ours = login["children"]
    assert last_login["name"] == "handle django.contrib.auth.models.update_last_login"
    assert [child["name"] for child in last_login["children"]] == ["send pre_save", "send post_save"]
    assert [child["children"] for child in ours] == [[], []]


def test_signals_of_instances_and_classes_are_silent_unless_asked_for_by_name(found):
    """By default ``pre_init`` and the like are heard but not traced; all else is."""
    asked_for, by_default = found["asked_for"]["keep_a_pizza"], found["by_default"]
    quiet = {f"{MODELS}.{name}" for name in ("pre_init", "post_init", "class_prepared")}
    names = Counter(span["attributes"]["heliograph.signal.name"] for span in asked_for["spans"])
    assert Counter(span["attributes"]["heliograph.signal.name"] for span in by_default["spans"]) == {
        name: count for name, count in names.items() if name not in quiet
    }
    assert by_default["heard"] == asked_for["heard"]


def test_nothing_is_traced_once_it_is_undone(found):
    """Outside of the ``with`` block the receivers are called as ever, in the same order, and nothing is said."""
    assert found["without"]["spans"] == []
    assert found["without"]["heard"] == ["before", "after"] * 18
