"""What each mechanism of the model contributes: the calibrated rows with one of them switched off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.io.numbers import format_number
from pipeline.io.tables import markdown_table
from pipeline.machine.profile import load_profile
from pipeline.studies.lockmeter.comparison import WALL, Comparison, compare
from pipeline.studies.lockmeter.lockmeter_data import CALIBRATED_ROWS, read_rows
from pipeline.studies.lockmeter.prediction import MACHINE, WORKLOAD, Model
from pipeline.workload.distributions import Mixture
from pipeline.workload.read_spec import read_workload

_SHOWN = (
    ("all", "util_pct", "UTIL %"),
    ("all", "contended_pct", "CON %"),
    ("all", "hold_mean_us", "HOLD us"),
    ("all", "wait_mean_us", "WAIT us"),
    ("all", "wait_max_us", "max WAIT us"),
    ("unmap", "hold_max_us", "max unmap HOLD us"),
    ("all", "wait_cpu_pct", "%CPU"),
    ("-", WALL, "wall s"),
)


@dataclass(frozen=True)
class Ablation:
    """One mechanism switched off."""

    name: str
    machine: dict[str, Any]
    workload: dict[str, Any]


def _costs(**values: int) -> dict[str, Any]:
    return {f"costs.{name}.value": value for name, value in values.items()}


def _steady_thinking() -> dict[str, Any]:
    """Exponential think times of the same means as the workload's own."""
    changes: dict[str, Any] = {}
    for name, kind in read_workload(WORKLOAD).workload.kinds.items():
        think = kind.think
        if not isinstance(think, Mixture):
            continue
        means_ns = [float(getattr(part, "mean_ns", None) or 0) for part in (think.first, think.rest)]
        mean_ns = think.share * means_ns[0] + (1.0 - think.share) * means_ns[1]
        changes[f"kinds.{name}.think"] = {"dist": "exponential", "mean_ns": round(mean_ns)}
    return changes


def ablations() -> list[Ablation]:
    """The model whole, then with each mechanism off in turn."""
    local_ns = load_profile(MACHINE).costs["handoff_local_ns"].value
    return [
        Ablation("everything on", {}, {}),
        Ablation("holds do not grow with spinners", _costs(hold_per_spinner_ns=0), {}),
        Ablation(
            "hand-off costs nothing",
            _costs(handoff_local_ns=0, handoff_remote_ns=0, handoff_per_spinner_ns=0),
            {},
        ),
        Ablation("hand-off does not grow with spinners", _costs(handoff_per_spinner_ns=0), {}),
        Ablation("hand-off across nodes as cheap as within", _costs(handoff_remote_ns=local_ns), {}),
        Ablation("nobody barges", _costs(barging_percent=0), {}),
        Ablation("every newcomer may barge", _costs(barging_percent=100), {}),
        Ablation("fifo arbitration", {"arbitration": "fifo"}, {}),
        Ablation("no device interrupts", _costs(interrupt_gap_ns=0), {}),
        Ablation("scans cost nothing", _costs(scan_slot_ns=0, scan_in_use_ns=0), {}),
        Ablation(
            "flushes cost nothing",
            _costs(
                scan_slot_ns=0, scan_in_use_ns=0, ipi_send_ns=0, ipi_latency_ns=0, ipi_handler_ns=0,
                tlb_flush_ns=0, tlb_refill_ns=0,
            ),
            {},
        ),
        Ablation("no bursts: exponential think times", {}, _steady_thinking()),
        Ablation("no bursts: each kind drawn for itself", {}, {"kind_runs.mean_operations": 1.0}),
    ]  # fmt: skip


def part() -> str:
    """Markdown section: the rows with each mechanism off."""
    rows = {row.name: row for row in read_rows()}
    compared: dict[str, list[tuple[str, Comparison]]] = {name: [] for name in CALIBRATED_ROWS}
    for ablation in ablations():
        model = Model(MACHINE, WORKLOAD, ablation.machine, ablation.workload)
        for name in CALIBRATED_ROWS:
            compared[name].append((ablation.name, compare(rows[name], 1, model)))
    parts = [
        "## What each mechanism contributes",
        "The same rows with one mechanism switched off and nothing else changed or fitted again; seed 0. The "
        "last column counts the figures of the row that meet the goal.",
    ]
    for name, found in compared.items():
        parts.append(f"Row {name}:")
        parts.append(_table(found))
    return "\n\n".join(parts) + "\n"


def _table(found: list[tuple[str, Comparison]]) -> str:
    head = ("mechanism", *(label for _, _, label in _SHOWN), "within")
    measured = {(f.site, f.name): f.measured for f in found[0][1].figures}
    rows = [("*measured*", *(format_number(measured[site, name], 3) or "-" for site, name, _ in _SHOWN), "")]
    for mechanism, comparison in found:
        simulated = {(f.site, f.name): f.middle for f in comparison.figures}
        within = sum(bool(figure.within) for figure in comparison.judged)
        rows.append(
            (
                mechanism,
                *(format_number(simulated[site, name], 3) or "-" for site, name, _ in _SHOWN),
                f"{within} of {len(comparison.judged)}",
            )
        )
    return markdown_table(head, rows).rstrip()
