"""Signals that exist already: one module per library makes its dispatcher report what it does."""
