"""What is used of Grafana's SDK.

The classic model of a dashboard is deprecated there for one that only the newest Grafana reads. The classic one can be
imported by hand into each Grafana in use, so it is what we want, and its warning is answered here.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
    from grafana_foundation_sdk.builders.dashboard import (
        Dashboard,
        DatasourceVariable,
        QueryVariable,
        Row,
        ThresholdsConfig,
    )
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models import heatmap as heatmap_models
    from grafana_foundation_sdk.models import prometheus as prometheus_models

__all__ = [
    "Builder",
    "Dashboard",
    "DatasourceVariable",
    "QueryVariable",
    "Row",
    "ThresholdsConfig",
    "common",
    "common_models",
    "heatmap",
    "heatmap_models",
    "models",
    "prometheus",
    "prometheus_models",
    "stat",
    "table",
    "timeseries",
]
