"""Who listens. Imported once, by create_app, so that the functions below are connected."""

import asyncio
import time

import flask

from bakery.branches import HARBOUR
from bakery.signals import bread_baked, coupon_used, flour_low, order_placed

EXPIRED = {"SPRING"}


class ExpiredCouponError(Exception):
    pass


class Tally:
    """Keeps count; its methods are receivers, and live as long as it does."""

    def __init__(self):
        self.visitors = 0
        self.pages = []

    def count_visitor(self, app, **_):
        self.visitors += 1

    def note_page(self, app, *, template, **_):
        self.pages.append(template.name)


tally = Tally()
complaints = []
flask.request_started.connect(tally.count_visitor)
flask.template_rendered.connect(tally.note_page)


@flask.got_request_exception.connect
def write_complaint(app, *, exception, **_):
    complaints.append(type(exception).__name__)


@order_placed.connect
def weigh_flour(branch, *, bread, **_):
    branch.flour -= 2
    if branch.flour < 2:
        flour_low.send(branch)
    return branch.flour


@order_placed.connect
def print_label(branch, *, bread, **_):
    time.sleep(0.15)  # an old printer
    return f"{bread}, {branch.name}"


@order_placed.connect_via(HARBOUR)  # the harbour's orders alone
def tell_skipper(branch, *, bread, **_):
    return f"{bread} is for the ship"


@coupon_used.connect
def check_coupon(branch, *, code):
    if code in EXPIRED:
        raise ExpiredCouponError(code)
    return code


@bread_baked.connect
async def ring_bell(branch, **_):
    await asyncio.sleep(0.01)
    return "ding"


@bread_baked.connect
def fill_shelf(branch, *, bread):
    return f"{bread} on the shelf"
