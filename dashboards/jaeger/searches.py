"""Searches that answer a question with one click, as links into Jaeger's search page.

Jaeger compares a span's attributes with a value and knows no "more than", so there is a link for each value that is worth
one. They ask for attributes of heliograph's alone: some of Jaeger's storages do not find ``error=true``.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from urllib.parse import urlencode

from heliograph.telemetry import semconv

__all__ = ["SEARCHES", "Search", "address", "page"]


@dataclass(frozen=True, slots=True)
class Search:
    """One search.

    Attributes:
        group: The question.
        title: Which of its answers.
        finds: What is in the traces that are found.
        tags: Attributes that one span has, as texts.
        longer_than: How long that span took at least, as Jaeger writes it; empty for any time.
    """

    group: str
    title: str
    finds: str
    tags: Mapping[str, str]
    longer_than: str = field(default="")


FAILED, SLOW = "Failed receivers", "Receivers over 100 ms"
SKIPPED, DEEP = "Skipped receivers", "Deep cascades"


def _failed(count: int, words: str) -> Search:
    return Search(FAILED, words, f"a send in which {words}", {semconv.RECEIVER_FAILED_COUNT: str(count)})


def _deep(depth: int) -> Search:
    finds = f"a send within {depth} others, or more"
    return Search(DEEP, f"{depth} deep", finds, {semconv.DEPTH: str(depth)})


SEARCHES = (
    _failed(1, "one failed"),
    _failed(2, "two failed"),
    _failed(3, "three failed"),
    Search(SLOW, "sync", "a receiver that took 100 ms or more", {semconv.RECEIVER_MODE: "sync"}, "100ms"),
    Search(SLOW, "async", "an async receiver that took 100 ms or more", {semconv.RECEIVER_MODE: "async"}, "100ms"),
    Search(
        SKIPPED,
        "after an error",
        "a send that an error ended: receivers after the one that raised never ran, and the span names them",
        {semconv.RECEIVER_FAILED_COUNT: "1", semconv.ERROR_POLICY: "propagate"},
    ),
    _deep(3),
    _deep(5),
    _deep(8),
)


def address(search: Search, *, service: str, jaeger: str = "") -> str:
    """Return the link to *search* among the traces of *service*, in the last hour.

    Args:
        search: What to look for.
        service: The service's name.
        jaeger: Where Jaeger is; empty for a link within its own pages.
    """
    query = {
        "service": service,
        "tags": json.dumps(search.tags, separators=(",", ":")),
        **({"minDuration": search.longer_than} if search.longer_than else {}),
        "lookback": "1h",
        "limit": "100",
    }
    return f"{jaeger}/search?{urlencode(query)}"


_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$service: saved searches</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
  dt { font-weight: 600; margin-top: 1rem }
  dd { margin: 0 0 0 1rem }
</style>
<h1>$service: saved searches</h1>
<p>Traces of the last hour in <a href="$jaeger">Jaeger</a>.</p>
<dl>
$rows
</dl>
</html>
""")


def page(*, service: str, jaeger: str) -> str:
    """Return a page in HTML with a link for each search."""
    rows = []
    for number, search in enumerate(SEARCHES):
        if number == 0 or SEARCHES[number - 1].group != search.group:
            rows.append(f"<dt>{html.escape(search.group)}</dt>")
        link = html.escape(address(search, service=service, jaeger=jaeger))
        rows.append(f'<dd><a href="{link}">{html.escape(search.title)}</a>: {html.escape(search.finds)}</dd>')
    return _PAGE.substitute(service=html.escape(service), jaeger=html.escape(jaeger), rows="\n".join(rows))
