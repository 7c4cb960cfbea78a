"""A Django application with two models and a signal of its own."""
