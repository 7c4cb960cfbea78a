"""The compose file mounts what the tests run, and its programs find each other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from dashboards.backends.process import wait_for
from dashboards.backends.servers import DASHBOARDS, JAEGER_CONFIGURATION, Jaeger, Prometheus
from dashboards.backends.store import BACKENDS, program
from heliograph.telemetry import semconv
from tests.dashboards import prometheuses
from tests.dashboards.collectors import ALL, BALANCER, FOLDER, SAMPLER, SINGLE, Collector
from tests.dashboards.prometheuses import configure
from tests.end_to_end.backends.reading import get, query, search, services
from tests.end_to_end.backends.shop import CUSTOMERS, SERVICE, running_shop, variables_for

FILE = DASHBOARDS / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
# The configurations of those that have variables.
FILES = {"collector": [FOLDER / name for name in SINGLE], "jaeger": [JAEGER_CONFIGURATION]}


def settings_in(paths: list[Path]) -> dict[str, str]:
    """Return the variables that configurations read, with their defaults."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    return dict(re.findall(r"\$\{env:(\w+):-([^}]*)\}", text))


def mounts(name: str) -> dict[PurePosixPath, Path]:
    """Return what is mounted from here, by the path in the container."""
    pairs = [mount.split(":") for mount in SERVICES[name]["volumes"]]
    return {PurePosixPath(inside): DASHBOARDS / outside for outside, inside, *_ in pairs if outside.startswith(".")}


def outside(name: str, path: str) -> Path:
    """Return which file here a path in a container is."""
    for inside, folder in mounts(name).items():
        if PurePosixPath(path).is_relative_to(inside):
            return (folder / PurePosixPath(path).relative_to(inside)).resolve()
    raise AssertionError(f"{path} is not mounted into {name}")


def listening(name: str) -> set[str]:
    """Return the ports a service listens to."""
    own = {"prometheus": {"9090"}, "grafana": {"3000"}}
    return own.get(name) or {value for key, value in settings_in(FILES[name]).items() if key.endswith("_PORT")}


# ------------------------------------------------------------------------------------------------------------ the files


def test_what_is_mounted_is_what_the_tests_run():
    """The very files: the Collector's three in their order, Jaeger's configuration, Prometheus's, Grafana's provisioning."""
    options = [option.removeprefix("--config=") for option in SERVICES["collector"]["command"]]
    assert [outside("collector", path) for path in options] == FILES["collector"]
    assert outside("jaeger", SERVICES["jaeger"]["command"][1]) == JAEGER_CONFIGURATION
    assert outside("jaeger", SERVICES["jaeger"]["environment"]["JAEGER_UI_CONFIG"]) == DASHBOARDS / "jaeger" / "ui.json"
    configuration, *_ = SERVICES["prometheus"]["command"]
    assert outside("prometheus", configuration.partition("=")[2]) == prometheuses.FOLDER / "prometheus.yml"
    assert set(mounts("grafana").values()) == {DASHBOARDS / "grafana" / "provisioning", DASHBOARDS / "grafana" / "json"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_mount_is_there_and_cannot_be_written(name):
    """A path that does not exist would be made by Docker, as an empty folder."""
    read_only = [mount for mount in SERVICES[name]["volumes"] if mount.startswith(".")]

    assert mounts(name)
    assert all(folder.is_dir() and list(folder.iterdir()) for folder in mounts(name).values())
    assert all(mount.endswith(":ro") for mount in read_only)


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_one_that_the_configuration_reads(name):
    """One that nothing reads would be a slip of the pen. `GOMEMLIMIT` is read by every Go program."""
    assert set(SERVICES[name]["environment"]) - {"GOMEMLIMIT"} <= set(settings_in(FILES[name]))


def test_programs_find_each_other():
    """Each address that one service has of another names a service, and a port that it listens to."""
    texts = [
        FILE,
        *prometheuses.FOLDER.glob("targets/*.yaml"),
        *(DASHBOARDS / "grafana").glob("provisioning/**/*.yaml"),
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in texts)
    addresses = set(re.findall(rf"\b({'|'.join(SERVICES)}):(\d{{4,5}})\b", text))

    assert {(name, port) for name, port in addresses if port in listening(name)} == addresses
    assert addresses == {
        *{("collector", "8888"), ("collector", "8889")},
        *{("jaeger", "4318"), ("jaeger", "16686"), ("prometheus", "9090")},
    }


def test_prometheus_scrapes_what_the_collector_says_and_nothing_twice():
    """What applications sent, and the Collector itself; not Jaeger, which would count the same spans again."""
    targets = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))[0]["targets"]
        for path in prometheuses.FOLDER.glob("targets/*.yaml")
    }
    defaults = settings_in(FILES["collector"])

    assert targets == {
        "applications": [f"collector:{defaults['METRICS_PORT']}"],
        "collector": [f"collector:{defaults['COLLECTOR_TELEMETRY_PORT']}"],
    }
    configuration = yaml.safe_load((prometheuses.FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    files = [file for job in configuration["scrape_configs"] for one in job["file_sd_configs"] for file in one["files"]]
    assert files == [f"targets/{name}.yaml" for name in targets]


def test_ports_are_open_to_this_machine_alone():
    """Each is published on the loopback interface, as the port that it is inside; OTLP has the ports that SDKs expect."""
    published = {name: [port.split(":") for port in service["ports"]] for name, service in SERVICES.items()}

    assert {interface for ports in published.values() for interface, _, _ in ports} == {"127.0.0.1"}
    for name, ports in published.items():
        assert {(outer, inner) for _, outer, inner in ports} <= {(port, port) for port in listening(name)}
    assert [port for _, port, _ in published["collector"]] == ["4317", "4318"]


def test_programs_in_containers_listen_to_the_others():
    """In a container the loopback interface is its own: there they listen everywhere."""
    hosts = [SERVICES["collector"]["environment"]["COLLECTOR_HOST"], SERVICES["jaeger"]["environment"]["JAEGER_HOST"]]

    assert hosts == ["0.0.0.0", "0.0.0.0"]


def test_what_may_be_changed_is_said_with_its_default():
    """.env.example has each variable of the compose file, with the value it has there."""
    example = (DASHBOARDS / ".env.example").read_text(encoding="utf-8")
    wanted = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILE.read_text(encoding="utf-8")))

    assert dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)) == wanted


def test_images_have_the_versions_that_are_tested():
    """The Collector's and Jaeger's are those that are built for the tests. Jaeger's Go module counts from 1.63 for 2.0."""
    manifest = yaml.safe_load((FOLDER / "otelcol.yaml").read_text(encoding="utf-8"))
    minor = int(BACKENDS["jaeger"]().version.split(".")[1]) - 63

    assert SERVICES["collector"]["image"].endswith(f":{manifest['dist']['version']}")
    assert SERVICES["jaeger"]["image"].endswith(f":2.{minor}.0")


PAGE = (DASHBOARDS.parent / "docs" / "collector.md").read_text(encoding="utf-8")


def test_the_documentation_starts_what_the_tests_start():
    """Its command lines have the same files in the same order, and so have the comments at the head of the files."""
    heads = "\n".join((FOLDER / files[-1]).read_text(encoding="utf-8") for files in (SINGLE, SAMPLER))
    commands = re.findall(r"^(?:otelcol-contrib|# .*?:) ((?:--config \S+ ?)+)$", PAGE + heads, re.MULTILINE)

    assert [tuple(command.split()[1::2]) for command in commands] == [SINGLE, BALANCER, SAMPLER, SINGLE, SAMPLER]


def test_the_documentation_has_each_variable_with_its_default():
    """Those of one machine in its table, those of many in the text."""
    rows = re.findall(
        r"^\| (`[A-Z_`, ]+`) \| (`.*`) \|", PAGE.partition("### Variables")[2].partition("###")[0], re.MULTILINE
    )
    told = {
        name: default
        for names, defaults in rows
        for name, default in zip(re.findall(r"`(\w+)`", names), re.findall(r"`([^`]+)`", defaults), strict=True)
    }
    wanted = settings_in(FILES["collector"])
    others = set(settings_in([FOLDER / name for files in ALL for name in files])) - set(wanted)

    assert told == wanted
    assert [name for name in sorted(others) if name not in PAGE] == []


def test_every_file_of_the_collector_is_run():
    """No configuration lies beside the others that no test starts."""
    used = {name for files in ALL for name in files}

    assert {path.name for path in FOLDER.glob("*.yaml")} == used | {"otelcol.yaml"}


def test_the_collectors_files_spell_names_as_heliograph_does():
    """Attributes and the scope that policies and dimensions look at are those of ``semconv``."""
    text = (FOLDER / "sampling.yaml").read_text(encoding="utf-8")
    known = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    found = set(re.findall(r"\b(?:heliograph|code)\.[a-z_.]+[a-z]", text))

    assert found
    assert found <= known
    assert f'instrumentation_scope.name == "{semconv.SCOPE}"' in text


def test_jaeger_and_the_collector_count_spans_alike():
    """The Monitor tab and the dashboards work with either: same dimensions, and the buckets of heliograph's own metrics."""
    jaeger = yaml.safe_load(JAEGER_CONFIGURATION.read_text(encoding="utf-8"))["connectors"]["spanmetrics"]
    ours = yaml.safe_load((FOLDER / "sampling.yaml").read_text(encoding="utf-8"))["connectors"]["span_metrics"]

    assert buckets(ours) == buckets(jaeger) == semconv.DURATION_BUCKETS
    assert dimensions(ours) == dimensions(jaeger)
    assert ours["resource_metrics_key_attributes"] == jaeger["resource_metrics_key_attributes"]


def buckets(connector: dict[str, Any]) -> tuple[float, ...]:
    """Return the buckets of a connector in seconds."""
    seconds = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    found = re.findall(r"([\d.]+)(us|ms|s)\b", " ".join(connector["histogram"]["explicit"]["buckets"]))
    return tuple(round(float(number) * seconds[unit], 9) for number, unit in found)


def dimensions(connector: dict[str, Any]) -> set[str]:
    """Return the attributes that become labels."""
    return {one["name"] for one in connector["dimensions"]}


# --------------------------------------------------------------------------------------------------------- the programs


@pytest.mark.end_to_end
@pytest.mark.backends
def test_prometheus_has_the_version_of_its_image():
    """The one that distributions have, which runs the tests, is the one in the container."""
    ran = subprocess.run([program("prometheus"), "--version"], capture_output=True, text=True, timeout=30, check=True)
    version = re.search(r"version (\d+\.\d+\.\d+)", ran.stdout + ran.stderr)

    assert version is not None
    assert SERVICES["prometheus"]["image"].endswith(f":v{version[1]}")


SHOWN = {"handle orders.printer.ReceiptPrinter.print_receipt", "handle loyalty.receivers.greet"}
"""Receivers that the Monitor tab has to show: of the second, no trace is kept."""


def counted(jaeger: Jaeger) -> set[str]:
    """Return the operations of which the Monitor tab has calls."""
    return {operation for operation, calls in calls_by_operation(jaeger).items() if calls > 0}


@pytest.mark.end_to_end
@pytest.mark.backends
def test_together_they_show_the_shops_day(tmp_path):
    """As in the containers: what is kept is in Jaeger, its Monitor tab has all calls, and Prometheus has no target down."""
    wait = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILE.read_text(encoding="utf-8")))["SAMPLING_WAIT"]
    prometheus = Prometheus(tmp_path)
    jaeger = Jaeger(tmp_path, prometheus=prometheus.url)
    settings = {"TRACES_ENDPOINT": jaeger.otlp, "SAMPLING_WAIT": wait, "SAMPLING_PERCENTAGE": "0"}
    with jaeger, Collector(tmp_path, SINGLE, **settings) as collector:
        configure(prometheus, tmp_path, {"applications": collector.metrics, "collector": collector.telemetry})
        with prometheus, running_shop(tmp_path, **variables_for(collector.url)) as shop:
            shop.open()
            paid = {"service": SERVICE, "operation": "POST orders/<int:pk>/pay/"}
            wait_for(lambda: len(search_or_none(jaeger, **paid)) == CUSTOMERS, what="payments are in Jaeger", within=60)
            refused = {"service": SERVICE, "operation": "POST orders/"}
            wait_for(lambda: len(search_or_none(jaeger, **refused)) == 1, what="the order of a Tartufo is", within=60)
            shop.open()  # a rate is made of two values
            wait_for(lambda: counted(jaeger) >= SHOWN, what="the Monitor tab has calls of the receivers", within=90)
            up = query(prometheus, "up")

    assert list(up.values()) == [1.0, 1.0]


def search_or_none(jaeger: Jaeger, *, service: str, operation: str) -> list[dict[str, Any]]:
    return search(jaeger, service, operation=operation) if service in services(jaeger) else []


def calls_by_operation(jaeger: Jaeger) -> dict[str, float]:
    """Return the latest rate of calls of each operation, as the Monitor tab asks for it."""
    answer = get(
        f"{jaeger.url}/api/metrics/calls", service=SERVICE, spanKind="internal", groupByOperation="true", step=1_000
    )
    found = {}
    for series in answer["metrics"]:
        labels = {label["name"]: label["value"] for label in series["labels"]}
        values = [point["gaugeValue"]["doubleValue"] for point in series["metricPoints"]]
        found[labels["operation"]] = max((float(value) for value in values if value != "NaN"), default=0.0)
    return {} if not any(found.values()) else found
