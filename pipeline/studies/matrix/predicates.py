"""The runs that each saying of a design is held against: whether it comes out, and the numbers.

Each takes what it needs from the comparison, and makes a few further runs with other options or prices. It
raises NotAskedError where the comparison leaves out a setting that it needs.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.machine.profile import load_profile
from pipeline.runs.figures import cpu_ns
from pipeline.studies.claims.bench import Experiment
from pipeline.studies.matrix.grid import FEWEST_FLUSHES, LOWER, MACHINES, Grid, Point, Trace
from pipeline.studies.matrix.matrix_tables import found

OLD, NEW = MACHINES
BUILD, BYTE, LOCAL = "kernel_build", "read_one_byte", "local"
# Few enough slots that the pool wraps some hundred times in a short compile.
FEW_SLOTS = 128
# Threads of one process: the 48 jobs of the compile as one program.
THREADS = 48


def _build(allocator: str, cpus: int = 16, machine: str = OLD, **options: int | str) -> Experiment:
    """The compile with as many operations for each CPU as the comparison's default."""
    return replace(Trace(BUILD).experiment(allocator, machine, cpus, 3_000), options=options)


def _recorded(allocator: str, cpus: int, **options: int | str) -> Experiment:
    return replace(Trace(LOCAL, recorded=True).experiment(allocator, OLD, cpus, 0), options=options)


def _times(dear: float, cheap: float) -> str:
    """How many times as much, in words; without a ratio where the smaller is nothing."""
    return f"{dear / cheap:,.2f} times" if cheap > 0 else "any number of times"


def _flush_share(p: Point) -> float:
    """CPU time of passes, flushes and their answers in percent of all."""
    spent = cpu_ns(p.totals, ("scan", "flush", "interrupted"))
    return 100.0 * spent / (p.totals.wall_ns * len(p.totals.cpu_time))


def lock(g: Grid) -> tuple[bool, str]:
    """Whether the one lock of the pool costs a tenth of the throughput on a large machine of 2002."""
    p, other = g.at(BUILD, OLD, 16, "global_pool"), g.at(BYTE, OLD, 16, "global_pool")
    return p.share < 0.9 and p.lock_wait_percent > 10, (
        f"on {OLD} with 16 CPUs {BUILD} reaches {p.share:.3f} of {LOWER}'s throughput, with "
        f"{p.lock_wait_percent:.1f} % of all CPU time spent spinning; {BYTE} {other.share:.4f} with "
        f"{other.lock_wait_percent:.1f} %, though every map but the first is a hit."
    )


def global_flush(g: Grid) -> tuple[bool, str]:
    """Whether passes, flushes and interrupts take more CPU time than spinning does."""
    p = g.at(BUILD, OLD, 16, "global_pool")
    return _flush_share(p) > p.lock_wait_percent, (
        f"passes, flushes and interrupts take {_flush_share(p):.2f} % of CPU time in {BUILD} on 16 CPUs of "
        f"{OLD}, spinning {p.lock_wait_percent:.1f} %: {p.totals.flushes:,} flushes in "
        f"{p.totals.operations:,} maps, of which {p.hit_percent:.1f} % hit."
    )


def modern(g: Grid) -> tuple[bool, str]:
    """Whether the pool keeps within a twentieth of the bound on 64 CPUs of today."""
    p, byte = g.at(BUILD, NEW, 64, "global_pool"), g.at(BYTE, NEW, 64, "global_pool")
    return p.share > 0.95, (
        f"on 64 CPUs of {NEW} {BUILD} reaches {p.share:.3f} of {LOWER}'s throughput; {BYTE} {byte.share:.3f}."
    )


def series(g: Grid) -> tuple[bool, str]:
    """Whether one pool deadlocks on nested maps where two series of half the size do not."""
    # Half of the copies block, and then fault on the user's buffer: what the series were for.
    changes = {
        "tasks": 48,
        "kinds.copy_to_user.nested": {"page_fault": 1.0},
        "kinds.copy_to_user.block": {
            "probability": 0.5,
            "time": {"dist": "exponential", "mean_ns": 5_000_000},
        },
    }
    one = Experiment(BUILD, "global_pool", OLD, 20_000, changes, {"slots": 10}, cpus=16)
    pool, series = g.tried(one), g.tried(replace(one, allocator="series_pool", options={"slots": 5}))
    own, plain = (g.at(BUILD, OLD, 16, allocator) for allocator in ("series_pool", "global_pool"))
    return "deadlock" in pool.findings and "deadlock" not in series.findings, (
        f"where every copy also maps a page table and half of them block, one pool of 10 slots ends after "
        f"{pool.totals.operations:,} of 20,000 maps with {found(pool.findings)}, two series of 5 after "
        f"{series.totals.operations:,} with {found(series.findings)}. "
        f"At its defaults it is the pool twice: {own.share:.3f} of {LOWER}'s throughput in {BUILD} on 16 "
        f"CPUs "
        f"of {OLD} and {plain.share:.3f} for the pool, with {own.address_space_pages:,} pages of address "
        f"space and {plain.address_space_pages:,}."
    )


def invlpg_everywhere(g: Grid) -> tuple[bool, str]:
    """Whether invlpg in the pass is dearer than one flush on 64 CPUs."""
    pairs = [
        (machine, g.at(LOCAL, machine, 64, "global_pool_invlpg"), g.at(LOCAL, machine, 64, "global_pool"))
        for machine in MACHINES
    ]
    said = "; ".join(
        f"{machine}: a map takes {invlpg.dearer_us:.2f} us of CPU time, with one flush at the end of the "
        f"pass "
        f"{pool.dearer_us:.2f}"
        for machine, invlpg, pool in pairs
    )
    return all(invlpg.dearer_us > pool.dearer_us for _, invlpg, pool in pairs), f"{LOCAL} on 64 CPUs, {said}."


def invlpg_one_cpu(g: Grid) -> tuple[bool, str]:
    """Whether invlpg in the pass is cheaper than one flush on one CPU."""
    found = []
    for machine in MACHINES:
        costs = load_profile(machine).costs
        flush = costs["tlb_flush_ns"].value + costs["tlb_refill_ns"].value
        single = costs["invalidate_ns"].value
        invlpg, pool = (g.at(LOCAL, machine, 1, d) for d in ("global_pool_invlpg", "global_pool"))
        found.append((machine, invlpg, pool, single, flush))
    said = "; ".join(
        f"{machine}: {invlpg.dearer_us:.2f} us a map against {pool.dearer_us:.2f}, as a flush with its "
        f"refill "
        f"costs {flush / 1e3:.1f} us and {invlpg.address_space_pages:,} invalidations "
        f"{single * invlpg.address_space_pages / 1e3:.0f}"
        for machine, invlpg, pool, single, flush in found
    )
    cheaper = all(invlpg.dearer_us < pool.dearer_us for _, invlpg, pool, *_ in found)
    return cheaper, f"{LOCAL} on one CPU, {said}."


def scales(allocator: str, g: Grid) -> tuple[bool, str]:
    """Whether each of 64 CPUs does what a single one does, with nothing shared."""
    kept, shared = [], 0
    for trace in (BUILD, BYTE):
        for machine in MACHINES:
            fewest, most = (g.at(trace, machine, cpus, allocator) for cpus in (1, 64))
            kept.append((trace, machine, most.share / fewest.share))
            shared += most.totals.flushes + most.totals.ipis + sum(x.acquisitions for x in most.totals.locks)
    said = "; ".join(f"{trace} on {machine} {share:.3f}" for trace, machine, share in kept)
    return all(share > 0.95 for *_, share in kept) and not shared, (
        f"what each of 64 CPUs keeps of what a single one does, as shares of {LOWER}: {said}; "
        f"{shared:,} locks, IPIs and flushes of every TLB."
    )


def pinned_free(g: Grid) -> tuple[bool, str]:
    """Whether pinning costs nothing once the run is long."""
    short = g.at(BUILD, OLD, 4, "percpu_pinned")
    # Ten times as long, so that the end, when few tasks are left, no longer counts.
    long = g.tried(Trace(BUILD).experiment("percpu_pinned", OLD, 4, 30_000))
    return long.share > 0.99, (
        f"{BUILD} on 4 CPUs of {OLD} reaches {short.share:.3f} of {LOWER}'s throughput with "
        f"{short.totals.operations:,} operations (tasks wait {short.totals.pin_waits:,} times for their own "
        f"CPU, CPUs idle {short.idle_percent:.1f} % of the time), and {long.share:.3f} with "
        f"{long.totals.operations:,} ({long.totals.pin_waits:,} times, {long.idle_percent:.1f} %)."
    )


def process_flush(g: Grid) -> tuple[bool, str]:
    """Whether nobody is interrupted or pinned, in any setting."""
    points = [g.at(*setting, "per_process") for setting in g.settings()]
    flushes, waits = sum(p.totals.ipis for p in points), sum(p.totals.pin_waits for p in points)
    worst = max(points, key=lambda p: 1.0 - p.share)
    return not flushes and not waits, (
        f"{flushes:,} IPIs and {waits:,} waits for the own CPU in all {len(points)} settings, and at least "
        f"{worst.share:.3f} of {LOWER}'s throughput."
    )


def process_cheapest(g: Grid) -> tuple[bool, str]:
    """Whether its maps take less CPU time than those of any other design but the lower bound."""
    column = g.column(BUILD, OLD, 16)
    others = {d: p for d, p in column.items() if d not in (LOWER, "per_process")}
    best = min(others.values(), key=lambda p: p.dearer_us)
    own = column["per_process"]
    return own.dearer_us < best.dearer_us, (
        f"in {BUILD} on 16 CPUs of {OLD} a map takes {own.dearer_us:.2f} us of CPU time; the next cheapest "
        f"is {best.allocator} with {best.dearer_us:.2f}."
    )


def process_low(g: Grid) -> tuple[bool, str]:
    """Whether its maps take less CPU time than the direct map."""
    own = g.at(BUILD, OLD, 16, "per_process")
    return own.dearer_us < 0, f"{own.dearer_us:.2f} us a map more than {LOWER}, which is what low memory has."


def process_threads(g: Grid) -> tuple[bool, str]:
    """Whether many threads of one process do as well as many processes."""

    def tried(slots: int) -> Point:
        changes = {"tasks": THREADS, "threads_per_process": THREADS}
        return g.tried(Experiment(BUILD, "per_process", OLD, 48_000, changes, {"slots": slots}, cpus=16))

    few, many = tried(4), tried(64)
    return min(few.share, many.share) > 0.95, (
        f"{THREADS} threads of one process on 16 CPUs of {OLD} reach {many.share:.3f} of {LOWER}'s "
        f"throughput with 64 slots ({many.lock_wait_percent:.1f} % of CPU time spins, "
        f"{many.totals.ipis:,} IPIs), and {few.share:.3f} with 4 ({few.totals.sleeps:,} sleeps in "
        f"{few.totals.operations:,} maps, {few.totals.ipis:,} IPIs)."
    )


def userfixmap(g: Grid) -> tuple[bool, str]:
    """Whether two slots and a semaphore let nobody sleep."""
    options: dict[str, int | str] = {"slots": 2, "cache": "false", "semaphore": "true"}
    one = Experiment(BUILD, "per_process", OLD, 48_000, {"tasks": 48, "threads_per_process": 1}, options, 16)
    single = g.tried(one)
    threads = g.tried(replace(one, changes={"tasks": 48, "threads_per_process": 16}))
    return single.totals.sleeps == 0 and single.share > 0.95, (
        f"{BUILD} on 16 CPUs of {OLD} reaches {single.share:.3f} of {LOWER}'s throughput with "
        f"{single.totals.sleeps:,} sleeps; with 16 threads to a process {threads.share:.3f} and "
        f"{threads.totals.sleeps:,} sleeps."
    )


def atomic(g: Grid) -> tuple[bool, str]:
    """Whether no task sleeps under an atomic map, in any setting."""
    points = [g.at(*setting, "atomic") for setting in g.settings()]
    counted = {name: sum(p.findings.count(name) for p in points) for p in points for name in p.findings}
    said = ", ".join(f"{count:,} {name}" for name, count in sorted(counted.items())) or "no finding"
    slept = sum(bool(p.findings) for p in points)
    return not slept, f"{slept} of {len(points)} settings have findings: {said}."


def atomic_cheap(g: Grid) -> tuple[bool, str]:
    """Whether an atomic map takes less CPU time than a hit in the pool."""
    own, cached = g.at(BYTE, OLD, 16, "atomic"), g.at(BYTE, OLD, 16, "global_pool")
    one, pool = g.at(BYTE, OLD, 1, "atomic"), g.at(BYTE, OLD, 1, "global_pool")
    return own.dearer_us < cached.dearer_us and one.dearer_us < pool.dearer_us, (
        f"{BYTE} on {OLD}: {own.dearer_us:.2f} us a map on 16 CPUs, the pool {cached.dearer_us:,.2f}; on one "
        f"CPU {one.dearer_us:.2f} and {pool.dearer_us:.2f}, where the pool hits {pool.hit_percent:.0f} % of "
        "the time."
    )


def local_switches(g: Grid) -> tuple[bool, str]:
    """Whether switches are a tenth of what walks and invalidations cost."""
    own = g.at(BUILD, OLD, 16, "kmap_local")
    operations = own.totals.operations
    switched = (
        cpu_ns(own.totals, ("switch",)) / operations - cpu_ns(own.lower, ("switch",)) / own.lower.operations
    )
    costs = load_profile(OLD).costs
    walked = own.totals.walks / operations * costs["walk_ns"].value
    invalidated = own.totals.local_flushes / operations * costs["invalidate_ns"].value
    return abs(switched) > 0.1 * (walked + invalidated), (
        f"in {BUILD} on 16 CPUs of {OLD} a map takes {own.dearer_us * 1e3:.0f} ns more than with {LOWER}: "
        f"about {walked:.0f} for page-table walks, {invalidated:.0f} for invalidations, {switched:.1f} for "
        f"switches; tasks wait {own.totals.pin_waits:,} times for their own CPU, "
        f"{own.totals.pin_wait_ns / 1e9:.2f} s in all."
    )


def apart(allocator: str, g: Grid) -> tuple[bool, str]:
    """Whether the longest hold is shorter than the pool's, where flushes are frequent."""
    pool, own = (g.tried(_build(d, 64, "smp8-2002", slots=FEW_SLOTS)) for d in ("global_pool", allocator))
    return own.longest_hold_us < pool.longest_hold_us, (
        f"{BUILD} with {FEW_SLOTS} slots on 64 CPUs of smp8-2002: the longest hold is "
        f"{own.longest_hold_us:,.0f} us, the pool's {pool.longest_hold_us:,.0f}; {own.share:.3f} of "
        f"{LOWER}'s throughput against {pool.share:.3f}, {own.totals.flushes:,} flushes against "
        f"{pool.totals.flushes:,}, {own.totals.sleeps:,} sleeps against {pool.totals.sleeps:,}."
    )


def apart_faster(allocator: str, g: Grid) -> tuple[bool, str]:
    """Whether throughput is better than the pool's, where flushes are frequent."""
    pool, own = (g.tried(_build(d, slots=FEW_SLOTS)) for d in ("global_pool", allocator))
    return own.share > pool.share * 1.02, (
        f"{BUILD} with {FEW_SLOTS} slots on 16 CPUs of {OLD}: {own.share:.3f} of {LOWER}'s throughput, the "
        f"pool {pool.share:.3f}; {own.lock_wait_percent:.1f} % of CPU time spins, the pool's "
        f"{pool.lock_wait_percent:.1f}, though of its time only {_flush_share(pool):.1f} % goes to passes, "
        f"flushes and interrupts; {own.totals.flushes:,} flushes and {pool.totals.flushes:,}."
    )


def deferred_waits(g: Grid) -> tuple[bool, str]:
    """Whether a map waits no longer than in the pool; and whether the scheduler is why."""
    deferred = _build("deferred_flush", slots=FEW_SLOTS)
    own, pool = g.tried(deferred), g.tried(_build("global_pool", slots=FEW_SLOTS))
    short = g.tried(replace(deferred, costs={"timeslice_ns": 1_000_000}))
    spare = g.tried(replace(deferred, options={"slots": FEW_SLOTS, "spare": 32}))
    return own.map_us < pool.map_us, (
        f"the same runs: a map waits {own.map_us:,.0f} us on the mean, in the pool {pool.map_us:,.0f}, as "
        f"tasks sleep {own.totals.sleeps:,} times, {own.totals.map_ns / max(own.totals.sleeps, 1) / 1e6:.1f} "
        f"ms of map time for each; with time slices of 1 ms {short.map_us:,.0f} us, and with flushes begun "
        f"while 32 slots are clean (`spare`) {spare.map_us:,.0f} us and {spare.totals.sleeps:,} sleeps."
    )


def cached_local(g: Grid) -> tuple[bool, str]:
    """Whether nobody is interrupted, and a map takes less CPU time than in the pool."""
    own, pool = (g.at(BUILD, OLD, 16, d) for d in ("percpu_cached", "global_pool"))
    missed = own.totals.misses / max(pool.totals.misses, 1)
    return own.totals.ipis == 0 and own.dearer_us < pool.dearer_us, (
        f"{own.totals.ipis:,} IPIs, {own.totals.full_local_flushes:,} flushes of the own TLB; in {BUILD} on "
        f"16 CPUs of {OLD} it misses {missed:.2f} times as often as the pool and takes {own.dearer_us:.2f} "
        f"us "
        f"a map, the pool {pool.dearer_us:.2f}. {own.page_struct_bytes} bytes in every struct page; for 32 "
        f"CPUs and 16 GB {own.page_struct_bytes / own.cpus * 32 * 4.194304:.0f} MB."
    )


def cache_pays(g: Grid) -> tuple[bool, str]:
    """Whether a cache per CPU takes less CPU time than none; and whether the pass is why."""
    own, bare = (g.at(LOCAL, OLD, 16, d) for d in ("percpu_cached", "percpu_pinned"))
    cheap = g.tried(replace(_recorded("percpu_cached", 16), costs={"scan_slot_ns": 118}))
    price = load_profile(OLD).costs["scan_slot_ns"].value
    return own.dearer_us < bare.dearer_us, (
        f"{LOCAL} on 16 CPUs of {OLD} takes {own.dearer_us:.2f} us a map, percpu_pinned without any cache "
        f"{bare.dearer_us:.2f}: a slot costs {price:,} ns in a pass there. At 118 ns, one CPU's price of "
        f"2004, it is {cheap.dearer_us:.2f}."
    )


def lockless(g: Grid) -> tuple[bool, str]:
    """Whether maps take less CPU time than with the lock, where it is contended."""
    own, pool = (g.at(BUILD, OLD, 16, d) for d in ("lockless_pool", "global_pool"))
    byte, locked = (g.at(BYTE, OLD, 16, d) for d in ("lockless_pool", "global_pool"))
    return own.dearer_us < pool.dearer_us and byte.dearer_us < locked.dearer_us, (
        f"{BUILD} on 16 CPUs of {OLD}: a map takes {own.map_us:.1f} us, in the pool "
        f"{_times(pool.map_us, own.map_us)} that, with {own.totals.flushes:,} flushes against "
        f"{pool.totals.flushes:,}; {BYTE} {byte.map_us:.1f} us, in the pool "
        f"{_times(locked.map_us, byte.map_us)} that; yet {byte.share:.3f} of {LOWER}'s throughput, as the "
        "one count goes from CPU to CPU."
    )


def lockless_idle(g: Grid) -> tuple[bool, str]:
    """Whether maps take no longer where the lock is not contended; and whether the batch is why."""
    own, pool = (g.at(LOCAL, OLD, 64, d) for d in ("lockless_pool", "global_pool"))
    whole = g.tried(_recorded("lockless_pool", 64, tlb_batch=1024))
    return own.map_us <= pool.map_us, (
        f"{LOCAL} on 64 CPUs of {OLD}, where {pool.lock_wait_percent:.1f} % of CPU time waits for "
        f"the pool's lock: {own.map_us:.1f} us a map, the pool {pool.map_us:.1f}, with "
        f"{own.totals.flushes:,} "
        f"flushes against {pool.totals.flushes:,}. With batches of 1,024 slots in place of 32: "
        f"{whole.map_us:.1f} us, {whole.totals.flushes:,} flushes."
    )


def epoch_one(g: Grid) -> tuple[bool, str]:
    """Whether one CPU needs no flush, and less CPU time than with the pool."""
    own, pool = (g.at(LOCAL, OLD, 1, d) for d in ("epoch_pool", "global_pool"))
    return own.dearer_us < pool.dearer_us and not own.totals.flushes, (
        f"{LOCAL} on one CPU of {OLD}: {own.totals.flushes:,} flushes, {own.totals.local_flushes:,} single "
        f"invalidations for {own.totals.misses:,} misses, {own.dearer_us:.2f} us a map, the pool "
        f"{pool.dearer_us:.2f}; {own.totals.walks - pool.totals.walks:+,} page-table walks."
    )


def epoch_many(g: Grid) -> tuple[bool, str]:
    """Whether fewer CPUs are interrupted than by the pool's flushes."""
    own, pool = (g.at(BUILD, OLD, 16, d) for d in ("epoch_pool", "global_pool"))
    idle, beside = (g.at(LOCAL, OLD, 64, d) for d in ("epoch_pool", "global_pool"))
    return own.totals.ipis < pool.totals.ipis and own.dearer_us < pool.dearer_us, (
        f"{BUILD} on 16 CPUs of {OLD}: {own.totals.ipis:,} IPIs against {pool.totals.ipis:,}, as "
        f"{own.totals.misses:,} misses meet {own.totals.switches:,} switches on all CPUs together; "
        f"{own.dearer_us:.1f} us a map against {pool.dearer_us:.1f}. {LOCAL} on 64 CPUs, which idle "
        f"{beside.idle_percent:.0f} % of the time: {idle.totals.ipis / max(idle.totals.flushes, 1):.1f} CPUs "
        f"interrupted for each of {idle.totals.flushes:,} reuses, and {idle.share:.3f} of {LOWER}'s "
        f"throughput, the pool {beside.share:.3f}."
    )


def sf_private(g: Grid) -> tuple[bool, str]:
    """Whether private mappings interrupt nobody and take less CPU time than shared ones."""
    private = _build("sf_buf")
    own, shared = g.tried(private), g.tried(replace(private, options={"cpu_private": "false"}))
    return own.totals.ipis == 0 and own.dearer_us < shared.dearer_us, (
        f"{BUILD} on 16 CPUs of {OLD}: {own.totals.ipis:,} IPIs and {own.dearer_us:.0f} us a map; not "
        f"private, "
        f"{shared.totals.ipis / max(shared.totals.misses, 1):.1f} IPIs for each of "
        f"{shared.totals.misses:,} misses and {shared.dearer_us:.0f} us."
    )


def sf_gain(g: Grid) -> tuple[bool, str]:
    """Whether maps take less CPU time than in the pool."""
    column = g.column(BUILD, OLD, 16)
    own, pool = column["sf_buf"], column["global_pool"]
    best = max((p for p in column.values()), key=lambda p: p.hit_percent)
    return own.dearer_us < pool.dearer_us, (
        f"{own.hit_percent:.1f} % of maps hit, the pool's {pool.hit_percent:.1f} % (the best is "
        f"{best.allocator}'s "
        f"{best.hit_percent:.1f} %), yet a map takes {own.dearer_us:.0f} us, the pool {pool.dearer_us:.0f}: "
        f"{own.lock_wait_percent:.1f} % of all CPU time waits for the mutex."
    )


def few_flushes(g: Grid) -> tuple[bool, str]:
    """Whether the bound has a twentieth fewer flushes than the pool."""
    gains = []
    for trace, machine, cpus in g.settings():
        pool, best = (g.at(trace, machine, cpus, d) for d in ("global_pool", FEWEST_FLUSHES))
        gains.append((pool.totals.flushes - best.totals.flushes, pool.totals.flushes))
    saved, all_flushes = sum(gain for gain, _ in gains), sum(flushes for _, flushes in gains)
    return saved > 0.05 * all_flushes, (
        f"{saved:+,} of the pool's {all_flushes:,} flushes in {len(gains)} settings would be saved."
    )
