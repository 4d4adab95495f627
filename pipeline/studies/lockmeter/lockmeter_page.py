"""The sections of docs/validation.md on the rows of 2002: accuracy of the model, its fit, and its mechanisms.

`write_history` compares the calibrated rows with the model. `write_ablations` repeats the comparison with one
mechanism of the model switched off at a time.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.io.tables import markdown_table
from pipeline.machine.profile import load_profile
from pipeline.studies.calibration import POPULATION, Procedure, read_procedure
from pipeline.studies.experiment import Experiment, assumed_costs, change_costs
from pipeline.studies.lockmeter.comparison import WALL, Comparison, compare_all, format_figure
from pipeline.studies.lockmeter.lockmeter_data import CALIBRATED_ROWS, read_rows
from pipeline.studies.lockmeter.prediction import MODEL, describe_model
from pipeline.workload.distributions import Mixture
from pipeline.workload.read_spec import read_workload

SEEDS = 5


def write_history() -> str:
    """Write the section on the calibrated rows and the fitting procedure, as Markdown."""
    rows = {row.name: row for row in read_rows()}
    compared = compare_all([(rows[name], MODEL) for name in CALIBRATED_ROWS], SEEDS)
    missed = [
        f"{c.row.name} {f.site} {f.name} ({f.ratio:.2f})"
        for c in compared
        for f in c.figures
        if f.within is False
    ]
    comparable = sum(len(c.comparable) for c in compared)
    given = sum(figure.name == "acquisitions" for c in compared for figure in c.comparable)
    intro = (
        "The rows come from M. J. Bligh's lockmeter table of a kernel compile on a 16-way NUMA-Q "
        "(linux-kernel, 18 March 2002), in `pipeline/studies/lockmeter/lockmeter_2002.csv`. `pipeline study "
        "lockmeter` prints the following comparison, and `pipeline study lockmeter --row FILE.csv` compares "
        f"rows of your own. Model: {describe_model()}. Means over seeds 0 to {SEEDS - 1} are compared, and "
        "the range shows the effect of chance. The goal is 15 % for every mean and a factor of 2 for every "
        "maximum."
    )
    outcome = (
        f"**{comparable - len(missed)} of {comparable} figures of both rows meet the goal.** {given} of them "
        "are acquisitions, which are part of the configuration. "
    ) + (f"The others, as simulated / measured: {', '.join(missed)}." if missed else "")
    sections = [
        "## History: the lockmeter rows of March 2002", intro, outcome,
        *(comparison.markdown().rstrip() for comparison in compared),
        "### How the model was fitted", describe_fitting(),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def describe_fitting() -> str:
    """Describe the fit, with every parameter, its bounds and its value."""
    plan = read_procedure()
    present = plan.present()
    fitted = markdown_table(
        ("parameter", "file", "low", "high", "start", "fitted", "evidence"),
        [
            (p.name, p.file, f"{p.low:g}", f"{p.high:g}", f"{p.start:g}", f"{present[p.name]:g}", p.why)
            for p in plan.parameters
        ],
    )
    return (
        _FITTING.format(
            population=POPULATION,
            rows=" and ".join(plan.rows),
            assumed=", ".join(f"`{name}`" for name in assumed_costs(plan.machine)),
            search=_describe_search(plan),
        )
        + fitted
    )


_FITTING = """\
`pipeline calibrate` searches for the parameter values with the smallest objective (CMA-ES, {population}
trials per generation, within the bounds below). The objective is a sum over the figures of rows {rows} and
the figures that they imply. Each figure adds the square of ln(simulated / measured) in units of the goal, cut
at 30. Maxima count half, and each figure that misses the goal adds 2.

Only rows {rows} are fitted, with the same values for both, so they differ in their configuration only.
Everything else is fixed. The rows determine CPUs, acquisitions, the mix of maps and the pools. The longest
hold as a function of pool size determines pass and flush. The other costs of the profile are assumed and were
not fitted: {assumed}.

The start values were derived by hand from the rows:

- `page_cache_hot` is the hot set for which the maps between two implied flushes of row D use 1,024 different
  pages.
- The costs of entries are row D's holds without its passes.
- Most waits of row D are as long as one hand-off, and few CPUs wait for a flush of 4 ms. Copies therefore
  come in long runs (`kind_runs`, `copy_at_once`) on few CPUs, and a hand-off between few CPUs takes about 10
  us.
- The time that each spinner adds to a hold is row A's mean hold divided by its mean number of spinners.

From these start values, {search} found the shipped values.

"""


def _describe_search(plan: Procedure) -> str:
    """The commands that the fitted costs name as their source."""
    sources = [cost.source for cost in load_profile(plan.machine).costs.values()]
    fitted = [source for source in sources if source.startswith("fitted") and "`" in source]
    return " and ".join(f"`{command}`" for command in sorted({source.split("`")[1] for source in fitted}))


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


def ablations() -> dict[str, Experiment]:
    """The complete model, and the model without each of its mechanisms."""
    local_ns = load_profile(MODEL.machine).costs["handoff_local_ns"].value
    costs = {
        "everything on": {},
        "holds do not grow with spinners": {"hold_per_spinner_ns": 0},
        "hand-off costs nothing": {
            "handoff_local_ns": 0, "handoff_remote_ns": 0, "handoff_per_spinner_ns": 0,
        },
        "hand-off does not grow with spinners": {"handoff_per_spinner_ns": 0},
        "hand-off between nodes as cheap as within a node": {"handoff_remote_ns": local_ns},
        "one newcomer in ten may barge": {"barging_percent": 10},
        "every newcomer may barge": {"barging_percent": 100},
        "fifo arbitration": {},
        "no device interrupts": {"interrupt_gap_ns": 0},
        "scans cost nothing": {"scan_slot_ns": 0, "free_slot_ns": 0},
        "flushes cost nothing": {
            "scan_slot_ns": 0, "free_slot_ns": 0, "ipi_send_ns": 0, "ipi_latency_ns": 0,
            "ipi_handler_ns": 0, "tlb_flush_ns": 0, "tlb_refill_ns": 0,
        },
    }  # fmt: skip
    found = {name: replace(MODEL, machine_changes=change_costs(**changes)) for name, changes in costs.items()}
    found["fifo arbitration"] = replace(MODEL, machine_changes={"arbitration": "fifo"})
    found["no bursts: exponential think times"] = replace(MODEL, changes=_steady_thinking())
    found["no bursts: kinds drawn independently"] = replace(MODEL, changes={"kind_runs.mean_operations": 1.0})
    return found


def _steady_thinking() -> dict[str, dict[str, str | int]]:
    """Exponential think times with the means of the workload."""
    changes: dict[str, dict[str, str | int]] = {}
    for name, kind in read_workload(MODEL.workload).workload.kinds.items():
        think = kind.think
        if isinstance(think, Mixture):
            means_ns = [float(getattr(part, "mean_ns", None) or 0) for part in (think.first, think.rest)]
            mean_ns = think.share * means_ns[0] + (1.0 - think.share) * means_ns[1]
            changes[f"kinds.{name}.think"] = {"dist": "exponential", "mean_ns": round(mean_ns)}
    return changes


def write_ablations() -> str:
    """Write the section on the model without each of its mechanisms, as Markdown."""
    parts = [
        "## What each mechanism contributes",
        "The tables show the same rows with one mechanism switched off at a time, without fitting the model "
        "again (seed 0). The last column counts the figures that meet the goal.",
    ]
    for row in read_rows():
        if row.name in CALIBRATED_ROWS:
            models = ablations()
            compared = compare_all([(row, model) for model in models.values()])
            found = dict(zip(models, compared, strict=True))
            parts += [f"Row {row.name}:", _tabulate(found)]
    return "\n\n".join(parts) + "\n"


def _tabulate(found: dict[str, Comparison]) -> str:
    head = ("mechanism", *(label for _, _, label in _SHOWN), "meet goal")
    measured = {(f.site, f.name): f.describe_measured() for f in found["everything on"].figures}
    rows = [("*measured*", *(measured[site, name] for site, name, _ in _SHOWN), "")]
    for mechanism, comparison in found.items():
        simulated = {(f.site, f.name): f.middle for f in comparison.figures}
        within = sum(bool(figure.within) for figure in comparison.comparable)
        figures = (format_figure(simulated[site, name]) for site, name, _ in _SHOWN)
        rows.append((mechanism, *figures, f"{within} of {len(comparison.comparable)}"))
    return markdown_table(head, rows).rstrip()
