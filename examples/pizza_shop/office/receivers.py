"""What the back office listens to: nearly all of Django's own signals."""

import sys
from collections import Counter
from functools import partial

from django.contrib.auth.models import AbstractUser, Group
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.signals import got_request_exception, request_finished, request_started
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from .models import DiaryEntry
from .visitors import visitors

request_started.connect(visitors.arrive)
request_finished.connect(visitors.leave)

changes: Counter[tuple[str, str]] = Counter()


def count_change(verb: str, sender: type[Model], **kwargs: object) -> None:
    """Count one change of any model at all."""
    changes[sender.__name__, verb] += 1


# Nothing else keeps these partials, so the signals have to.
post_save.connect(partial(count_change, "saved"), weak=False, dispatch_uid="office.saved")
post_delete.connect(partial(count_change, "deleted"), weak=False, dispatch_uid="office.deleted")


@receiver(connection_created)
def trade_safety_for_speed(
    sender: type[BaseDatabaseWrapper], connection: BaseDatabaseWrapper, **kwargs: object
) -> None:
    """Let SQLite not wait for the disk: a lost day at this shop is quickly made up again."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")


def ensure_roles(sender: object, using: str, **kwargs: object) -> None:
    """Make the group of waiters once the tables are there."""
    Group.objects.using(using).get_or_create(name="waiters")


@receiver(got_request_exception)
def write_complaint(sender: object, request: HttpRequest, **kwargs: object) -> None:
    """Write into the diary that a guest saw an error."""
    error = sys.exc_info()[0]
    name = error.__name__ if error else "an error"
    DiaryEntry.objects.create(text=f"{name} at {request.path}"[:200])


@receiver(user_logged_in)
def clock_in(sender: type, user: AbstractUser, **kwargs: object) -> None:
    """Write down who started work."""
    DiaryEntry.objects.create(text=f"{user.get_username()} came")


@receiver(user_logged_out)
def clock_out(sender: type, user: AbstractUser | None, **kwargs: object) -> None:
    """Write down who stopped work, if anyone was logged in."""
    if user is not None:
        DiaryEntry.objects.create(text=f"{user.get_username()} went")


@receiver(user_login_failed)
def note_failed_login(sender: str, **kwargs: object) -> None:
    """Write down that someone was turned away, and not with which name or password."""
    DiaryEntry.objects.create(text="somebody could not log in")
