"""Jaeger, Zipkin, Prometheus and the OpenTelemetry Collector as plain programs on this machine, without containers.

``python -m dashboards.backends`` gets them, :mod:`dashboards.backends.servers` starts and stops them.
"""
