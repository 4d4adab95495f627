"""The lockmeter rows of 2002 beside the calibrated model, and how it was calibrated."""

from __future__ import annotations

from pipeline.io.tables import markdown_table
from pipeline.machine.profile import load_profile
from pipeline.studies.calibration import POPULATION, Procedure, procedure
from pipeline.studies.lockmeter.comparison import compare, model_described
from pipeline.studies.lockmeter.lockmeter_data import CALIBRATED_ROWS, read_rows

SEEDS = 5


def part() -> str:
    """Markdown sections: the calibrated rows, figure by figure, and the procedure with every fitted value."""
    rows = {row.name: row for row in read_rows()}
    compared = [compare(rows[name], SEEDS) for name in CALIBRATED_ROWS]
    missed = [
        f"{c.row.name} {f.site} {f.name} ({f.ratio:.2f})"
        for c in compared
        for f in c.figures
        if f.within is False
    ]
    judged = sum(len(c.judged) for c in compared)
    given = sum(figure.name == "acquisitions" for c in compared for figure in c.judged)
    intro = (
        f"The rows are M. J. Bligh's lockmeter table of a kernel compile on a 16-way NUMA-Q (linux-kernel, "
        "18 March 2002), in `pipeline/studies/lockmeter_2002.csv`; `pipeline study lockmeter` prints what "
        "follows, and `pipeline study lockmeter --row FILE.csv` the same for rows of your own. "
        f"{_capital(model_described())}, seeds 0 to {SEEDS - 1}: the medians count, and the range shows what "
        "chance alone does. The goal is 15 % for every mean and a factor of 2 for every maximum."
    )
    outcome = (
        f"**{judged - len(missed)} of {judged} figures of both rows meet the goal.** {given} of them are "
        "acquisitions, which the configuration gives and the model only repeats. "
    ) + (f"Outside it, as simulated / measured: {', '.join(missed)}." if missed else "")
    sections = [
        "## History: the lockmeter rows of March 2002", intro, outcome,
        *(comparison.markdown().rstrip() for comparison in compared),
        "### How it was fitted", fitting(),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def fitting() -> str:
    """How the model was fitted, with every parameter, its bounds and its value."""
    plan = procedure()
    present = plan.present()
    fitted = markdown_table(
        ("parameter", "in", "from", "to", "start", "fitted", "why it may be fitted"),
        [
            (p.name, p.file, f"{p.low:g}", f"{p.high:g}", f"{p.start:g}", f"{present[p.name]:g}", p.why)
            for p in plan.parameters
        ],
    )
    costs = load_profile(plan.machine).costs
    assumed = [name for name, cost in costs.items() if cost.source.startswith("assumed")]
    return (
        "`pipeline calibrate` searches the parameters below for the smallest objective (CMA-ES, "
        f"{POPULATION} trials a generation, steps within the bounds). The objective adds up, over the "
        f"figures of rows {' and '.join(plan.rows)}, the square of ln(simulated / measured) in units of the "
        "goal, cut at 30, maxima counting half, and 2 for each figure outside the goal. Rows "
        f"{' and '.join(plan.rows)} alone are fitted, with one set of values for both: what differs between "
        "them is their configuration. Everything else is pinned: CPUs, acquisitions, the mix of maps and the "
        "pools by the rows; scan and flush by the longest hold against the pool's size; the rest of the "
        f"profile is assumed ({', '.join(assumed)}) and was not fitted.\n\n"
        "The start of the search was found by hand from the rows' own figures. With few CPUs waiting, a "
        "hand-off of about 13 us during which hardly anybody barges makes row D's CON and WAIT out of its "
        "UTIL and its rate of acquisitions: CON = UTIL / (1 - rate x hand-off), WAIT = hand-off / (1 - rate "
        "x hand-off). Row A's mean hold over its mean number of spinners is what each of them adds. The "
        f"shipped values are what {_fitted_by(plan)} gave from there.\n\n" + fitted
    )


def _fitted_by(plan: Procedure) -> str:
    """The command that the fitted costs name as their source."""
    sources = [cost.source for cost in load_profile(plan.machine).costs.values()]
    fitted = [source for source in sources if source.startswith("fitted") and "`" in source]
    return " and ".join(f"`{command}`" for command in sorted({source.split("`")[1] for source in fitted}))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
