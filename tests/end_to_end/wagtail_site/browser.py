"""What an editor does with a browser: open a page, fill in its form, send it. CSRF checks are on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from django.http import HttpResponse
from django.test import Client

TICKED = ("checkbox", "radio")


class Browser:
    """A browser with its cookies; each answer goes to *keep*."""

    def __init__(self, keep: Callable[[str, str, HttpResponse], None]) -> None:
        self._client = Client(enforce_csrf_checks=True, raise_request_exception=False, SERVER_NAME="localhost")
        self._keep = keep

    def open(self, path: str) -> HttpResponse:
        """Open a page."""
        return self._kept("GET", path, self._client.get(path))

    def send(self, path: str, fields: dict[str, Any]) -> HttpResponse:
        """Send a form."""
        return self._kept("POST", path, self._client.post(path, fields))

    def press(self, path: str, **fields: Any) -> HttpResponse:
        """Send what a button made by a script sends: the token comes from the cookie."""
        return self.send(path, {**fields, "csrfmiddlewaretoken": self._client.cookies["csrftoken"].value})

    def fill_in(self, path: str, **values: Any) -> HttpResponse:
        """Open a page, fill in the form that has the fields named, and send it with all its other fields as they are.

        A name that begins with ``action_`` is that of a button: ``action_publish`` is sent as ``action-publish``.
        """
        values = {name.replace("action_", "action-"): value for name, value in values.items()}
        form = _form_with(BeautifulSoup(self.open(path).content, "html.parser"), values)
        fields = {**_fields_of(form), **values}
        return self.send(urljoin(path, str(form.get("action") or path)), fields)

    def _kept(self, method: str, path: str, response: Any) -> HttpResponse:
        self._keep(method, path, response)
        return cast(HttpResponse, response)


def _form_with(page: BeautifulSoup, names: dict[str, Any]) -> Tag:
    forms = [form for form in page.find_all("form") if str(form.get("method")).lower() == "post"]
    for form in forms:
        if all(form.find(True, {"name": name}) for name in names if not name.startswith("action-")):
            return form
    raise LookupError(f"No form with {sorted(names)} among {[_fields_of(form) for form in forms]}")


def _fields_of(form: Tag) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field in form.find_all(["input", "textarea", "select"]):
        if field.get("name") and _is_sent(field):
            fields[str(field["name"])] = _value_of(field)
    return fields


def _is_sent(field: Tag) -> bool:
    kind = field.get("type")
    return kind not in ("file", "submit", "button") and (kind not in TICKED or field.has_attr("checked"))


def _value_of(field: Tag) -> Any:
    if field.name == "textarea":
        return field.get_text().removeprefix("\n")
    if field.name == "select":
        chosen = [option.get("value", "") for option in field.find_all("option", selected=True)]
        return chosen if field.has_attr("multiple") else (chosen or [""])[0]
    return field.get("value", "on" if field.get("type") in TICKED else "")
