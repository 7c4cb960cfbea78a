"""What can be chosen at the top of a dashboard."""

from __future__ import annotations

from typing import Final

from dashboards.grafana import names
from dashboards.grafana.sdk import DatasourceVariable, QueryVariable, common_models, models

__all__ = ["CHOICES", "DATASOURCES", "METRICS", "TRACES", "choices", "datasources"]

# Names, as they stand in the address of a dashboard.
METRICS: Final = "datasource"
TRACES: Final = "traces"
DATASOURCES: Final = (METRICS, TRACES)
CHOICES: Final = ("service", "system", "signal", "receiver")

Variable = DatasourceVariable | QueryVariable

PROMETHEUS: Final = common_models.DataSourceRef(type_val="prometheus", uid=f"${{{METRICS}}}")

_DISPATCHES: Final = f"{names.DISPATCHES}_count"
_CALLS: Final = f"{names.CALLS}_count"
_LABELS: Final = {
    "service": (names.SERVICE, _DISPATCHES, "The service: `service.name` of the telemetry."),
    "system": (names.SYSTEM, _DISPATCHES, "Whose signals: Django's, heliograph's, another library's."),
    "signal": (names.SIGNAL, _DISPATCHES, "Signals, by their full name."),
    "receiver": (
        names.RECEIVER,
        _CALLS,
        "Receivers, as module and qualified name. Panels about dispatches heed it not.",
    ),
}


def datasources() -> list[DatasourceVariable]:
    """Return the variables for where metrics and traces are."""
    return [
        DatasourceVariable(METRICS).label("metrics").type("prometheus").description("Where the metrics are."),
        DatasourceVariable(TRACES).label("traces").type("jaeger").description("Where the traces are."),
    ]


def choices(*, single: str | None = None) -> list[QueryVariable]:
    """Return the variables for what is looked at; each offers what is left by those before it.

    Args:
        single: The one of which exactly one value is chosen; of all others several, or all.
    """
    return [_choice(position, name, several=name != single) for position, name in enumerate(CHOICES)]


def _choice(position: int, name: str, *, several: bool) -> QueryVariable:
    label, metric, description = _LABELS[name]
    chosen = ", ".join(f'{_LABELS[before][0]}=~"${before}"' for before in CHOICES[:position])
    query = f"label_values({metric}{{{chosen}}}, {label})" if chosen else f"label_values({metric}, {label})"
    variable = (
        QueryVariable(name)
        .description(description)
        .datasource(PROMETHEUS)
        .query({"qryType": 1, "query": query, "refId": f"PrometheusVariableQueryEditor-{name}"})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(everything)
    return variable
