"""Django's signals, built-in ones first: each found, named and traced, and Django none the wiser."""

from __future__ import annotations

import functools
import inspect
import logging
from typing import Any
from unittest import mock

import django
import django.dispatch
import pytest
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core import signals as core
from django.core.management import call_command
from django.db.backends.signals import connection_created
from django.db.models import signals as models
from django.dispatch import Signal
from django.test import signals as test
from django.test.utils import override_settings

from heliograph import instrumentor
from heliograph.adapters.django import DjangoAdapter
from heliograph.fanout.observer import observe
from tests.support.observers import Recording, observing
from tests.support.shop.models import Pizza, Topping
from tests.support.shop.signals import Oven, pizza_done

METHODS = [name for name in ("send", "send_robust", "asend", "asend_robust") if hasattr(Signal, name)]
ORIGINALS = {name: vars(Signal)[name] for name in METHODS}


@pytest.fixture
def adapter():
    """Django's adapter, as everybody gets it."""
    return instrumentor._adapters["django"]


@pytest.fixture
def installed(adapter):
    """Django's signals report."""
    undo = adapter.install()
    yield adapter
    undo()
    assert {name: vars(Signal)[name] for name in METHODS} == ORIGINALS


def receiver(**_):
    return "heard"


BUILT_IN = {
    "django.db.models.signals.pre_init": models.pre_init,
    "django.db.models.signals.post_init": models.post_init,
    "django.db.models.signals.pre_save": models.pre_save,
    "django.db.models.signals.post_save": models.post_save,
    "django.db.models.signals.pre_delete": models.pre_delete,
    "django.db.models.signals.post_delete": models.post_delete,
    "django.db.models.signals.m2m_changed": models.m2m_changed,
    "django.db.models.signals.class_prepared": models.class_prepared,
    "django.db.models.signals.pre_migrate": models.pre_migrate,
    "django.db.models.signals.post_migrate": models.post_migrate,
    "django.core.signals.request_started": core.request_started,
    "django.core.signals.request_finished": core.request_finished,
    "django.core.signals.got_request_exception": core.got_request_exception,
    "django.core.signals.setting_changed": core.setting_changed,
    "django.test.signals.template_rendered": test.template_rendered,
    "django.db.backends.signals.connection_created": connection_created,
    "django.contrib.auth.signals.user_logged_in": user_logged_in,
    "django.contrib.auth.signals.user_logged_out": user_logged_out,
    "django.contrib.auth.signals.user_login_failed": user_login_failed,
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_signal_is_observed_under_its_name(installed, observer, name):
    """Whatever class it is of, and wherever else it is imported."""
    signal = BUILT_IN[name]
    with mock.patch.object(signal, "receivers", []):
        signal.sender_receivers_cache.clear()
        assert signal.send_robust(sender=Oven) == []
    signal.sender_receivers_cache.clear()

    assert [(note.signal, note.operation, note.outcome) for note in observer.notes] == [
        (name, "send_robust", "returned")
    ]


def test_all_signals_are_known_by_name(installed):
    """Built-in ones and the application's own."""
    assert {*BUILT_IN, "tests.support.shop.signals.pizza_done", "tests.support.shop.signals.Oven.heated"} <= set(
        installed.signal_names()
    )


def test_receivers_that_are_connected_are_known(installed):
    """Django's own among them."""
    connected = {(name, one.__qualname__) for name, one in installed.connected() if hasattr(one, "__qualname__")}

    assert ("django.core.signals.request_started", "reset_queries") in connected
    assert ("django.core.signals.request_finished", "close_caches") in connected


@pytest.fixture
def connect():
    """Connects receivers for the length of a test."""
    undos = []

    def connect(signal, one, **connection):
        signal.connect(one, **connection)
        undos.append(lambda: signal.disconnect(one, sender=connection.get("sender")))

    yield connect
    for undo in undos:
        undo()


def test_saving_a_model_is_traced(database, instrument, spans, connect):
    """Each signal with its receivers, named for the model that sends it."""
    instrument("django")
    saved = []

    def on_pre_save(instance, **_):
        saved.append(("pre_save", instance.name))

    def on_post_save(instance, created, **_):
        saved.append(("post_save", created))

    connect(models.pre_save, on_pre_save, sender=Pizza)
    connect(models.post_save, on_post_save, sender=Pizza)
    Pizza.objects.create(name="margherita")

    assert saved == [("pre_save", "margherita"), ("post_save", True)]
    assert spans.tree() == [
        ("send pre_save", [("handle on_pre_save", [])]),
        ("send post_save", [("handle on_post_save", [])]),
    ]
    assert dict(spans.named("send post_save").attributes) == {
        "heliograph.system.name": "django",
        "heliograph.signal.name": "django.db.models.signals.post_save",
        "heliograph.operation.name": "send",
        "heliograph.error.policy": "propagate",
        "heliograph.sender.name": "shop.Pizza",
        "heliograph.dispatch.receiver.count": 1,
    }


def test_many_to_many_changes_and_deletions_are_traced(database, instrument, spans, connect):
    """With what they cascade to."""
    instrument("django")
    pizza, topping = Pizza.objects.create(name="marinara"), Topping.objects.create(name="garlic")
    connect(models.m2m_changed, receiver, sender=Pizza.toppings.through)
    connect(models.post_delete, receiver, sender=Pizza)
    spans.clear()
    pizza.toppings.add(topping)
    pizza.delete()

    sent = [
        (span.name, dict(span.attributes)["heliograph.sender.name"])
        for span in sorted(spans.finished, key=lambda span: span.start_time or 0)
        if span.name.startswith("send")
    ]
    assert sent == [
        ("send m2m_changed", "shop.Pizza_toppings"),
        ("send m2m_changed", "shop.Pizza_toppings"),
        ("send pre_delete", "shop.Pizza"),
        ("send post_delete", "shop.Pizza"),
    ]
    assert spans.counts()["handle receiver"] == 3


def test_a_receiver_that_saves_again_is_nested(database, instrument, spans, connect):
    """A cascade is a tree."""
    instrument("django", excluded_signals=["pre_save"])

    def add_topping(instance, created, **_):
        if created:
            Topping.objects.create(name="basil")

    connect(models.post_save, add_topping, sender=Pizza)
    Pizza.objects.create(name="caprese")

    assert spans.tree() == [("send post_save", [("handle add_topping", [("send post_save", [])])])]
    assert [dict(span.attributes)["heliograph.sender.name"] for span in spans.all_named("send post_save")] == [
        "shop.Pizza",
        "shop.Topping",
    ]


def test_instances_are_not_traced_by_default(database, instrument, spans):
    """pre_init and post_init are sent for each row that is read."""
    instrument("django")
    Pizza(name="not saved")

    assert spans.finished == []


def test_changed_settings_are_traced(instrument, spans, connect):
    """override_settings sends setting_changed."""
    instrument("django", levels={"django.*": "all"})
    connect(core.setting_changed, receiver)
    with override_settings(LANGUAGE_CODE="de"):
        pass

    sent = spans.all_named("send setting_changed") + spans.all_named("send_robust setting_changed")
    assert len(sent) == 2
    assert spans.counts()["handle receiver"] == 2


def test_migrations_are_traced(database, instrument, spans):
    """pre_migrate and post_migrate, once for each application, with Django's own receivers."""
    instrument("django")
    call_command("migrate", verbosity=0)

    counts = spans.counts()
    assert counts["send pre_migrate"] == counts["send post_migrate"] == 3
    assert counts["handle create_permissions"] == 3


def test_house_keeping_is_left_out_until_it_is_slow(instrument, spans, metrics):
    """A request's start and end have Django's own receivers, which say nothing while they are quick."""
    undo = instrument("django", slow=1000)
    core.request_started.send(sender=Oven)
    assert spans.finished == []
    undo()

    instrument("django", slow=0)
    core.request_started.send(sender=Oven)
    assert "handle reset_queries" in spans.counts()


def test_receivers_connected_before_and_after_are_seen(installed, observer):
    """Nothing is asked of who connects."""
    signal = Signal()
    undo = installed.install()

    def later(**_):
        return "later"

    signal.connect(receiver)
    signal.send(sender=None)
    signal.connect(later)
    signal.send(sender=None)
    undo()

    assert [[call.receiver for call in note.calls] for note in observer.notes] == [["receiver"], ["receiver", "later"]]


def test_model_signals_with_lazy_senders_are_observed(installed, observer):
    """A receiver connected by the model's label before the model is loaded."""
    models.post_save.connect(receiver, sender="shop.Pizza")
    models.post_save.send(sender=Pizza, instance=None)
    models.post_save.disconnect(receiver, sender="shop.Pizza")
    models.post_save.send(sender=Pizza, instance=None)

    assert [[call.receiver for call in note.calls] for note in observer.notes] == [["receiver"], []]


def test_the_replaced_methods_look_like_the_originals(installed):
    """Names, docstrings, signatures, and whether they are awaited."""
    for name, original in ORIGINALS.items():
        replaced = vars(Signal)[name]
        assert replaced is not original
        assert replaced.__name__ == name
        assert replaced.__qualname__ == f"Signal.{name}"
        assert replaced.__module__ == "django.dispatch.dispatcher"
        assert replaced.__doc__ == original.__doc__
        assert inspect.signature(replaced) == inspect.signature(original)
        assert inspect.iscoroutinefunction(replaced) == inspect.iscoroutinefunction(original)


def test_installing_twice_is_installing_once(adapter):
    """The originals come back with the last undo, whatever the order; undoing twice is undoing once."""
    first, second = adapter.install(), adapter.install()
    replaced = vars(Signal)["send"]
    first()
    first()
    assert vars(Signal)["send"] is replaced
    second()

    assert {name: vars(Signal)[name] for name in METHODS} == ORIGINALS


def test_the_dispatch_uid_is_found(instrument, spans, connect):
    """When it is asked for, in each release's own registry."""
    instrument("django", extra_attributes=["heliograph.receiver.dispatch_uid"])
    signal = Signal()
    signal.connect(receiver, dispatch_uid="shop.receipt")
    signal.connect(lambda **_: None, weak=False)
    signal.send(sender=None)

    uids = {span.name: dict(span.attributes).get("heliograph.receiver.dispatch_uid") for span in spans.finished}
    assert uids[f"handle {__name__}.receiver"] == "shop.receipt"
    assert list(uids.values()).count(None) == 2


def wrapping(calls, original):
    @functools.wraps(original)
    def wrapper(self, *arguments, **named):
        calls.append("theirs")
        return original(self, *arguments, **named)

    return wrapper


@pytest.mark.parametrize("keeps_name", [True, False])
def test_who_wrapped_send_before_us_is_still_called(adapter, observer, keeps_name):
    """Their wrapper is called, not done again; the dispatch is observed, its receivers cannot be."""
    calls: list[str] = []
    theirs = wrapping(calls, ORIGINALS["send"])
    if not keeps_name:
        del theirs.__wrapped__
        theirs.__module__ = __name__
    signal = Signal()
    signal.connect(receiver)
    with mock.patch.object(Signal, "send", theirs):
        undo = adapter.install()
        assert signal.send(sender=None) == [(receiver, "heard")]
        assert signal.send("by position", value=1) == [(receiver, "heard")]
        signal.send_robust(sender=None)
        undo()
        assert vars(Signal)["send"] is theirs

    assert calls == ["theirs", "theirs"]
    assert [(note.operation, len(note.calls)) for note in observer.notes] == [
        ("send", 0),
        ("send", 0),
        ("send_robust", 1),
    ]


def test_who_mocked_send_before_us_is_still_called(adapter, observer):
    """A mock in the place of a method has no name to go by."""
    signal: Any = Signal()
    with mock.patch.object(Signal, "send", autospec=False, return_value="mocked") as mocked:
        undo = adapter.install()
        assert signal.send(sender=None) == "mocked"
        undo()
        assert vars(Signal)["send"] is mocked

    assert [note.operation for note in observer.notes] == ["send"]


def test_who_wraps_send_after_us_stays_when_we_go(adapter, observer):
    """Taking ours out would take theirs out; without observers ours does what Django's does."""
    calls: list[str] = []
    signal = Signal()
    signal.connect(receiver)
    undo = adapter.install()
    ours = vars(Signal)["send"]
    theirs = wrapping(calls, ours)
    Signal.send = theirs  # type: ignore[method-assign]
    try:
        assert signal.send(sender=None) == [(receiver, "heard")]
        undo()
        assert vars(Signal)["send"] is theirs
        assert signal.send(sender=None) == [(receiver, "heard")]
    finally:
        Signal.send = ORIGINALS["send"]  # type: ignore[method-assign]

    assert calls == ["theirs", "theirs"]


@pytest.fixture
def unknown_release(monkeypatch):
    """A Django of the future, whose inside is another."""
    monkeypatch.setattr(django, "VERSION", (9, 3, 0, "final", 0))
    monkeypatch.delattr("django.dispatch.dispatcher.NO_RECEIVERS")


def test_an_unknown_release_is_observed_from_outside(unknown_release, observer, caplog):
    """Its dispatches are, its receivers are not; it says so once, and the results are its own."""
    signal: Any = Signal()
    signal.connect(receiver)
    with mock.patch.object(Signal, "send", lambda self, sender, **named: ["the future", sender, named]):
        with caplog.at_level(logging.WARNING):
            undo = DjangoAdapter().install()
        assert signal.send("by position", value=1) == ["the future", "by position", {"value": 1}]
        assert signal.send(sender=None) == ["the future", None, {}]
        undo()

    [record] = caplog.records
    assert record.getMessage().startswith("heliograph does not know the signal dispatcher of Django 9.3;")
    assert [(note.operation, note.outcome, note.calls) for note in observer.notes] == [("send", "returned", ())] * 2


def test_an_unknown_release_has_spans_without_receivers(unknown_release, instrument, spans, metrics):
    """No receiver count is made up, and no number of receivers recorded."""
    signal = Signal()

    def send(self, sender, **named):
        if sender is None:
            raise ValueError("sender")
        return []

    with mock.patch.object(Signal, "send", send):
        undo = instrument("django")
        signal.send(Oven)
        with pytest.raises(ValueError, match="sender"):
            signal.send(sender=None)
        undo()

    first, second = spans.all_named("send _OTHER")
    assert "heliograph.dispatch.receiver.count" not in first.attributes
    assert first.attributes["heliograph.sender.name"] == "tests.support.shop.signals.Oven"
    assert second.attributes["error.type"] == "ValueError"
    assert metrics.points("heliograph.dispatch.receivers") == []
    assert metrics.total("heliograph.dispatch.duration") == 2


@pytest.mark.skipif(not hasattr(Signal, "asend"), reason="capability asend: Django 4.2 has none")
def test_awaited_sends_of_an_unknown_release_are_observed_from_outside(unknown_release, observer):
    """Results and errors are its own."""
    import asyncio

    async def asend(self, sender, **named):
        await asyncio.sleep(0)
        if sender is None:
            raise ValueError("sender")
        return ["the future", sender, named]

    signal = Signal()
    with mock.patch.object(Signal, "asend", asend):
        undo = DjangoAdapter().install()
        assert inspect.iscoroutinefunction(Signal.asend)
        assert asyncio.run(signal.asend("by position", value=1)) == ["the future", "by position", {"value": 1}]
        with pytest.raises(ValueError, match="sender"):
            asyncio.run(signal.asend(sender=None))
        undo()

    assert observer.outcomes == [("asend", "returned"), ("asend", "raised")]


def test_djangos_sentinel_is_used_as_it_is(installed, observer):
    """Others import NO_RECEIVERS; a signal with caching that knows a sender without receivers ends at once."""
    signal = Signal(use_caching=True)
    signal.connect(receiver, sender=Oven)
    for _ in range(2):
        assert signal.send(sender=Pizza) == []

    assert signal.sender_receivers_cache[Pizza] is django.dispatch.dispatcher.NO_RECEIVERS
    assert [note.calls for note in observer.notes] == [(), ()]


def test_a_sender_that_django_refuses_is_refused(installed, observer):
    """An unhashable sender fails in Django's own look-up."""
    signal = Signal()
    signal.connect(receiver)
    with pytest.raises(TypeError, match="unhashable"):
        signal.send(sender=[])
    undo = observe(Recording())
    with pytest.raises(TypeError, match="unhashable"):
        signal.send(sender=[])
    undo()


def test_the_library_need_not_be_installed(monkeypatch):
    """Its adapter says whether it is, and imports nothing to find out."""
    assert DjangoAdapter().available() is True
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert DjangoAdapter().available() is False


def test_djangos_own_test_client_request_is_one_tree(instrument, spans, connect):
    """A request through the handler: its signals are there, in order, and nothing is wrong with the response."""
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path

    def view(request):
        pizza_done.send(sender=Oven, size="large")
        return HttpResponse("done")

    import types

    urls = types.ModuleType("urls_of_a_test")
    urls.urlpatterns = [path("", view)]  # type: ignore[attr-defined]
    instrument("django", slow=1000)
    connect(pizza_done, receiver)
    connect(core.request_finished, receiver)
    with override_settings(ROOT_URLCONF=urls), observing(Recording()):
        response = Client().get("/")

    assert response.content == b"done"
    counts = spans.counts()
    assert counts["send pizza_done"] == 1
    assert counts["handle receiver"] >= 1


@pytest.mark.parametrize("name", METHODS)
def test_without_observers_the_outer_methods_are_the_originals(adapter, name):
    """Also where somebody else's method is called: results are theirs, and nobody is told."""
    import asyncio

    signal = Signal()
    signal.connect(receiver)
    with mock.patch.object(Signal, name, wrapping([], ORIGINALS[name])):
        undo = adapter.install()
        result = getattr(signal, name)(sender=None)
        if name.startswith("a"):
            result = asyncio.run(result)
        undo()

    assert result == [(receiver, "heard")]
