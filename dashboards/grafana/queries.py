"""Questions to Prometheus, in parts that are put together."""

from __future__ import annotations

from typing import Final

from dashboards.grafana import names

__all__ = ["CHOSEN", "EVERY", "FAILED", "RECENT", "SHOWN", "THIS", "Selection", "ratio", "share", "share_of_all"]

# Long enough for two samples, whatever the interval of scraping: Grafana knows it.
RECENT: Final = "$__rate_interval"
# All of the time that is on the screen.
SHOWN: Final = "$__range"

FAILED: Final = f'{names.ERROR}!=""'

# What the variables choose everywhere. A receiver is chosen besides, where there is one to choose.
SIGNALS: Final = (
    f'{names.SERVICE}=~"$service"',
    f'{names.SYSTEM}=~"$system"',
    f'{names.SIGNAL}=~"$signal"',
)


class Selection:
    """What is asked about.

    Args:
        receivers: Which receivers, where a metric knows of receivers, as a condition for their label; all without.
    """

    def __init__(self, receivers: str = "") -> None:
        self._of_calls = tuple(filter(None, [receivers]))

    def series(self, metric: str, *where: str) -> str:
        """Return the series of *metric*, with the conditions *where* besides."""
        of_calls = self._of_calls if metric.startswith(names.CALLS) else ()
        return f"{metric}{{{', '.join([*SIGNALS, *of_calls, *where])}}}"

    def rate(self, metric: str, *where: str, by: str = "") -> str:
        """Return by how much it grows a second just now, added up by the labels *by*."""
        return _total(f"rate({self.series(metric, *where)}[{RECENT}])", by)

    def growth(self, metric: str, *where: str, by: str = "", over: str = SHOWN) -> str:
        """Return by how much it has grown, added up by the labels *by*."""
        return _total(f"increase({self.series(metric, *where)}[{over}])", by)

    def quantile(self, q: float, metric: str, *, by: str = "", over: str = RECENT) -> str:
        """Return a quantile of a histogram, for each group of the labels *by*."""
        groups = ", ".join(filter(None, ["le", by]))
        return f"histogram_quantile({q}, {self.growth(f'{metric}_bucket', by=groups, over=over)})"

    def mean(self, metric: str, *, by: str = "", over: str = RECENT) -> str:
        """Return the mean of a histogram's values, for each group of the labels *by*."""
        return share(*(self.growth(f"{metric}_{part}", by=by, over=over) for part in ("sum", "count")))


CHOSEN: Final = Selection(f'{names.RECEIVER}=~"$receiver"')  # several, or all
THIS: Final = Selection(f'{names.RECEIVER}="$receiver"')  # one; no pattern, so that no name has to be escaped
EVERY: Final = Selection()


def share(part: str, whole: str) -> str:
    """Return *part* in terms of *whole*; nothing where there is no whole, instead of a division by zero."""
    return f"{part} / ({whole} > 0)"


def share_of_all(parts: str, whole: str) -> str:
    """Return each of *parts* in terms of the one *whole*."""
    return f"{parts} / on () group_left () ({whole} > 0)"


def ratio(part: str, whole: str) -> str:
    """Return which share of *whole* it is: zero, not nothing, for a group that has none of it."""
    return share(f"({part} or 0 * {whole})", whole)


def _total(expression: str, by: str) -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"
