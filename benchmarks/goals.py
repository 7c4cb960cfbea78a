"""What heliograph is to show, as data. Goals are reported, never asserted: a shared machine is no judge."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results import Results, Spread, Term

__all__ = ["GOALS", "Goal", "Verdict"]

COMMON = (1, 5, 20, 200)
SEVERAL = (5, 20, 200)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio of two costs, and what it is to be.

    Attributes:
        name: What is compared.
        over: The numerator.
        under: The denominator.
        sizes: At how many receivers; each must meet the bound.
        at_most: The bound, if the ratio is to be small.
        at_least: The bound, if it is to be large. Without either the ratio is shown for comparison.
        measure: What is measured, as in :class:`benchmarks.results.Cell`.
        under_size: How many receivers the denominator has, if not as many as the numerator.
    """

    name: str
    over: Term
    under: Term
    sizes: tuple[int, ...]
    at_most: float | None = None
    at_least: float | None = None
    measure: str = "thread"
    under_size: int | None = None

    def ratios(self, results: Results) -> dict[int, Spread]:
        """Return the ratio at each size that was measured."""
        found = {
            size: results.ratio(self.measure, (self.over, size), (self.under, self.under_size or size))
            for size in self.sizes
        }
        return {size: spread for size, spread in found.items() if spread is not None}

    def verdict(self, results: Results) -> Verdict | None:
        """Return how the median at the worst size stands to the bound; None without a bound or a measurement."""
        medians = [spread.median for spread in self.ratios(results).values()]
        if not medians or self.bound is None:
            return None
        if self.at_most is not None:
            return Verdict(max(medians), self.at_most, max(medians) / self.at_most)
        worst = min(medians)
        return Verdict(worst, self.bound, self.bound / worst if worst > 0 else float("inf"))

    @property
    def bound(self) -> float | None:
        """The bound, whichever way."""
        return self.at_least if self.at_most is None else self.at_most


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a goal is met.

    Attributes:
        worst: The median ratio at the size that is furthest from the goal.
        bound: What it is to be.
        excess: By what factor the bound is missed; 1 or less meets it.
    """

    worst: float
    bound: float
    excess: float

    @property
    def met(self) -> bool:
        """Whether the bound is kept."""
        return self.excess <= 1


STOCK = Term("django")
OWN = Term("heliograph")
OTEL = Term("otel", above="django")
OTEL_BARE = Term("otel-bare", above="django")
SENTRY = Term("sentry", above="django")
HISTOGRAM = Term("histogram", above="django")


def _own(state: str) -> Term:
    return Term(f"heliograph-{state}", above="heliograph")


def _django(state: str) -> Term:
    return Term(f"django-{state}", above="django")


def _idle(state: str, words: str) -> Goal:
    return Goal(f"Django instrumented, {words} / stock Django", Term(f"django-{state}"), STOCK, COMMON, at_most=1.15)


def _flat(library: str, words: str) -> Goal:
    rung = Term(f"{library}-all")
    return Goal(
        f"{words}, level all: a receiver / a receiver of 20", rung, rung, (200, 10_000), at_most=1.25, under_size=20
    )


GOALS = (
    Goal("heliograph unobserved / Django", OWN, STOCK, COMMON, at_most=0.70),
    Goal("heliograph unobserved / psygnal compiled", OWN, Term("psygnal"), (5, 20), at_most=1.6),
    _idle("off", "level off"),
    _idle("no-provider", "no provider"),
    _idle("unsampled", "parent not sampled"),
    _idle("unsampled-root", "ALWAYS_OFF"),
    Goal("spans: what OpenTelemetry's add / what heliograph's add", OTEL, _own("all"), SEVERAL, at_least=15),
    Goal("the same, OpenTelemetry's without attributes", OTEL_BARE, _own("all"), SEVERAL),
    Goal("spans: OpenTelemetry's / Django's, instrumented in place", OTEL, _django("all"), SEVERAL, at_least=12),
    Goal("the same, OpenTelemetry's without attributes", OTEL_BARE, _django("all"), SEVERAL),
    Goal("spans: Sentry's / Django's, instrumented in place", SENTRY, _django("all"), SEVERAL, at_least=25),
    Goal("level slow, healthy: OpenTelemetry's spans / heliograph", OTEL, _own("slow"), SEVERAL, at_least=30),
    Goal("level slow, healthy: OpenTelemetry's spans / Django's", OTEL, _django("slow"), SEVERAL, at_least=30),
    Goal(
        "metrics: `Histogram.record` / heliograph",
        HISTOGRAM,
        Term("heliograph-all-metrics", above="heliograph-all"),
        SEVERAL,
        at_least=8,
    ),
    Goal(
        "metrics: `Histogram.record` / Django's, instrumented in place",
        HISTOGRAM,
        Term("django-all-metrics", above="django-all"),
        SEVERAL,
        at_least=8,
    ),
    Goal(
        "processor time with OTLP export: OpenTelemetry's spans / heliograph",
        Term("otel"),
        Term("heliograph-all"),
        (20,),
        at_least=5,
        measure="process",
    ),
    Goal(
        "the same, Django's, instrumented in place",
        Term("otel"),
        Term("django-all"),
        (20,),
        at_least=5,
        measure="process",
    ),
    _flat("heliograph", "heliograph"),
    _flat("django", "Django instrumented"),
    Goal("connecting 10,000 receivers: Django / heliograph", STOCK, OWN, (10_000,), at_least=50, measure="connect"),
    Goal(
        "memory until export: OpenTelemetry's spans / heliograph",
        Term("otel"),
        Term("heliograph-all"),
        (20,),
        at_least=4,
        measure="memory",
    ),
)
