"""The sections of docs/validation.md on the rows of 2002: how near the model is, how it was fitted, and why.

`write_history` puts the calibrated rows beside the model, `write_ablations` does so with one of the model's
mechanisms switched off in turn.
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
from pipeline.studies.table import capitalize
from pipeline.workload.distributions import Mixture
from pipeline.workload.read_spec import read_workload

SEEDS = 5


def write_history() -> str:
    """Markdown sections: the calibrated rows, figure by figure, and the procedure with every fitted value."""
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
        f"The rows are M. J. Bligh's lockmeter table of a kernel compile on a 16-way NUMA-Q (linux-kernel, "
        "18 March 2002), in `pipeline/studies/lockmeter/lockmeter_2002.csv`; `pipeline study lockmeter` "
        "prints what follows, and `pipeline study lockmeter --row FILE.csv` the same for rows of your own. "
        f"{capitalize(describe_model())}, seeds 0 to {SEEDS - 1}: the means count, and the range shows "
        "what chance alone does. The goal is 15 % for every mean and a factor of 2 for every maximum."
    )
    outcome = (
        f"**{comparable - len(missed)} of {comparable} figures of both rows meet the goal.** {given} of them "
        "are acquisitions, which the configuration gives and the model only repeats. "
    ) + (f"Outside it, as simulated / measured: {', '.join(missed)}." if missed else "")
    sections = [
        "## History: the lockmeter rows of March 2002", intro, outcome,
        *(comparison.markdown().rstrip() for comparison in compared),
        "### How it was fitted", describe_fitting(),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def describe_fitting() -> str:
    """How the model was fitted, with every parameter, its bounds and its value."""
    plan = read_procedure()
    present = plan.present()
    fitted = markdown_table(
        ("parameter", "in", "from", "to", "start", "fitted", "why it may be fitted"),
        [
            (p.name, p.file, f"{p.low:g}", f"{p.high:g}", f"{p.start:g}", f"{present[p.name]:g}", p.why)
            for p in plan.parameters
        ],
    )
    return (
        _FITTING.format(
            population=POPULATION,
            rows=" and ".join(plan.rows),
            assumed=", ".join(assumed_costs(plan.machine)),
            search=_describe_search(plan),
        )
        + fitted
    )


_FITTING = """\
`pipeline calibrate` searches the parameters below for the smallest objective (CMA-ES, {population} trials a
generation, steps within the bounds). The objective adds up, over the figures of rows {rows} and what they
imply, the square of ln(simulated / measured) in units of the goal, cut at 30, maxima counting half, and 2 for
each figure outside the goal. Rows {rows} alone are fitted, with one set of values for both: what differs
between them is their configuration. Everything else is pinned: CPUs, acquisitions, the mix of maps and the
pools by the rows; pass and flush by the longest hold against the pool's size; the rest of the profile is
assumed ({assumed}) and was not fitted.

The start of the search was found by hand from what the rows imply. `page_cache_hot` is the hot set with
which the maps between two implied flushes of row D want 1,024 different pages; the prices of entries are what
passes leave of its holds. Most of row D's waits are as long as one hand-off, and few CPUs meet in a flush of
4 ms: so copies come in long runs (`kind_runs`, `copy_at_once`) on few CPUs, and a hand-off among few takes
about 10 us. Row A's mean hold over its mean number of spinners is what each of them adds. The shipped values
are what {search} gave from there.

"""


def _describe_search(plan: Procedure) -> str:
    """The command that the fitted costs name as their source."""
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
    """The model whole, then with each mechanism off in turn."""
    local_ns = load_profile(MODEL.machine).costs["handoff_local_ns"].value
    costs = {
        "everything on": {},
        "holds do not grow with spinners": {"hold_per_spinner_ns": 0},
        "hand-off costs nothing": {
            "handoff_local_ns": 0, "handoff_remote_ns": 0, "handoff_per_spinner_ns": 0,
        },
        "hand-off does not grow with spinners": {"handoff_per_spinner_ns": 0},
        "hand-off across nodes as cheap as within": {"handoff_remote_ns": local_ns},
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
    found["no bursts: each kind drawn for itself"] = replace(
        MODEL, changes={"kind_runs.mean_operations": 1.0}
    )
    return found


def _steady_thinking() -> dict[str, dict[str, str | int]]:
    """Exponential think times of the same means as the workload's own."""
    changes: dict[str, dict[str, str | int]] = {}
    for name, kind in read_workload(MODEL.workload).workload.kinds.items():
        think = kind.think
        if isinstance(think, Mixture):
            means_ns = [float(getattr(part, "mean_ns", None) or 0) for part in (think.first, think.rest)]
            mean_ns = think.share * means_ns[0] + (1.0 - think.share) * means_ns[1]
            changes[f"kinds.{name}.think"] = {"dist": "exponential", "mean_ns": round(mean_ns)}
    return changes


def write_ablations() -> str:
    """Markdown section: the rows with each mechanism off."""
    parts = [
        "## What each mechanism contributes",
        "The same rows with one mechanism switched off and nothing else changed or fitted again; seed 0. The "
        "last column counts the figures of the row that meet the goal.",
    ]
    for row in read_rows():
        if row.name in CALIBRATED_ROWS:
            models = ablations()
            compared = compare_all([(row, model) for model in models.values()])
            found = dict(zip(models, compared, strict=True))
            parts += [f"Row {row.name}:", _tabulate(found)]
    return "\n\n".join(parts) + "\n"


def _tabulate(found: dict[str, Comparison]) -> str:
    head = ("mechanism", *(label for _, _, label in _SHOWN), "within")
    measured = {(f.site, f.name): f.describe_measured() for f in found["everything on"].figures}
    rows = [("*measured*", *(measured[site, name] for site, name, _ in _SHOWN), "")]
    for mechanism, comparison in found.items():
        simulated = {(f.site, f.name): f.middle for f in comparison.figures}
        within = sum(bool(figure.within) for figure in comparison.comparable)
        figures = (format_figure(simulated[site, name]) for site, name, _ in _SHOWN)
        rows.append((mechanism, *figures, f"{within} of {len(comparison.comparable)}"))
    return markdown_table(head, rows).rstrip()
