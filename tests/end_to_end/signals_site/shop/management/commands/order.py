"""Order something on the command line."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Order something."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what")

    def handle(self, *args: Any, **options: Any) -> str:
        apps.get_model("shop", "Order").objects.create(what=options["what"])
        return f"{options['what']} ordered"
