"""Serve some requests, one after the other, on a free port of the loopback interface; then close."""

from typing import Any
from wsgiref.simple_server import make_server

from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Serve some requests, then close."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("requests", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        with make_server("127.0.0.1", 0, WSGIHandler()) as server:
            print(server.server_port, flush=True)
            for _ in range(options["requests"]):
                server.handle_request()
