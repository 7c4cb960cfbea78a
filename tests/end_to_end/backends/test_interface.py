"""The configuration of Jaeger's user interface: served by Jaeger, and its links lead where they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import urlopen

import pytest

from dashboards.backends.process import BackendError
from dashboards.backends.servers import Jaeger, Prometheus
from dashboards.grafana.links import OVERVIEW, RECEIVER
from dashboards.grafana.variables import CHOICES
from dashboards.jaeger.generated import FOLDER, generated
from dashboards.jaeger.searches import SEARCHES, address
from heliograph.telemetry import semconv
from tests.end_to_end.backends.reading import Shown, query, search, shown
from tests.end_to_end.backends.shop import SERVICE, Day

pytestmark = [pytest.mark.end_to_end, pytest.mark.backends]

INDEX = "<html><script>\nJAEGER_CONFIG = DEFAULT_CONFIG;\n</script></html>"  # the line that Jaeger looks for in its interface


@pytest.fixture
def configuration() -> dict[str, Any]:
    """The configuration of the interface, as it is in the repository."""
    return dict(json.loads((FOLDER / "ui.json").read_text()))


@pytest.mark.parametrize("name", sorted(generated()))
def test_generated_files_are_current(name: str):
    """What is in the repository is what ``python -m dashboards.jaeger`` writes."""
    assert (FOLDER / name).read_text(encoding="utf-8") == generated()[name]


def test_jaeger_gives_its_interface_the_configuration(configuration: dict[str, Any], tmp_path: Path):
    """Every page that Jaeger serves has it in the place of the defaults."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "index.html").write_text(INDEX)
    with (
        Jaeger(tmp_path, JAEGER_UI_ASSETS=str(assets)) as jaeger,
        urlopen(f"{jaeger.url}/search", timeout=10) as answer,
    ):
        served = re.search(r"JAEGER_CONFIG = (.*);\n", answer.read().decode())

    assert served is not None
    assert json.loads(served[1]) == configuration


def test_jaeger_refuses_a_configuration_that_is_none(tmp_path: Path):
    """A file that cannot be read stops Jaeger at once: one that starts has accepted its own."""
    broken = tmp_path / "ui.json"
    broken.write_text("{")

    jaeger = Jaeger(tmp_path, JAEGER_UI_CONFIG=str(broken))
    with pytest.raises(BackendError, match="jaeger ended with 2"):
        jaeger.start()

    assert f"cannot parse UI config file {broken}" in jaeger.log.read_text()


def test_the_menu_has_every_search(configuration: dict[str, Any]):
    """Each saved search is in the menu, with a link within Jaeger."""
    saved, grafana = configuration["menu"]

    assert [item["url"] for item in saved["items"]] == [address(one, service=SERVICE) for one in SEARCHES]
    assert [urlsplit(item["url"]).path for item in grafana["items"]] == [f"/d/{OVERVIEW}", f"/d/{RECEIVER}"]


def test_the_page_of_searches_has_every_search():
    """Each saved search is a link on the page, with the address of Jaeger."""
    page = generated(service="my shop", jaeger="https://jaeger.example")["searches.html"]
    links = [link.replace("&amp;", "&") for link in re.findall(r'<dd><a href="([^"]*)"', page)]

    assert links == [address(one, service="my shop", jaeger="https://jaeger.example") for one in SEARCHES]


def test_tags_of_signals_come_first(configuration: dict[str, Any], day: Day):
    """Signal, receiver and error are the first that the interface shows of a span: each is a tag of some span."""
    tags = {tag for span in day.sent for tag in span.attributes}
    prefixes = configuration["topTagPrefixes"]

    assert prefixes[:3] == [semconv.SIGNAL_NAME, semconv.FUNCTION_NAME, semconv.ERROR_TYPE]
    assert [prefix for prefix in prefixes if not any(tag.startswith(prefix) for tag in tags)] == []


def links(configuration: dict[str, Any], span: Shown) -> dict[str, str]:
    """Return the links that the interface makes of a span's tags, by their texts."""
    made = {}
    for pattern in configuration["linkPatterns"]:
        if pattern["type"] == "tags" and pattern["key"] in span.tags:
            made[pattern["text"]] = re.sub(
                r"#\{([^}]+)\}", lambda name: quote(str(span.tags[name[1]]), safe=""), pattern["url"]
            )
    return made


def test_a_receivers_span_leads_to_its_panel(
    configuration: dict[str, Any], day: Day, jaeger: Jaeger, prometheus: Prometheus
):
    """The variables that the link sets are the dashboard's, and their values are labels that Prometheus has."""
    [root] = shown(search(jaeger, SERVICE, operation="POST orders/<int:pk>/pay/")[0])
    [receiver] = [span for span in root.walk() if span.name.endswith("print_receipt")]
    to_receiver, to_signal = map(urlsplit, links(configuration, receiver).values())
    chosen = {name.removeprefix("var-"): value for name, [value] in parse_qs(to_receiver.query).items()}

    assert (to_receiver.path, to_signal.path) == (f"/d/{RECEIVER}", f"/d/{OVERVIEW}")
    assert chosen == {
        "system": "django",
        "signal": "orders.signals.order_paid",
        "receiver": "orders.printer.ReceiptPrinter.print_receipt",
    }
    assert set(chosen) < set(CHOICES)
    labels = (
        f'{{heliograph_system_name="{chosen["system"]}",heliograph_signal_name="{chosen["signal"]}",'
        f'code_function_name="{chosen["receiver"]}"}}'
    )
    assert query(prometheus, f"sum(heliograph_receiver_duration_seconds_count{labels})") == {(): 18.0}


def test_a_trace_leads_to_its_time(configuration: dict[str, Any]):
    """From an hour before the trace until an hour after it: the interface fills in the trace's own times."""
    [pattern] = [pattern for pattern in configuration["linkPatterns"] if pattern["type"] == "traces"]
    path, _, time = pattern["url"].partition("?")
    hour = 3_600_000_000

    assert urlsplit(path).path == f"/d/{OVERVIEW}"
    assert time == (
        f"from=#{{startTime | add -{hour} | epoch_micros_to_date_iso}}"
        f"&to=#{{endTime | add {hour} | epoch_micros_to_date_iso}}"
    )
