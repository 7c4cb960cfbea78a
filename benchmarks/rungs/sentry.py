"""Sentry's spans of Django's signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from benchmarks.backend import Backend
from benchmarks.rung import Prepared, Rung
from benchmarks.rungs.dispatchers import django

__all__ = ["SENTRY"]

NOWHERE = "http://key@localhost/1"
# By default a transaction keeps 1,000 spans and throws away the rest, which costs less than keeping them.
KEEP_ALL = {"max_spans": 2**17}


@contextmanager
def _transaction() -> Iterator[None]:
    import sentry_sdk

    with sentry_sdk.start_transaction(name="benchmark"):
        yield


def _init(sample_rate: float) -> None:
    import sentry_sdk
    from django.conf import settings
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.transport import Transport

    class Drop(Transport):  # type: ignore[misc]  # has no types where it is only checked
        def capture_envelope(self, envelope: Any) -> None:
            pass

    settings.configure()
    sentry_sdk.init(
        dsn=NOWHERE,
        transport=Drop,
        traces_sample_rate=sample_rate,
        integrations=[DjangoIntegration(signals_spans=True)],
        auto_enabling_integrations=False,
        _experiments=KEEP_ALL,
    )


def _prepare(sample_rate: float) -> Callable[[Backend], Prepared]:
    around: Callable[[], AbstractContextManager[object]] = _transaction

    def prepare(backend: Backend) -> Prepared:
        _init(sample_rate)
        return Prepared(django(), around)

    return prepare


SENTRY = (
    Rung("sentry-unsampled", "Django with Sentry's `signals_spans`, sampled out", _prepare(0.0)),
    Rung("sentry", "Django with Sentry's `signals_spans`", _prepare(1.0)),
)
