"""A very small browser: it keeps cookies, fills in CSRF tokens and says what it asked for."""

from dataclasses import dataclass
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Page:
    """What came back."""

    status: int
    location: str


class Browser:
    """One person's browser. Redirects are not followed: each line printed is one request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> Page:
        """Ask for a page."""
        return self._request("GET", path, body="", headers={})

    def post(self, path: str, **fields: object) -> Page:
        """Send a form, with the token that an earlier page left in a cookie."""
        token = self._cookies.get("csrftoken", "")
        body = urlencode({**fields, "csrfmiddlewaretoken": token}, doseq=True)
        return self._request("POST", path, body=body, headers={"Content-Type": FORM})

    def _request(self, method: str, path: str, *, body: str, headers: dict[str, str]) -> Page:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body or None, {**headers, "Cookie": self._cookie()})
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        self._keep(response.headers.get_all("Set-Cookie", []))
        print(f"{method:4} {path} {response.status}")
        return Page(response.status, response.headers.get("Location", ""))

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def _keep(self, set_cookies: list[str]) -> None:
        for line in set_cookies:
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.value
