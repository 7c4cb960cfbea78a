"""A kitchen whose meals are Celery tasks: a worker, and a waiter who orders."""
