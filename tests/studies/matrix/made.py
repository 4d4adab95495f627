"""Hand-made totals of runs."""

from __future__ import annotations

from typing import Any

from pipeline.schema.manifest import CpuTime, Totals
from pipeline.schema.names import CPU_CATEGORIES


def totals(**known: Any) -> Totals:
    """Totals of a run with one CPU; counts that are not given are 0.

    The names of CPU categories, for instance `scan_ns`, set that CPU's time; the rest of the wall time is
    idle.
    """
    names = [f"{category}_ns" for category in CPU_CATEGORIES]
    spent = {name: known.pop(name, 0) for name in names}
    wall_ns = known.setdefault("wall_ns", 1_000_000)
    spent["idle_ns"] = wall_ns - sum(spent.values())
    counted = dict.fromkeys(Totals.model_fields, 0) | known
    return Totals(**counted | {"locks": known.get("locks", []), "cpu_time": [CpuTime(cpu=0, **spent)]})
