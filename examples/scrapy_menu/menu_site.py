"""The web site that is crawled: a menu with one page a pizza, served on the loopback interface."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIZZAS = {"margherita": "7.50", "marinara": "6.80", "calzone": "9.20", "secret": ""}
PRICES = {**PIZZAS, "tiramisu": "4.90"}


class Menu(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        if name and name not in PRICES:
            self.send_error(404)
            return
        body = page(name).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Say nothing."""


def page(name):
    if name:
        return f"<h1>{name}</h1><p class=price>{PRICES[name]}</p>"
    return "".join(f"<a href=/{pizza}>{pizza}</a>" for pizza in [*PIZZAS, "sold-out"])


@contextmanager
def serve():
    """Serve the site on a free port; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Menu)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
