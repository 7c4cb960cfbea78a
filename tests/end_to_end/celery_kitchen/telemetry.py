"""Sets up the SDK, OpenTelemetry's instrumentation of Celery and heliograph, in the order wanted."""

from __future__ import annotations

import importlib
import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import heliograph


def set_up(order: str, *, pool: str = "") -> None:
    """Instrument, and import the application.

    ``heliograph-first``: heliograph, which waits for Celery; the application with its receivers; OpenTelemetry's, in each
    process of a pool, as its documentation has it. ``heliograph-last``: OpenTelemetry's, heliograph, the application.
    ``in-the-pool``: the application; all the rest in each process of the pool.
    """
    if order == "heliograph-first":
        _set_provider()
        heliograph.instrument("celery")
        importlib.import_module(".app", __package__)
        _in_each_process(_instrument_celery) if pool == "prefork" else _instrument_celery()
    elif order == "heliograph-last":
        _set_provider()
        _instrument_celery()
        heliograph.instrument("celery")
        importlib.import_module(".app", __package__)
    else:
        importlib.import_module(".app", __package__)
        _in_each_process(_everything)


def _in_each_process(do: object) -> None:
    from celery.signals import worker_process_init

    worker_process_init.connect(do)


def _everything(**_: object) -> None:
    _set_provider()
    _instrument_celery()
    heliograph.instrument("celery")


def _set_provider() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(os.environ["KITCHEN_OTLP"] + "/v1/traces")))
    trace.set_tracer_provider(provider)


def _instrument_celery(**_: object) -> None:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument()
