"""A day at the pizza shop: real HTTP requests against a real server, from morning to night.

``python shop_day.py`` prints one line per request and leaves nothing behind, unless
``PIZZA_SHOP_DATABASE`` names a file to keep the day in.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from socketserver import TCPServer
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from browser import Browser
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections

CUSTOMERS = 6
MANAGER = "manager"
PASSWORD = "margherita"

GUESTS = ("Ada", "Grace", "Edsger", "Barbara")
PIZZAS = ("margherita", "napoli", "diavola", "capricciosa", "margherita")
SIZES = ("S", "M", "L")


def open_for_business(customers: int = CUSTOMERS) -> None:
    """Run one day, in which so many *customers* order, pay and eat.

    The folder of this file must be on ``sys.path``. The database is the one that
    ``PIZZA_SHOP_DATABASE`` names when this is called for the first time in a process.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "pizza_shop.settings"
    application = get_wsgi_application()
    prepare()
    with serving(application) as port:
        manager, guest = Browser(port), Browser(port)
        topping = morning(manager)
        lunch(guest, customers)
        trouble(guest)
        evening(manager, topping)


def prepare() -> None:
    """Migrate, which builds the kitchen's shelves too, load the menu and hire a manager."""
    try:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("loaddata", "menu", verbosity=0)
        manager, _ = get_user_model().objects.get_or_create(
            username=MANAGER, defaults={"is_staff": True, "is_superuser": True}
        )
        manager.set_password(PASSWORD)
        manager.save()
    finally:
        connections.close_all()


class ShopServer(WSGIServer):
    """A WSGI server that starts without asking the network for this machine's name."""

    def server_bind(self) -> None:
        """Bind and take the address as the name."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()


class QuietHandler(WSGIRequestHandler):
    """Leaves it to the browsers to say what was asked for."""

    def log_message(self, *args: object, **kwargs: object) -> None:
        """Say nothing."""


@contextmanager
def serving(application: WSGIApplication) -> Iterator[int]:
    """Serve *application* in a thread of its own and give the port, until the block ends."""
    with ShopServer(("127.0.0.1", 0), QuietHandler) as server:
        server.set_app(application)
        thread = Thread(target=server.serve_forever, args=(0.02,), name="pizza-shop")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def morning(manager: Browser) -> str:
    """Log in (at the second try), put capers on the Napoli, and restock. Give the capers' page."""
    login = "/admin/login/"
    manager.get(login)
    manager.post(login, username=MANAGER, password="quattro stagioni")
    manager.post(login, username=MANAGER, password=PASSWORD, next="/admin/")
    manager.get("/admin/")
    added = manager.post("/admin/menu/topping/add/", name="  Capers ", vegetarian="on", _continue="1")
    topping = added.location.removesuffix("change/")
    key = topping.rstrip("/").rpartition("/")[2]
    manager.post(
        "/admin/menu/pizza/2/change/",
        name="Napoli",
        slug="napoli",
        price_cents=990,
        toppings=[1, 2, 7, key],
    )
    manager.post("/kitchen/restock/")
    return topping


def lunch(guest: Browser, customers: int) -> None:
    """Serve the customers one after the other; every other one takes the pizza away."""
    guest.get("/")
    visits = zip(cycle(GUESTS), cycle(PIZZAS), cycle(SIZES), cycle(("", "on")))
    for name, pizza, size, takeaway in islice(visits, customers):
        order = place(guest, name, pizza, size=size, takeaway=takeaway)
        guest.get(order)
        guest.post(f"{order}pay/")
        guest.post(f"/kitchen{order}to-go/" if takeaway else f"/kitchen{order}bake/")


def trouble(guest: Browser) -> None:
    """Change one's mind, ask for what is out of stock, and reserve a table nobody keeps."""
    order = place(guest, "Ada", "diavola", size="S", takeaway="")
    guest.post(f"{order}cancel/")
    place(guest, "Grace", "tartufo", size="L", takeaway="")
    guest.post("/orders/tables/", seats=4)


def evening(manager: Browser, topping: str) -> None:
    """Take the capers off the menu again and go home."""
    manager.post(f"{topping}delete/", post="yes")
    manager.post("/admin/logout/")


def place(guest: Browser, name: str, pizza: str, *, size: str, takeaway: str) -> str:
    """Order a *pizza* and give the order's page, or nothing when the shop refused."""
    email = f"{name.lower()}@example.com"
    fields = {"name": name, "email": email, "pizza": pizza, "size": size, "takeaway": takeaway}
    return guest.post("/orders/", **fields).location


@contextmanager
def passing_database() -> Iterator[None]:
    """Let the day run on a database that is gone afterwards, unless the caller named one."""
    if os.environ.get("PIZZA_SHOP_DATABASE"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="pizza_shop_") as folder:
        os.environ["PIZZA_SHOP_DATABASE"] = str(Path(folder) / "day.sqlite3")
        try:
            yield
        finally:
            del os.environ["PIZZA_SHOP_DATABASE"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one day from the command line."""
    parser = argparse.ArgumentParser(description="Run one day at the pizza shop.")
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="how many order (default: %(default)s)")
    options = parser.parse_args(arguments)
    with passing_database():
        open_for_business(options.customers)


if __name__ == "__main__":
    main()
