"""Kinds of panels, each looking the same wherever it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from dashboards.grafana.links import Link
from dashboards.grafana.sdk import (
    ThresholdsConfig,
    common,
    common_models,
    heatmap,
    heatmap_models,
    models,
    prometheus,
    prometheus_models,
    stat,
    table,
    timeseries,
)
from dashboards.grafana.variables import PROMETHEUS

__all__ = [
    "CALLS_A_SECOND",
    "DISPATCHES_A_SECOND",
    "NUMBER",
    "RECEIVERS",
    "SECONDS",
    "SHARE",
    "Column",
    "Panel",
    "columns",
    "curves",
    "durations",
    "figure",
    "legend",
]

# Units, as Grafana names them; after `suffix:` a text of our own.
SECONDS: Final = "s"
SHARE: Final = "percentunit"
NUMBER: Final = "short"
CALLS_A_SECOND: Final = "suffix: calls/s"
DISPATCHES_A_SECOND: Final = "suffix: dispatches/s"
RECEIVERS: Final = "suffix: receivers"

Panel = heatmap.Panel | stat.Panel | table.Panel | timeseries.Panel
P = TypeVar("P", heatmap.Panel, stat.Panel, table.Panel, timeseries.Panel)


def legend(label: str) -> str:
    """Return what stands for a label's value in the name of a curve."""
    return f"{{{{{label}}}}}"


def query(ref_id: str, expression: str, legend: str = "", *, exemplars: bool = False) -> prometheus.Dataquery:
    """Return a query over the time shown. With *exemplars*, traces are shown as dots on the curves."""
    return (
        prometheus.Dataquery()
        .ref_id(ref_id)
        .expr(expression)
        .datasource(PROMETHEUS)
        .editor_mode(prometheus_models.QueryEditorMode.CODE)
        .exemplar(exemplar=exemplars)
        .legend_format(legend or "__auto")
        .range()
    )


def figure(
    number: int, title: str, description: str, expression: str, unit: str, *, bad: float | None = None
) -> stat.Panel:
    """Return a panel with the latest value alone, which is red from *bad* on."""
    panel = (
        stat.Panel()
        .with_target(query("A", expression, title))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False).fields(""))
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .thresholds(_thresholds(bad))
        .span(6)
        .height(4)
    )
    return _titled(panel, number, title, description, unit)


def curves(
    number: int,
    title: str,
    description: str,
    expressions: Mapping[str, str],
    unit: str,
    *,
    width: int = 8,
    exemplars: bool = False,
    stacked: bool = False,
    links: Iterable[Link] = (),
) -> timeseries.Panel:
    """Return a panel with values over time: *expressions* are queries, by what their curves are called."""
    panel = (
        timeseries.Panel()
        .targets(
            [
                query(ref_id, expression, legend, exemplars=exemplars)
                for ref_id, (legend, expression) in zip("ABCDE", expressions.items(), strict=False)
            ]
        )
        .min(0)
        .fill_opacity(30 if stacked else 5)
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(span_nulls=False)
        .legend(
            common.VizLegendOptions()
            .show_legend(show_legend=True)
            .placement(common_models.LegendPlacement.BOTTOM)
            .display_mode(common_models.LegendDisplayMode.LIST)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .data_links(list(links))
        .span(width)
        .height(8)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    return _titled(panel, number, title, description, unit)


def durations(number: int, title: str, description: str, buckets: str) -> heatmap.Panel:
    """Return a panel in which it is seen how many took how long, over time."""
    panel = (
        heatmap.Panel()
        .with_target(query("A", buckets, "{{le}}", exemplars=True).format(prometheus_models.PromQueryFormat.HEATMAP))
        .calculate(calculate=False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .steps(64)
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
        )
        .y_axis(heatmap.YAxisConfig().unit(SECONDS).axis_placement(common_models.AxisPlacement.LEFT))
        .cell_values(heatmap.CellValues().unit(NUMBER))
        .tooltip(heatmap.HeatmapTooltip().mode(common_models.TooltipDisplayMode.SINGLE).y_histogram(y_histogram=True))
        .span(12)
        .height(8)
    )
    return _titled(panel, number, title, description, NUMBER)


@dataclass(frozen=True)
class Column:
    """A column of a table: of the labels' values, or of a query's.

    Attributes:
        title: What stands above it.
        source: The name of the label, or the query.
        unit: The unit of a query's values, or None for a label.
        counts: Whether a label's values are numbers, so that 10 comes after 9.
        links: Where a click leads.
    """

    title: str
    source: str
    unit: str | None = None
    counts: bool = False
    links: Sequence[Link] = ()

    def properties(self) -> list[models.DynamicConfigValue]:
        """Return what is different in it from other columns."""
        found: list[models.DynamicConfigValue] = []
        if self.unit:
            found.append(models.DynamicConfigValue(id_val="unit", value=self.unit))
        if self.links:
            found.append(models.DynamicConfigValue(id_val="links", value=[link.build() for link in self.links]))
        return found


def columns(
    number: int, title: str, description: str, shown: Sequence[Column], *, sort: str, width: int = 24, height: int = 10
) -> table.Panel:
    """Return a table of the latest values, one row for each group of labels, the greatest of the column *sort* first."""
    values = [column for column in shown if column.unit]
    panel = (
        table.Panel()
        .targets([_instant(ref_id, column.source) for ref_id, column in zip("ABCDEFGH", values, strict=False)])
        .transformations([*_arranged(shown, values)])
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(desc=True)])
        .filterable(filterable=True)
        .span(width)
        .height(height)
    )
    for column in shown:
        if properties := column.properties():
            panel.override_by_name(column.title, properties)
    return _titled(panel, number, title, description, NUMBER)


def _instant(ref_id: str, expression: str) -> prometheus.Dataquery:
    return query(ref_id, expression).instant().format(prometheus_models.PromQueryFormat.TABLE)


def _arranged(shown: Sequence[Column], values: Sequence[Column]) -> Iterator[models.DataTransformerConfig]:
    """Make one table of all answers; a query's column is called ``Value`` in it, or ``Value #A`` among several."""
    called = ["Value"] if len(values) == 1 else [f"Value #{ref_id}" for ref_id in "ABCDEFGH"]
    fields = {column.title: column.source for column in shown if not column.unit}
    fields.update({column.title: field for column, field in zip(values, called, strict=False)})
    yield _transformation("merge")
    yield _transformation(
        "organize",
        excludeByName={"Time": True},
        indexByName={fields[column.title]: position for position, column in enumerate(shown)},
        renameByName={field: title for title, field in fields.items()},
    )
    if numbers := [column.title for column in shown if column.counts]:
        conversions = [{"targetField": title, "destinationType": "number"} for title in numbers]
        yield _transformation("convertFieldType", fields={}, conversions=conversions)


def _transformation(name: str, **options: object) -> models.DataTransformerConfig:
    return models.DataTransformerConfig(id_val=name, options=options)


def _titled(panel: P, number: int, title: str, description: str, unit: str) -> P:
    panel.id(number).title(title).description(description).unit(unit).datasource(PROMETHEUS)
    return panel


def _thresholds(bad: float | None) -> ThresholdsConfig:
    steps = [models.Threshold(value=None, color="green")]
    if bad is not None:
        steps.append(models.Threshold(value=bad, color="red"))
    return ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
