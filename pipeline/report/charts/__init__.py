"""The kinds of charts: each module defines one, its `KIND`, which goes by the module's name."""

from __future__ import annotations

import importlib
import pkgutil

from pipeline.report.chart_kind import ChartKind

KINDS: dict[str, ChartKind] = {
    module.name: importlib.import_module(f"{__name__}.{module.name}").KIND
    for module in pkgutil.iter_modules(__path__)
}
