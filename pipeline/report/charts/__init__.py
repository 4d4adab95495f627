"""The kinds of charts: each module defines one as its `KIND`, named like the module."""

from __future__ import annotations

import importlib
import pkgutil

from pipeline.report.chart_kind import ChartKind

KINDS: dict[str, ChartKind] = {
    module.name: importlib.import_module(f"{__name__}.{module.name}").KIND
    for module in pkgutil.iter_modules(__path__)
}
