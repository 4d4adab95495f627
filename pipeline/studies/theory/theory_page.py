"""The section of docs/validation.md on theory: a table of all comparisons, and their formulas."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.io.numbers import format_count, format_number
from pipeline.io.tables import markdown_table
from pipeline.studies.theory.arbitration import arbitration_checks
from pipeline.studies.theory.check import STANDARD_ERRORS, Check
from pipeline.studies.theory.experiments import cost_checks, hit_rate_checks, lock_checks, pool_checks
from pipeline.studies.theory.laws import conservation_checks, little_checks
from pipeline.studies.theory.ties import ties_checks

_HEAD = ("experiment", "quantity", "predicted", "simulated", "error, %", "standard error, %", "verdict")

_FORMULAS = """\
**One lock, P CPUs.** Each CPU computes for an exponential time with mean Z and then holds the lock for S = 1
µs, as in the machine repairman model with P machines. Fixed holds give M/D/1//P, which is solved by its
Markov chain at releases (Takács, *Introduction to the Theory of Queues*, 1962; Kleinrock, *Queueing Systems*,
1975, ch. 5). Exponential holds give M/M/1//P (Cox and Smith, *Queues*, 1961; Jain, *The Art of Computer
Systems Performance Analysis*, 1991, ch. 31). Mean waits follow from Little's law.

With any distributions, throughput is at most min(P/(Z + S), 1/S) (Lazowska, Zahorjan, Graham, Sevcik,
*Quantitative System Performance*, 1984, ch. 5). The error of the bound is the distance of the run from it.
The FIFO order of the lock determines every wait for given think times, so each wait is also compared with
that of a queue simulated with a heap.

**Pool of c slots.** Tasks wait off CPU and then block while they hold a slot, both for exponential times:
M/M/c//N. The mean wait is the time asleep for a slot.

Both experiments use the first nine tenths of the operations, while all tasks are active. Standard errors come
from 40 batch means.

**Average cost of a map, no hits.** M. J. Bligh's formula is 1 + (1 + F)/N (linux-kernel, March 2002), in
units of a map that finds a clean slot. Every N maps pay for one pass over the pool, which costs one unit, and
one flush, which costs F units. The first line for each N has the error of stopping in the middle of a cycle,
which is at most (1 + F)/M for M maps. The second line uses the exact mean 1 + floor(M/N) (1 + F)/M.

The scan cost per slot is set to 1/N unit, which makes the pass one unit. With a fixed scan cost s per slot, a
pass costs s N units, which adds s to the mean cost of a map for any N. A larger pool then spreads only the
flush over more maps.

**Hit rate, independent references.** The pool is neither LRU nor FIFO: it drops all pages at the same time.
From wrap to wrap it has exactly N misses, and the cycle ends before the next reference to a page that is not
cached. The hit rate is therefore 1 - N/E[T], where T is a coupon collector's time. E[T] is exact except for
the quadrature. References as a Poisson stream make the pages independent (Flajolet, Gardy, Thimonier,
*Discrete Applied Mathematics* 39, 1992). The page that begins a cycle is not distributed like the references
(King, *IFIP Congress* 1971); its distribution is the stationary distribution of its own Markov chain.

The characteristic time of Che, Tung and Wang (*IEEE JSAC* 20, 2002), at which E[D(t)] = N distinct pages are
expected, is the usual approximation for LRU. Here it approximates the time until the next miss by the time
until N pages, with a tolerance of 5 %.

**Little's law** (*Operations Research* 9, 1961), L = λW, is exact for a run that begins and ends empty. L is
observed in the tables of the machine after every event. λW is computed from the log of the finished run, or
from the trace. For ready tasks it comes from their state after each event, and for pinned tasks also from the
totals. The error must be 0.

**Conservation of CPU time.** The categories of every CPU sum to the wall-clock time. Categories determined by
trace, log and costs (compute, in use, scan, switch) equal the expected times. The error must be 0.

**Unfair arbitration.** With extreme costs and many seeds, all operations complete, no lock remains held or
waited for, and the number of lock acquisitions is the expected one.

**Order of simultaneous events.** All times and costs are on a grid of 1 µs, so that events are simultaneous.
Three changes must give the same log, row by row: reading the trace in different chunks, emptying the log or
leaving the engine at different times, and listing simultaneous rows of the trace in a different order. The
last applies to FIFO locks only, because random draws of unfair locks depend on the row number. Renumbering
tasks does change results, because ties are resolved by task and CPU number.
"""


EXPERIMENTS = {
    "lock": lock_checks,
    "pool": pool_checks,
    "cost": cost_checks,
    "hit rate": hit_rate_checks,
    "little": little_checks,
    "conservation": conservation_checks,
    "arbitration": arbitration_checks,
    "ties": ties_checks,
}
"""Functions that make the runs of each experiment and compare them with theory; about half a minute."""


def write_theory() -> str:
    """Write the section on theory, as Markdown."""
    return describe_checks([check for experiment in EXPERIMENTS.values() for check in experiment()])


def describe_checks(found: list[Check]) -> str:
    """Describe comparisons as a Markdown section."""
    failing = sum(not check.holds for check in found)
    chance = [check for check in found if check.by_chance]
    exact = [check for check in found if check.tolerance == 0]
    within = [abs(check.error) / check.standard_error for check in chance if check.standard_error]
    verdict = f"of which {failing} fail{'s' * (failing == 1)}" if failing else "all of which hold"
    return (
        "## Theory\n\n"
        f"There are {len(found)} comparisons, {verdict}. {len(exact)} of them allow no error. {len(chance)} "
        "compare means with a random error only. The largest of these errors is "
        f"{max((abs(check.error_percent) for check in chance), default=0):.2f} %, and the largest in "
        f"standard errors is {max(within, default=0):.1f} of {STANDARD_ERRORS} allowed. A line with several "
        "cases shows the case with the largest error.\n\n"
        + markdown_table(_HEAD, (_line(group) for group in _group(found)))
        + "\n"
        + _FORMULAS
    )


def _group(found: Iterable[Check]) -> list[list[Check]]:
    """Group comparisons of the same quantity."""
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in found:
        groups.setdefault((check.name, check.what), []).append(check)
    return list(groups.values())


def _line(group: list[Check]) -> tuple[str, ...]:
    worst = max(group, key=lambda check: (not check.holds, abs(check.error), check.predicted))
    cases = format_count(len(group), "case")
    what = f"{worst.what}; {cases}, shown: {worst.case}" if worst.case else worst.what
    error = worst.standard_error
    return (
        worst.name,
        what,
        f"{format_number(worst.predicted, 6)} {worst.unit}".rstrip(),
        f"{format_number(worst.simulated, 6)} {worst.unit}".rstrip(),
        f"{worst.error_percent:.3f}" if worst.error else "0",
        f"{100 * error / abs(worst.predicted):.2g}" if error and worst.predicted else "",
        "holds" if worst.holds else "FAILS",
    )
