"""Jaeger's configuration, and what its user interface is given: links to Grafana, and searches that are kept."""
