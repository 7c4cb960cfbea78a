"""The overview: every signal and every receiver of a service."""

from __future__ import annotations

from typing import Final

from dashboards.grafana import links, names
from dashboards.grafana.layout import Section, laid_out
from dashboards.grafana.links import of_column, of_label
from dashboards.grafana.panels import (
    CALLS_A_SECOND,
    DISPATCHES_A_SECOND,
    NUMBER,
    RECEIVERS,
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
from dashboards.grafana.queries import CHOSEN, FAILED, RECENT, SHOWN, ratio, share_of_all
from dashboards.grafana.sdk import Dashboard
from dashboards.grafana.variables import choices

__all__ = ["dashboard"]

CALLS: Final = f"{names.CALLS}_count"
TIME: Final = f"{names.CALLS}_sum"
DISPATCHES: Final = f"{names.DISPATCHES}_count"
SIGNAL: Final = names.SIGNAL
BY_RECEIVER: Final = f"{names.RECEIVER}, {SIGNAL}"

NESTED: Final = f'{names.DEPTH}!=""'
OF_DISPATCHES: Final = (f'{SIGNAL}!=""', f'{names.RECEIVER}=""')  # of all spans: not a request's, not a receiver's
NO_RECEIVERS: Final = 'le=~"0|0.0"'  # who exports decides how the end of a bucket is written


def dashboard() -> Dashboard:
    """Return the overview."""
    sections = [
        Section("At a glance", _glance()),
        Section("Which receiver is it?", [_ranking(), _heatmap(), _failures()]),
        Section("Signals", [*_signals(), *_quantiles()]),
        Section("Fan-out: receivers per dispatch", _fan_out()),
        Section("Cascades: signals sent by receivers of signals", _cascades()),
        Section("Left out of the traces", _untraced()),
    ]
    about = "Signals and their receivers: how often, how long, what failed, what is left out. Click a receiver for its own page."
    overview = laid_out(links.OVERVIEW, "heliograph: overview", about, choices(), sections)
    return overview.link(links.to_dashboard(links.RECEIVER, "One receiver", "One receiver by itself"))


def _glance() -> list[Panel]:
    failed = ratio(CHOSEN.rate(CALLS, FAILED), CHOSEN.rate(CALLS))
    untraced = ratio(CHOSEN.rate(names.UNTRACED), CHOSEN.rate(DISPATCHES))
    return [
        figure(1, "Dispatches", "Signals sent in a second.", CHOSEN.rate(DISPATCHES), DISPATCHES_A_SECOND),
        figure(2, "Receiver calls", "Receivers called in a second.", CHOSEN.rate(CALLS), CALLS_A_SECOND),
        figure(
            3, "Calls that failed", "Share of receivers' calls that raised, handled or not.", failed, SHARE, bad=0.01
        ),
        figure(4, "Without a span", "Share of dispatches that have no span of their own.", untraced, SHARE),
    ]


def _ranking() -> Panel:
    return columns(
        5,
        "Receivers by total time",
        "Where the receivers' time went, in all of the time shown. A receiver that sends signals has the time of their "
        "receivers in its own.",
        [
            Column("receiver", names.RECEIVER, links=[links.to_receiver(of_column("receiver"), of_column("signal"))]),
            Column("signal", SIGNAL, links=[links.to_overview(of_column("signal"))]),
            Column("total time", CHOSEN.growth(TIME, by=BY_RECEIVER), SECONDS),
            Column("share", share_of_all(CHOSEN.growth(TIME, by=BY_RECEIVER), CHOSEN.growth(TIME)), SHARE),
            Column("calls", CHOSEN.growth(CALLS, by=BY_RECEIVER), NUMBER),
            Column("mean", CHOSEN.mean(names.CALLS, by=BY_RECEIVER, over=SHOWN), SECONDS),
            Column("p95", CHOSEN.quantile(0.95, names.CALLS, by=BY_RECEIVER, over=SHOWN), SECONDS),
            Column("failed", CHOSEN.growth(CALLS, FAILED, by=BY_RECEIVER), NUMBER),
        ],
        sort="total time",
    )


def _heatmap() -> Panel:
    return durations(
        6,
        "Durations of receivers",
        "How many calls took how long. A dot is one call: click it for its trace.",
        CHOSEN.growth(f"{names.CALLS}_bucket", by="le", over=RECENT),
    )


def _failures() -> Panel:
    by = f"{names.ERROR}, {BY_RECEIVER}, {names.SERVICE}"
    return curves(
        7,
        "Failures by error type",
        "Receivers' calls that raised, by exception; those that send_robust handled too. Click one for the traces.",
        {f"{legend(names.ERROR)} in {legend(names.RECEIVER)}": CHOSEN.rate(CALLS, FAILED, by=by)},
        CALLS_A_SECOND,
        width=12,
        stacked=True,
        links=[
            links.to_receiver(of_label(names.RECEIVER), of_label(SIGNAL)),
            links.to_traces(of_label(names.SERVICE), of_label(names.RECEIVER), of_label(names.ERROR)),
        ],
    )


def _by_signal(
    number: int, title: str, description: str, expression: str, unit: str, *, exemplars: bool = False
) -> Panel:
    return curves(
        number,
        title,
        description,
        {legend(SIGNAL): expression},
        unit,
        exemplars=exemplars,
        links=[links.to_overview(of_label(SIGNAL))],
    )


def _signals() -> list[Panel]:
    failed = ratio(CHOSEN.rate(CALLS, FAILED, by=SIGNAL), CHOSEN.rate(CALLS, by=SIGNAL))
    raised = ratio(CHOSEN.rate(DISPATCHES, FAILED, by=SIGNAL), CHOSEN.rate(DISPATCHES, by=SIGNAL))
    return [
        _by_signal(8, "Rate by signal", "Sends in a second.", CHOSEN.rate(DISPATCHES, by=SIGNAL), DISPATCHES_A_SECOND),
        _by_signal(
            9, "Error ratio of calls by signal", "Share of receivers' calls that raised, handled or not.", failed, SHARE
        ),
        _by_signal(
            10,
            "Error ratio of sends by signal",
            "Share of sends that raised: their senders had the error.",
            raised,
            SHARE,
        ),
    ]


def _quantiles() -> list[Panel]:
    return [
        _by_signal(
            number,
            f"p{percent} by signal",
            f"{percent} of 100 dispatches took no longer, all of their receivers included. A dot is one dispatch: click it for "
            "its trace.",
            CHOSEN.quantile(percent / 100, names.DISPATCHES, by=SIGNAL),
            SECONDS,
            exemplars=True,
        )
        for number, percent in ((11, 50), (12, 95), (13, 99))
    ]


def _fan_out() -> list[Panel]:
    unheard = CHOSEN.rate(f"{names.FAN_OUT}_bucket", NO_RECEIVERS, by=SIGNAL) + " > 0"
    return [
        _by_signal(
            14,
            "Mean fan-out by signal",
            "Receivers that a dispatch is due to call.",
            CHOSEN.mean(names.FAN_OUT, by=SIGNAL),
            RECEIVERS,
        ),
        _by_signal(
            15,
            "p99 of the fan-out by signal",
            "99 of 100 dispatches have no more receivers, as far as the buckets tell: 0, 1, 2, 5, 10, 20, 50 …",
            CHOSEN.quantile(0.99, names.FAN_OUT, by=SIGNAL),
            RECEIVERS,
        ),
        _by_signal(
            16, "Heard by nobody", "Sends in a second to which no receiver is connected.", unheard, DISPATCHES_A_SECOND
        ),
    ]


def _cascades() -> list[Panel]:
    nested = ratio(CHOSEN.rate(names.SPANS, NESTED, by=SIGNAL), CHOSEN.rate(names.SPANS, *OF_DISPATCHES, by=SIGNAL))
    source = "Counted from spans: without those left out of the traces."
    return [
        curves(
            17,
            "Nested dispatches by depth",
            f"Sends in a second by how many other dispatches enclose them. {source}",
            {f"{legend(names.DEPTH)} deep": CHOSEN.rate(names.SPANS, NESTED, by=names.DEPTH)},
            DISPATCHES_A_SECOND,
            stacked=True,
        ),
        _by_signal(
            18, "Share of nested dispatches", f"Share of sends that a receiver of another did. {source}", nested, SHARE
        ),
        columns(
            19,
            "Deepest cascades",
            f"How often a signal was sent how deep, in all of the time shown. {source}",
            [
                Column("depth", names.DEPTH, counts=True),
                Column("signal", SIGNAL, links=[links.to_overview(of_column("signal"))]),
                Column("dispatches", CHOSEN.growth(names.SPANS, NESTED, by=f"{names.DEPTH}, {SIGNAL}"), NUMBER),
            ],
            sort="depth",
            width=8,
            height=8,
        ),
    ]


def _untraced() -> list[Panel]:
    by = f"{SIGNAL}, {names.REASON}"
    return [
        curves(
            20,
            "Untraced by reason",
            "Dispatches in a second that have no span of their own: filtered by level, over the budget, or rolled up into one.",
            {legend(names.REASON): CHOSEN.rate(names.UNTRACED, by=names.REASON)},
            DISPATCHES_A_SECOND,
            width=12,
            stacked=True,
        ),
        columns(
            21,
            "Untraced by signal",
            "Dispatches that have no span of their own, in all of the time shown.",
            [
                Column("signal", SIGNAL, links=[links.to_overview(of_column("signal"))]),
                Column("reason", names.REASON),
                Column("dispatches", CHOSEN.growth(names.UNTRACED, by=by), NUMBER),
            ],
            sort="dispatches",
            width=12,
            height=8,
        ),
    ]
