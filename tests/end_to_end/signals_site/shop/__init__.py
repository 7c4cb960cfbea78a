"""A pizza shop."""
