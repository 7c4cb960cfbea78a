"""A bakery's web shop: a plain Flask application. Nothing in it knows that it is watched."""

import asyncio

import flask

from bakery import receivers  # noqa: F401  # connects them
from bakery.branches import BRANCHES, MARKET
from bakery.signals import bread_baked, coupon_used, order_placed

PAGE = "<h1>Bread</h1>{% for branch in branches %}<p>{{ branch.name }}: {{ branch.flour }} kg of flour</p>{% endfor %}"


def create_app():
    app = flask.Flask(__name__)

    @app.get("/")
    def bread():
        return flask.render_template_string(PAGE, branches=BRANCHES.values())

    @app.post("/order/<branch>/<bread>")
    def order(branch, bread):
        order_placed.send(BRANCHES[branch], bread=bread)
        return f"{bread} ordered\n"

    @app.post("/coupon/<code>")
    def coupon(code):
        coupon_used.send(MARKET, code=code)
        return f"{code} used\n"

    @app.post("/bake/<branch>/<bread>")
    async def bake(branch, bread):
        await bread_baked.send_async(BRANCHES[branch], bread=bread, _sync_wrapper=in_a_thread)
        return f"{bread} baked\n"

    return app


def in_a_thread(receiver):
    """What blinker asks for to await a plain receiver."""

    async def run(sender, **payload):
        return await asyncio.to_thread(receiver, sender, **payload)

    return run
