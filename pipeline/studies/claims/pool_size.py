"""Claim (d): 2048 entries beat 1024, 512, 256 and 128, though a pass takes longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.io.numbers import format_fixed, join_words
from pipeline.runs.figures import contended_percent, cpu_ns, hit_percent, maps
from pipeline.schema.run import Totals
from pipeline.studies.claims.bench import Bench, Experiment, prices
from pipeline.studies.claims.bench_verdict import Outcome, Verdict

FAVOURED = 2048
_SLOTS = (128, 256, 512, 1024, FAVOURED, 4096)
_OPERATIONS = 300_000


@dataclass(frozen=True)
class Size:
    """What a pool of so many slots does in the compile."""

    slots: int
    hit_percent: float
    flushes: int
    maps_per_flush: float | None
    pass_us: float | None
    """Mean time of a pass and its flush, for which the lock is held; None without one."""
    pass_cpu_s: float
    """CPU time of all passes and flushes where they are made."""
    contended_percent: float
    wall_s: float


def size(slots: int, totals: Totals) -> Size:
    """Figures of one run."""
    pass_ns = cpu_ns(totals, ("scan", "flush"))
    return Size(
        slots,
        hit_percent(totals),
        totals.flushes,
        maps(totals) / totals.flushes if totals.flushes else None,
        pass_ns / totals.scans / 1e3 if totals.scans else None,
        pass_ns / 1e9,
        contended_percent(totals),
        totals.wall_ns / 1e9,
    )


def judge(sizes: Sequence[Size]) -> tuple[Outcome, str]:
    """Compare FAVOURED slots with each smaller pool: hits, flushes, and what passes cost altogether."""
    favoured = next(s for s in sizes if s.slots == FAVOURED)
    smaller = [s for s in sizes if s.slots < FAVOURED]
    beaten = [s for s in smaller if favoured.hit_percent > s.hit_percent and favoured.flushes < s.flushes]
    cheaper = [s for s in smaller if favoured.pass_cpu_s < s.pass_cpu_s]
    longest = max((s.pass_us for s in smaller if s.pass_us is not None), default=None)
    if favoured.pass_us is None:
        passes = f"With {FAVOURED} slots the pool never wraps, so that there is no pass to take longer. "
    else:
        passes = f"A pass with its flush takes {favoured.pass_us:,.0f} us" + (
            f", at most {longest:,.0f} us with fewer slots. " if longest is not None else ". "
        )
    said = (
        f"hits are {favoured.hit_percent:.1f} % with {FAVOURED} slots and "
        f"{join_words(f'{s.hit_percent:.1f} %' for s in smaller)} with "
        f"{join_words(str(s.slots) for s in smaller)}; "
        f"flushes {favoured.flushes:,} and {join_words(f'{s.flushes:,}' for s in smaller)}. {passes}"
        f"All passes and flushes together take {favoured.pass_cpu_s:.3f} s of CPU, less than with "
        f"{len(cheaper)} of the {len(smaller)} smaller pools."
    )
    if len(beaten) == len(smaller):
        return "holds", said[0].upper() + said[1:]
    if beaten:
        worse = join_words(str(s.slots) for s in smaller if s not in beaten)
        return "depends", f"On what it is compared with (not better than {worse}): {said}"
    return "does not hold", said[0].upper() + said[1:]


def _experiment(slots: int) -> Experiment:
    return Experiment("kernel_build", "global_pool", "numaq16", _OPERATIONS, {}, {"slots": slots}, cpus=16)


def verdict(bench: Bench) -> Verdict:
    """Replay the compile with page tables in highmem through pools of six sizes."""
    sizes = [size(slots, bench.manifest(_experiment(slots)).totals) for slots in _SLOTS]
    outcome, because = judge(sizes)
    return Verdict(
        f"{FAVOURED} entries beat 1024, 512, 256 and 128 in caching and flushing, though a pass takes longer",
        "linux-kernel, March 2002",
        outcome,
        because,
        _experiment(FAVOURED).conditions(),
        (
            "slots", "hit rate %", "global flushes", "maps per flush", "a pass with its flush us",
            "passes and flushes CPU s", "CON %", "wall s",
        ),
        [
            (
                f"{s.slots:,}", f"{s.hit_percent:.2f}", f"{s.flushes:,}", format_fixed(s.maps_per_flush, 0),
                format_fixed(s.pass_us, 0), f"{s.pass_cpu_s:.3f}", f"{s.contended_percent:.2f}",
                f"{s.wall_s:.3f}",
            )
            for s in sizes
        ],
        varied="the slots of global_pool, every page in highmem. Lock contention and wall time also follow "
        "from chance: one more or fewer convoy at the lock shows in them.",
        assumed="how popular pages are (the workload's `skew`), which decides hits and flushes; "
        + prices("numaq16", "scan_slot_ns", "ipi_send_ns", "ipi_latency_ns", "ipi_handler_ns")
        + ".",
        commands=_experiment(FAVOURED).commands(),
    )  # fmt: skip
