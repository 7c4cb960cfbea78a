"""Prometheus, run for real with the files in dashboards/prometheus, and a past for it to remember."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dashboards.backends.servers import DASHBOARDS, Prometheus
from dashboards.backends.store import program

__all__ = ["ALERTS", "FOLDER", "RECORDING", "Past", "WrittenTo", "configure", "promtool", "rules_in"]

FOLDER = DASHBOARDS / "prometheus"
RECORDING = FOLDER / "recording.yaml"
ALERTS = FOLDER / "alerts.yaml"

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds


def rules_in(path: Path) -> list[dict[str, Any]]:
    """Return the rules of a file, in order."""
    return [rule for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def promtool(*arguments: str | Path) -> str:
    """Run promtool and return what it says; fail with it when it refuses."""
    command = [str(program("promtool")), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def configure(prometheus: Prometheus, folder: Path, targets: Mapping[str, str]) -> None:
    """Let *prometheus* run as dashboards/prometheus has it, only every second, and with these *targets* by job.

    Args:
        prometheus: Not started yet.
        folder: Where copies of the files go.
        targets: Host and port to scrape, by the name of the job.
    """
    configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(_every_second(FOLDER / name, folder)) for name in configuration["rule_files"]]
    assert {job["job_name"] for job in configuration["scrape_configs"]} == set(targets)
    for job in configuration["scrape_configs"]:
        path = folder / f"{job['job_name']}.yaml"
        path.write_text(yaml.safe_dump([{"targets": [targets[job["job_name"]]]}]))
        job["file_sd_configs"] = [{"files": [str(path)]}]
    prometheus.configure(configuration)


def _every_second(rules: Path, folder: Path) -> Path:
    document = yaml.safe_load(rules.read_text(encoding="utf-8"))
    for group in document["groups"]:
        group["interval"] = "1s"
    path = folder / rules.name
    path.write_text(yaml.safe_dump(document))
    return path


class Past:
    """A past for Prometheus, written into its database: counters that have grown evenly at some times.

    Args:
        folder: Where files are made, and where the database is, as ``prometheus``.
        now: Seconds since the epoch.
    """

    def __init__(self, folder: Path, now: float) -> None:
        self._folder = folder
        this_minute = int(now) // MINUTE * MINUTE
        # All that rules look back at: this hour a week ago and yesterday, and something before the last hour.
        around = [this_minute - 7 * DAY, this_minute - DAY, this_minute - 2 * HOUR]
        self._spans = [(at - 75 * MINUTE, at + 20 * MINUTE) for at in around]

    def write(self, growth: Mapping[str, float]) -> None:
        """Let each series, in Prometheus's own notation, have grown by so much a minute."""
        path = self._folder / "past.txt"
        path.write_text("".join(self._lines(growth)) + "# EOF\n", encoding="utf-8")
        promtool("tsdb", "create-blocks-from", "openmetrics", path, self._folder / "prometheus")

    def record(self, prometheus: Prometheus, rules: Path) -> None:
        """Let *rules* have been recorded at these times, from what *prometheus* knows of them."""
        for start, end in self._spans:
            arguments = (f"--start={start}", f"--end={end}", f"--url={prometheus.url}", "--eval-interval=30s")
            out = f"--output-dir={self._folder / 'prometheus'}"
            promtool("tsdb", "create-blocks-from", "rules", *arguments, out, rules)

    def _lines(self, growth: Mapping[str, float]) -> Iterator[str]:
        families: dict[str, list[tuple[str, float]]] = {}
        for series, a_minute in sorted(growth.items()):
            families.setdefault(series.partition("{")[0], []).append((series, a_minute))
        for name, members in families.items():
            yield f"# TYPE {name} unknown\n"
            for series, a_minute in members:
                yield from (f"{series} {value} {at}\n" for at, value in self._points(a_minute))

    def _points(self, a_minute: float) -> Iterable[tuple[int, float]]:
        for start, end in self._spans:
            for minute, at in enumerate(range(start, end, MINUTE)):
                yield at, minute * a_minute


class WrittenTo(Prometheus):
    """A Prometheus that takes remote writes, as Mimir and Thanos do.

    Attributes:
        write: Where it takes them.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._command.append("--web.enable-remote-write-receiver")
        self.write = f"{self.url}/api/v1/write"
        self.configure({"storage": yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["storage"]})
