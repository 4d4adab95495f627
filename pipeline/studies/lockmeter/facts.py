"""Other measurements of 2002 put to the calibrated model, each with a verdict. Nothing is fitted to them."""

from __future__ import annotations

from dataclasses import replace

from pipeline.io.numbers import join_words
from pipeline.io.toml_overrides import Changes
from pipeline.studies.experiment import Experiment, change_costs, scale_tasks
from pipeline.studies.lockmeter.implied import imply
from pipeline.studies.lockmeter.lockmeter_data import CALIBRATED_ROWS, read_rows
from pipeline.studies.lockmeter.prediction import MODEL, PAGE_TABLE_KINDS, configure, describe_model
from pipeline.studies.point import Point, ratio
from pipeline.studies.runner import run_once
from pipeline.studies.verdict import Column, Table, Verdict, outcome_of
from pipeline.workload.read_spec import read_workload

# Compiles one after another, so that flushes are many enough to be counted.
_COMPILES = 8
_FOUR_WAY_MAPS = 490_429
# What a map of the shipped workload copies, and the sizes tried.
_DBENCH_BYTES = 2048
_COPY_BYTES = (4096, 2048, 1024)
_DBENCH_MB_S = {"global_pool": 32.3, "atomic": 47.0}
# Of pools by their slots.
_SIZES: dict[str, Column] = {
    "slots": "[0]:,",
    "maps": "[1].maps:,",
    "hit rate %": "[1].hit_percent:.2f",
    "global flushes": "[1].totals.flushes:,",
}


def write_facts() -> str:
    """Markdown section: every verdict."""
    head = "## Other facts of 2002\n\nPredictions from the same profile and workload, none of them fitted.\n"
    return "\n".join([head, *(verdict().markdown() for verdict in _VERDICTS)])


def _measure(experiment: Experiment) -> Point:
    return Point.of(run_once(experiment))


def free_passes() -> Changes:
    """Changes of the profile with which passes and flushes take no time."""
    return change_costs(
        scan_slot_ns=0, free_slot_ns=0, ipi_send_ns=0, ipi_latency_ns=0, ipi_handler_ns=0, tlb_flush_ns=0,
        tlb_refill_ns=0,
    )  # fmt: skip


def _mainline(slots: int, compiles: int = 1) -> Point:
    """Row D's configuration with another number of slots, `compiles` times as long."""
    operations = compiles * read_workload(MODEL.workload).workload.operations
    return _measure(
        replace(MODEL, options={"slots": slots}, cpus=16, lowmem=PAGE_TABLE_KINDS, operations=operations)
    )


def pool_size() -> Verdict:
    """1024 -> 4096 slots."""
    sizes = (512, 1024, 2048, 4096)
    runs = {slots: _mainline(slots, _COMPILES) for slots in sizes}
    flushes = {slots: run.totals.flushes for slots, run in runs.items()}
    fewer = ratio(flushes[1024], flushes[4096])
    words = f"{fewer:.1f} times fewer" if flushes[4096] else "no flush is left with 4096"
    return Verdict(
        "1024 to 4096 slots cuts global flushes tenfold",
        "Measured on the 16-way in 2002",
        "holds" if 7.0 <= fewer <= 14.0 else "does not hold",
        f"{flushes[1024]:,} flushes with 1024 slots, {flushes[4096]:,} with 4096: {words}. A pool four times "
        "as large flushes once in four times as many misses, and has fewer misses; how many fewer is the "
        "popularity of pages.",
        f"Row D's configuration, {_COMPILES} compiles one after another, {describe_model()}, seed 0",
        [Table.of(runs.items(), _SIZES | {"maps per flush": "[1].maps_per_flush:,.0f"})],
    )


def hit_rate() -> Verdict:
    """95-97 % hits in the mainline compile."""
    runs = {slots: _mainline(slots) for slots in (1024, 4096)}
    hits = {slots: run.hit_percent for slots, run in runs.items()}
    inside = [slots for slots, percent in hits.items() if 95.0 <= percent <= 97.0]
    return Verdict(
        "95 to 97 % of maps hit in the mainline compile",
        "Measured in another compile on the 16-way: 3,762,429 maps, 27 flushes in all, 61 % of the maps "
        "copies of exec arguments",
        outcome_of(len(inside), len(hits)),
        f"{hits[1024]:.1f} % with 1024 slots and {hits[4096]:.1f} % with 4096. Its own figures say which "
        "pool that compile had: 27 flushes at 3 to 5 % misses are 4,180 to 6,970 misses between two flushes, "
        "which some 4096 slots make and 1024 do not. It had ten times row D's maps, most of them of pages "
        "that exist only for one exec.",
        f"Row D's configuration, {describe_model()}, seed 0",
        [Table.of(runs.items(), _SIZES)],
    )


def flush_hurts() -> Verdict:
    """The calibrated rows with passes and flushes that take no time."""
    rows = [row for row in read_rows() if row.name in CALIBRATED_ROWS]
    runs = {
        (row.name, case): _measure(configure(row, 0, replace(MODEL, machine_changes=changes)))
        for row in rows
        for case, changes in (("as priced", {}), ("passes and flushes free", free_passes()))
    }
    spun = {key: run.cpu_ns("spin") / 1e9 for key, run in runs.items()}
    saved = [
        100.0 * (1.0 - spun[row.name, "passes and flushes free"] / spun[row.name, "as priced"])
        for row in rows
    ]
    shares = [f"row {row.name} {percent:.0f} %" for row, percent in zip(rows, saved, strict=True)]
    implied = [f"{one.behind_flushes_percent or 0.0:.0f} %" for one in map(imply, rows) if one is not None]
    return Verdict(
        "The global flush is what hurts",
        "Said on linux-kernel, March 2002",
        outcome_of(sum(percent > 50.0 for percent in saved), len(rows)),
        f"without the time of passes and flushes there would be less spinning: {join_words(shares)}. The "
        f"rows themselves allow at most {join_words(implied)} of their waiting to be directly behind "
        "flushes.",
        f"The configurations of the rows, {describe_model()}, seed 0",
        [
            Table.of(
                runs.items(),
                {
                    "row": "[0][0]",
                    "prices": "[0][1]",
                    "flushes": "[1].totals.flushes:,",
                    "in passes and flushes %": lambda item: f"{item[1].cpu_percent('scan', 'flush'):.3f}",
                    "spinning %": "[1].lock_wait_percent:.2f",
                    "CON %": "[1].contended_percent:.1f",
                    "wall s": "[1].wall_s:.2f",
                },
            )
        ],
    )


def four_way() -> Verdict:
    """A 4-way box whose maps fall tenfold."""
    few = ("page_fault", "copy_to_user")
    runs: list[tuple[str, Point]] = []
    for machine in ("smp4-2002", "numaq16"):
        tasks = scale_tasks(MODEL.workload, machine, 4)
        model = replace(MODEL, machine=machine, changes=tasks, cpus=4, operations=_FOUR_WAY_MAPS)
        runs += [(f"{machine}, 4 CPUs", _measure(replace(model, lowmem=lowmem))) for lowmem in ((), few)]
    changes = [
        100.0 * (after.totals.wall_ns / before.totals.wall_ns - 1.0)
        for (_, before), (_, after) in zip(runs[::2], runs[1::2], strict=True)
    ]
    mapped = [run.maps for _, run in runs]
    most_contended = max(run.contended_percent for _, run in runs)
    return Verdict(
        "A 4-way box gains no wall time when its maps fall tenfold",
        "Measured in 2002: 490,429 maps to 41,174 in one compile, the same wall time",
        "holds" if all(abs(change) < 2.0 for change in changes) else "does not hold",
        f"The maps fall {mapped[0] / mapped[1]:.0f}-fold ({join_words(few)} need no mapping), and the wall "
        f"time changes by {changes[0]:+.2f} % on the 4-way SMP and by {changes[1]:+.2f} % on one node of the "
        f"NUMA-Q. With 4 CPUs at most {most_contended:.1f} % of acquisitions are contended. The maps fall by "
        "more than the measured 12-fold, because whole kinds of maps are taken away.",
        "Workload kernel_build with 12 jobs, global_pool with 1024 slots, closed loop, seed 0",
        [
            Table.of(
                runs,
                {
                    "machine": "[0]",
                    "maps": "[1].maps:,",
                    "wall s": "[1].wall_s:.2f",
                    "CON %": "[1].contended_percent:.2f",
                    "flushes": "[1].totals.flushes:,",
                },
            )
        ],
    )


def dbench() -> Verdict:
    """dbench-like copy-user on 16 CPUs, for several sizes of a copy."""
    runs = {(size, allocator): _dbench(size, allocator) for size in _COPY_BYTES for allocator in _DBENCH_MB_S}
    spin = {key: run.lock_wait_percent for key, run in runs.items()}
    rate = {(size, allocator): run.operations_per_s * size / 1e6 for (size, allocator), run in runs.items()}
    bound = [size for size in _COPY_BYTES if spin[size, "global_pool"] >= 50.0 and spin[size, "atomic"] < 1.0]
    free = [size for size in _COPY_BYTES if size not in bound]

    def with_sizes(sizes: list[int]) -> str:
        return ", ".join(
            f"{size:,} bytes a map: {spin[size, 'global_pool']:.0f} % of CPU time spinning with the global "
            f"pool and {spin[size, 'atomic']:.0f} % with atomic maps, {rate[size, 'global_pool']:.1f} and "
            f"{rate[size, 'atomic']:.1f} MB/s"
            for size in sizes
        )

    return Verdict(
        "dbench on 16 CPUs is lock-bound with the global pool and not with atomic maps",
        "Measured with dbench 512 in 2002: 32.3 MB/s with persistent maps, 64 % of samples spinning; 47.0 "
        "MB/s with atomic ones, 70 % idle",
        outcome_of(len(bound), len(_COPY_BYTES)),
        "it depends on how much one copy moves, which was not published. "
        + (f"Lock-bound: {with_sizes(bound)}. " if bound else "")
        + (f"Not lock-bound: {with_sizes(free)}. " if free else "")
        + "The same bytes in smaller copies are more maps, and the lock gives out only so many a second once "
        "everybody spins.",
        "Workload dbench, its demand derived from the atomic measurement, profile numaq16, closed loop, seed "
        "0",
        [Table(("bytes a map", "design", "MB/s", "measured MB/s", "spinning %", "idle %", "hit rate %"), [
            (
                f"{size:,}", allocator, f"{rate[size, allocator]:.1f}", f"{_DBENCH_MB_S[allocator]:.1f}",
                f"{spin[size, allocator]:.1f}", f"{run.idle_percent:.1f}",
                f"{run.hit_percent:.1f}" if run.totals.hits else "-",
            )
            for (size, allocator), run in runs.items()
        ])],
    )  # fmt: skip


def _dbench(copy_bytes: int, allocator: str) -> Point:
    """The same bytes in copies of another size, with as much work and waiting for each byte."""
    spec = read_workload("dbench").workload
    scale = copy_bytes / _DBENCH_BYTES
    changes: dict[str, int] = {}
    for name, kind in spec.kinds.items():
        for key, time in (
            ("think", kind.think),
            ("wait.time", kind.wait and kind.wait.time),
            ("hold", kind.hold),
        ):
            changes[f"kinds.{name}.{key}.mean_ns"] = round(getattr(time, "mean_ns") * scale)  # noqa: B009
        changes[f"kinds.{name}.bytes"] = copy_bytes
    return _measure(
        replace(
            MODEL, workload="dbench", allocator=allocator, changes=changes, cpus=16,
            operations=round(spec.operations / scale),
        )
    )  # fmt: skip


_VERDICTS = (pool_size, hit_rate, flush_hurts, four_way, dbench)
