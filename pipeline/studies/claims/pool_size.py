"""Claim (d): 2048 entries beat 1024, 512, 256 and 128, though a pass takes longer."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.io.numbers import join_words
from pipeline.studies.experiment import Experiment, describe_costs
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Columns, Outcome, Table, Verdict, capitalize, outcome_of

FAVOURED = 2048
_SLOTS = (128, 256, 512, 1024, FAVOURED, 4096)

_COLUMNS: Columns = {
    "slots": "options[slots]:,",
    "hit rate %": "hit_percent:.2f",
    "global flushes": "totals.flushes:,",
    "maps per flush": "maps_per_flush:,.0f",
    "a pass with its flush us": "pass_us:,.0f",
    "passes and flushes CPU s": lambda p: f"{_pass_cpu_s(p):.3f}",
    "CON %": "contended_percent:.2f",
    "wall s": "wall_s:.3f",
}


def _pass_cpu_s(point: Point) -> float:
    """CPU time of all passes and flushes where they are made."""
    return point.cpu_ns("scan", "flush") / 1e9


def judge(points: Sequence[Point]) -> tuple[Outcome, str]:
    """Compare FAVOURED slots with each smaller pool: hits, flushes, and what passes cost altogether."""
    favoured = next(p for p in points if p.options["slots"] == FAVOURED)
    smaller = [p for p in points if p.options["slots"] < FAVOURED]
    flushes = favoured.totals.flushes
    worse = [
        p.options["slots"]
        for p in smaller
        if favoured.hit_percent <= p.hit_percent or flushes >= p.totals.flushes
    ]
    cheaper = sum(_pass_cpu_s(favoured) < _pass_cpu_s(p) for p in smaller)
    longest = max((p.pass_us for p in smaller if p.totals.scans), default=None)
    passes = f"With {FAVOURED} slots the pool never wraps, so that there is no pass to take longer. "
    if favoured.totals.scans:
        beside = f", at most {longest:,.0f} us with fewer slots" if longest is not None else ""
        passes = f"A pass with its flush takes {favoured.pass_us:,.0f} us{beside}. "
    words = (
        f"hits are {favoured.hit_percent:.1f} % with {FAVOURED} slots and "
        f"{join_words(f'{p.hit_percent:.1f} %' for p in smaller)} with "
        f"{join_words(str(p.options['slots']) for p in smaller)}; flushes {flushes:,} and "
        f"{join_words(f'{p.totals.flushes:,}' for p in smaller)}. {passes}All passes and flushes together "
        f"take {_pass_cpu_s(favoured):.3f} s of CPU, less than with {cheaper} of the {len(smaller)} smaller "
        "pools."
    )
    outcome = outcome_of(len(smaller) - len(worse), len(smaller))
    if outcome == "depends":
        words = f"on what it is compared with (not better than {join_words(map(str, worse))}): {words}"
    return outcome, capitalize(words)


def verdict(runner: Runner) -> Verdict:
    """Replay the compile with page tables in highmem through pools of six sizes."""
    runs = {
        slots: Experiment("kernel_build", "global_pool", "numaq16", 300_000, {}, {"slots": slots}, cpus=16)
        for slots in _SLOTS
    }
    points = [runner.point(run) for run in runs.values()]
    costs = describe_costs(
        "numaq16", "scan_slot_ns", "free_slot_ns", "ipi_send_ns", "ipi_latency_ns", "ipi_handler_ns"
    )
    return Verdict(
        f"{FAVOURED} entries beat 1024, 512, 256 and 128 in caching and flushing, though a pass takes longer",
        "linux-kernel, March 2002",
        *judge(points),
        runs[FAVOURED].conditions(),
        [Table.of(points, _COLUMNS)],
        "the slots of global_pool, every page in highmem. Lock contention and wall time also follow from "
        "chance: one more or fewer convoy at the lock shows in them.",
        f"how popular pages are (the workload's `skew`), which decides hits and flushes; {costs}.",
        runs[FAVOURED].commands(),
    )
