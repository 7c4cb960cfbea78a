"""One receiver by itself."""

from __future__ import annotations

from typing import Final

from dashboards.grafana import links, names
from dashboards.grafana.layout import Section, laid_out
from dashboards.grafana.links import of_column, of_label
from dashboards.grafana.panels import (
    CALLS_A_SECOND,
    NUMBER,
    SECONDS,
    SHARE,
    Column,
    Panel,
    columns,
    curves,
    durations,
    figure,
    legend,
)
from dashboards.grafana.queries import EVERY, FAILED, RECENT, SHOWN, THIS, ratio, share
from dashboards.grafana.sdk import Dashboard
from dashboards.grafana.variables import choices

__all__ = ["dashboard"]

CALLS: Final = f"{names.CALLS}_count"
TIME: Final = f"{names.CALLS}_sum"
IN_LINKS: Final = "${receiver}"


def dashboard() -> Dashboard:
    """Return the dashboard of one receiver."""
    sections = [
        Section("At a glance", _glance()),
        Section("How long it takes", [_quantiles(), _heatmap(), _services(), _busy()]),
        Section("How often, and what fails", [_calls(), _failures(), _table()]),
        Section("Beside the other receivers of the signals chosen", [_others()]),
    ]
    about = "One receiver: how often it is called, how long it takes, what it raises, and who else hears its signals."
    page = laid_out(links.RECEIVER, "heliograph: receiver", about, choices(single="receiver"), sections)
    return page.link(links.to_dashboard(links.OVERVIEW, "Overview", "All signals and receivers"))


def _glance() -> list[Panel]:
    failed = ratio(THIS.rate(CALLS, FAILED), THIS.rate(CALLS))
    mine = share(THIS.rate(TIME), EVERY.rate(TIME))
    return [
        figure(1, "Calls", "How often it is called in a second.", THIS.rate(CALLS), CALLS_A_SECOND),
        figure(2, "Calls that failed", "Share of its calls that raised, handled or not.", failed, SHARE, bad=0.01),
        figure(3, "p95", "95 of 100 calls took no longer.", THIS.quantile(0.95, names.CALLS), SECONDS),
        figure(4, "Share of the time", "Its part of the time of all receivers of the signals chosen.", mine, SHARE),
    ]


def _quantiles() -> Panel:
    return curves(
        5,
        "Duration",
        "So many of 100 calls took no longer. A dot is one call: click it for its trace.",
        {f"p{percent}": THIS.quantile(percent / 100, names.CALLS) for percent in (50, 95, 99)},
        SECONDS,
        width=12,
        exemplars=True,
    )


def _heatmap() -> Panel:
    return durations(
        6,
        "Durations",
        "How many calls took how long. A dot is one call: click it for its trace.",
        THIS.growth(f"{names.CALLS}_bucket", by="le", over=RECENT),
    )


def _services() -> Panel:
    return curves(
        7,
        "p95 by service",
        "95 of 100 calls took no longer, in each service. Click one for the traces.",
        {legend(names.SERVICE): THIS.quantile(0.95, names.CALLS, by=names.SERVICE)},
        SECONDS,
        width=12,
        exemplars=True,
        links=[links.to_traces(of_label(names.SERVICE), IN_LINKS)],
    )


def _busy() -> Panel:
    return curves(
        8,
        "Busy",
        "Time spent in it: 100 % is one thread that does nothing else.",
        {legend(names.SERVICE): THIS.rate(TIME, by=names.SERVICE)},
        SHARE,
        width=12,
    )


def _calls() -> Panel:
    return curves(
        9,
        "Calls by signal",
        "How often it is called in a second, by the signal it hears.",
        {legend(names.SIGNAL): THIS.rate(CALLS, by=names.SIGNAL)},
        CALLS_A_SECOND,
        width=12,
        stacked=True,
        links=[links.to_overview(of_label(names.SIGNAL))],
    )


def _failures() -> Panel:
    return curves(
        10,
        "Failures by error type",
        "Its calls that raised, by exception; those that send_robust handled too. Click one for the traces.",
        {legend(names.ERROR): THIS.rate(CALLS, FAILED, by=f"{names.ERROR}, {names.SERVICE}")},
        CALLS_A_SECOND,
        width=12,
        stacked=True,
        links=[links.to_traces(of_label(names.SERVICE), IN_LINKS, of_label(names.ERROR))],
    )


def _table() -> Panel:
    by = f"{names.SERVICE}, {names.SIGNAL}, {names.MODE}"
    return columns(
        11,
        "Where it is called",
        "By service, signal and kind of call, in all of the time shown.",
        [
            Column("service", names.SERVICE, links=[links.to_traces(of_column("service"), IN_LINKS)]),
            Column("signal", names.SIGNAL, links=[links.to_overview(of_column("signal"))]),
            Column("mode", names.MODE),
            Column("calls", THIS.growth(CALLS, by=by), NUMBER),
            Column("total time", THIS.growth(TIME, by=by), SECONDS),
            Column("mean", THIS.mean(names.CALLS, by=by, over=SHOWN), SECONDS),
            Column("failed", THIS.growth(CALLS, FAILED, by=by), NUMBER),
        ],
        sort="total time",
        height=6,
    )


def _others() -> Panel:
    return curves(
        12,
        "Time by receiver",
        "Time spent in each receiver of the signals chosen: 100 % is one thread. Click one for its own page.",
        {legend(names.RECEIVER): EVERY.rate(TIME, by=f"{names.RECEIVER}, {names.SIGNAL}")},
        SHARE,
        width=24,
        stacked=True,
        links=[links.to_receiver(of_label(names.RECEIVER), of_label(names.SIGNAL))],
    )
