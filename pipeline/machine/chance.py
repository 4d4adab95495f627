"""The random parts of a run, which depend on its seed."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.schema.manifest import Cost


def list_chances(costs: Mapping[str, Cost], cpus: int, jitter_percent: float = 0.0) -> list[str]:
    """List what a seed decides on a machine with these costs; empty: every seed gives the same run."""
    value = {name: cost.value for name, cost in costs.items()}
    overtaken = 0 < int(value["barging_percent"]) < 100
    chances = []
    if jitter_percent > 0:
        chances.append("jitter")
    if cpus > 1 and value["arbitration"] == "unfair" and (overtaken or value["handoff_spread_percent"]):
        chances.append("unfair locks")
    if value["interrupt_gap_ns"] and value["interrupt_max_ns"]:
        chances.append("device interrupts")
    return chances


def explain_idle_seed(machine: str, costs: Mapping[str, Cost], cpus: int) -> str:
    """Say why the seed has no effect on a machine without random parts."""
    fair = costs["arbitration"].value == "fifo"
    locks = "one CPU" if cpus == 1 else "fifo locks" if fair else "no chance in its locks"
    return (
        f"every seed gives this run, because {machine} has {locks} and no device interrupts; with --jitter "
        "0.5% runs differ by seed"
    )
