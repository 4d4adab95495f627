"""Made-up totals: what a verdict would be told of a run that nobody made."""

from __future__ import annotations

from typing import Any

from pipeline.schema.run import CPU_CATEGORIES, CpuTime, LockTotals, Totals
from pipeline.studies.point import Point


def totals(**known: Any) -> Totals:
    """Totals of a run with one CPU, nothing counted but what is given.

    The names of CPU categories, for instance `scan_ns`, set that CPU's time; the rest of the wall time is
    idle.
    """
    names = [f"{category}_ns" for category in CPU_CATEGORIES]
    spent = {name: known.pop(name, 0) for name in names}
    wall_ns = known.setdefault("wall_ns", 1_000_000)
    spent["idle_ns"] = wall_ns - sum(spent.values())
    counted = dict.fromkeys(Totals.model_fields, 0) | known
    return Totals(**counted | {"locks": known.get("locks", []), "cpu_time": [CpuTime(cpu=0, **spent)]})


def point(
    case: str = "", lower: Totals | None = None, options: dict[str, Any] | None = None, **known: Any
) -> Point:
    """A point with such totals; what is known of an allocator (its name, say) goes to the point."""
    own = {name: known.pop(name) for name in ("allocator", "cpus", "page_struct_bytes") if name in known}
    made = totals(**known)
    return Point(made, lower or made, case=case, options=options or {}, **own)


def lock(acquisitions: int = 1, hold_ns: int = 0) -> LockTotals:
    """A lock that was never contended."""
    return LockTotals(
        site="map",
        acquisitions=acquisitions,
        contended=0,
        hold_ns=hold_ns,
        hold_max_ns=hold_ns,
        wait_ns=0,
        wait_max_ns=0,
    )
