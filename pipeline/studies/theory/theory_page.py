"""The section on theory: every comparison in one table, and what is compared with what."""

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
**One lock, P CPUs.** Each CPU computes for an exponential time of mean Z and then holds the lock for S = 1
µs: a machine repairman with P machines. With a fixed hold that is M/D/1//P, solved by its Markov chain at
releases (Takács, *Introduction to the Theory of Queues*, 1962; Kleinrock, *Queueing Systems*, 1975, ch. 5);
with exponential holds it is M/M/1//P (Cox and Smith, *Queues*, 1961; Jain, *The Art of Computer Systems
Performance Analysis*, 1991, ch. 31). Mean waits follow by Little's law. Whatever the distributions,
throughput is at most min(P/(Z + S), 1/S) (Lazowska, Zahorjan, Graham, Sevcik, *Quantitative System
Performance*, 1984, ch. 5); there the error is how far below the bound the run stays. The lock's FIFO order
leaves nothing to chance once the think times are known, so each single wait is also held against a queue
told with a heap.

**Pool of c slots.** Tasks wait off CPU, then block while they hold a slot, both exponentially: M/M/c//N.
The mean wait is the time asleep for a slot.

Both are measured over the first nine tenths of the operations, while all tasks take part. Standard errors
are from 40 batch means.

**Average cost of a map, no hits.** M. J. Bligh's 1 + (1 + F)/N (linux-kernel, March 2002), in units of a
map that finds a clean slot: every N maps pay one pass over the pool, taken as one unit, and one flush, F
units. The first line of each N has the error of stopping in the middle of a cycle, at most (1 + F)/M of M
maps; the second is 1 + floor(M/N) (1 + F)/M, which is exact. The price of the pass per slot is set to 1/N
unit to make the pass one unit. Where a slot has a fixed price s, a pass costs s N units, and each map s on
the mean whatever N is: then only the flush is spread over more maps by a larger pool.

**Hit rate, independent references.** The pool is neither LRU nor FIFO: it forgets everything at once. From
wrap to wrap it has exactly N misses, and the cycle ends before the next reference to a page that is not
cached, so the hit rate is 1 - N/E[T] with T a coupon collector's time. E[T] is computed exactly but for the
quadrature: references as a Poisson stream make the pages independent (Flajolet, Gardy, Thimonier, *Discrete
Applied Mathematics* 39, 1992), and the page that begins a cycle, which is not distributed as references are
(King, *IFIP Congress* 1971), by the stationary distribution of its own chain. The characteristic time of
Che, Tung and Wang (*IEEE JSAC* 20, 2002), at which E[D(t)] = N distinct pages are expected, is the usual
approximation for LRU; here it takes the time to N pages for the time to the next miss after them, and is
allowed 5 %.

**Little's law** (*Operations Research* 9, 1961), L = λW, is exact for a run that begins and ends empty. L
is watched: after every single event the machine's own tables say how many are in each queue. λW is what the
finished run's log says, or the trace; for tasks that are ready, their own state from event to event, and
for pinned ones also the totals. The error must be 0.

**Conservation of CPU time.** The categories of every CPU sum to the wall time, and those that trace, log
and prices determine (compute, in use, scan, switch) are what these ask for. The error must be 0.

**Unfair arbitration.** Prices at their extremes, many seeds: all operations are done, no lock is left held
or waited for, and locks were got as often as the designs ask for them.

**Order of equal-time events.** All times and prices on a grid of 1 µs, so that events meet. Reading the
trace in other chunks, emptying the log or leaving the engine at other times, and listing the trace's rows
of equal time in other orders must give the same log, row by row; the last for FIFO locks, since an unfair
lock's luck belongs to the row's number. Numbering tasks otherwise does change results: ties go by task and
CPU number.
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
"""What makes the runs of each kind and compares them with theory; some half a minute, compiled."""


def write_theory() -> str:
    """The section '## Theory' of the document on validation, as Markdown."""
    return describe_checks([check for experiment in EXPERIMENTS.values() for check in experiment()])


def describe_checks(found: list[Check]) -> str:
    """The section for these comparisons."""
    failing = sum(not check.holds for check in found)
    chance = [check for check in found if check.by_chance]
    exact = [check for check in found if check.tolerance == 0]
    within = [abs(check.error) / check.standard_error for check in chance if check.standard_error]
    verdict = f"{failing} of them fail{'s' * (failing == 1)}" if failing else "all of them hold"
    return (
        "## Theory\n\n"
        f"{len(found)} comparisons, {verdict}. {len(exact)} allow no error at all. {len(chance)} "
        "are of means whose error is chance alone: of these the largest is "
        f"{max((abs(check.error_percent) for check in chance), default=0):.2f} %, or "
        f"{max(within, default=0):.1f} standard errors; {STANDARD_ERRORS} are allowed. A line that names a "
        "number of cases shows the one with the largest error.\n\n"
        + markdown_table(_HEAD, (_line(group) for group in _group(found)))
        + "\n"
        + _FORMULAS
    )


def _group(found: Iterable[Check]) -> list[list[Check]]:
    """Comparisons of one quantity, of which several runs are cases, together."""
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
