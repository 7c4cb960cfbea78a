"""Integrations with frameworks that have a place of their own for settings and checks."""
