"""What was said of the pool, and of the designs that kernels had or have in its place.

See `claims` for what the words mean.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from pipeline.machine.profile import load_profile
from pipeline.studies.experiment import Experiment, change_costs
from pipeline.studies.matrix.claim import claim
from pipeline.studies.matrix.grid import BUILD, BYTE, LOCAL, MACHINES, Grid
from pipeline.studies.matrix.matrix_tables import count_findings
from pipeline.studies.runner import LOWER

OLD, NEW = MACHINES
POOL = "global_pool"
# Few enough slots that the pool wraps some hundred times in a short compile.
FEW_SLOTS = 128
_PRICES_OF_FLUSHES = (
    "scan_slot_ns", "free_slot_ns", "tlb_flush_ns", "tlb_refill_ns", "ipi_send_ns", "ipi_latency_ns",
    "ipi_handler_ns",
)  # fmt: skip
# Of each CPU: enough that a pool of 1,024 slots wraps some tens of times.
_OPERATIONS_FOR_FLUSHES = 25_000
# Threads of one process: the 48 jobs of the compile as one program.
THREADS = 48


@claim(
    "global_pool",
    "M. J. Bligh, March 2002",
    "one lock over all maps does not scale",
    "That compile is what the model is fitted to, so this is no news; that hits suffer as much is: no cache "
    "can help a lock whose hand-off is the price.",
)
def one_lock_limits(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether the one lock of the pool costs a tenth of the throughput on a large machine of 2002."""
    p, other = g.at(BUILD, OLD, 16, allocator), g.at(BYTE, OLD, 16, allocator)
    return p.share < 0.9 and p.lock_wait_percent > 10, (
        f"on {OLD} with 16 CPUs {BUILD} reaches {p.share:.3f} of {LOWER}'s throughput, with "
        f"{p.lock_wait_percent:.1f} % of all CPU time spent spinning; {BYTE} {other.share:.4f} with "
        f"{other.lock_wait_percent:.1f} %, though every map but the first is a hit."
    )


@claim(
    "global_pool",
    "linux-kernel, March 2002",
    "the global flush is what hurts",
    "A pool of 1,024 slots wraps too rarely for its flushes to keep the lock busy. That does not rest on "
    "what is booked as flushing, which leaves out those who wait behind it: the same runs are as slow where "
    "passes and flushes take no time at all. In a pool of 128 slots, or where slots run out (claim b of "
    "claims.md), the author is right.",
    wrong="author",
)
def flushes_hold_the_compile_up(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether the compile would do a twentieth more if passes and flushes took no time."""
    free = change_costs(**dict.fromkeys(_PRICES_OF_FLUSHES, 0))
    run = BUILD.experiment(allocator, OLD, 16, _OPERATIONS_FOR_FLUSHES)
    few = replace(run, options={"slots": FEW_SLOTS})
    shares, flushes = [], []
    for experiment in (run, few):
        points = [g.measure(experiment), g.measure(replace(experiment, machine_changes=free))]
        shares.append([p.share for p in points])
        flushes.append(points[0].totals.flushes)
    p = g.measure(run)
    return shares[0][1] > 1.05 * shares[0][0], (
        f"{BUILD} on 16 CPUs of {OLD} reaches {shares[0][0]:.3f} of {LOWER}'s throughput, with "
        f"{flushes[0]:,} flushes in {p.totals.operations:,} maps, and {shares[0][1]:.3f} if passes and "
        f"flushes take no time; with {FEW_SLOTS} slots {shares[1][0]:.3f}, {flushes[1]:,} flushes, and "
        f"{shares[1][1]:.3f}."
    )


@claim(
    "global_pool",
    "what is left of it in today's kernels",
    "a queued lock and fast IPIs make it do",
    "For a compile, and by assumption: that hand-offs and IPIs are fast today is what the profile assumes, "
    "with no measurement of this lock behind it. The hot lock of one page is as hot as ever.",
)
def modern_pool_suffices(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether the pool keeps within a twentieth of the bound on 64 CPUs of today."""
    p, byte = g.at(BUILD, NEW, 64, allocator), g.at(BYTE, NEW, 64, allocator)
    return p.share > 0.95, (
        f"on 64 CPUs of {NEW} {BUILD} reaches {p.share:.3f} of {LOWER}'s throughput; {BYTE} {byte.share:.3f}."
    )


@claim(
    "series_pool",
    "A. Arcangeli, early 2002",
    "a series for page tables keeps nested maps from deadlock",
    "The three traces come nowhere near such a deadlock; in the common metrics they are the pool with more "
    "slots and one flush for all.",
)
def series_prevents_deadlock(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether one pool deadlocks on nested maps where two series of half the size do not."""
    # Half of the copies block, and then fault on the user's buffer: what the series were for.
    block = {"probability": 0.5, "time": {"dist": "exponential", "mean_ns": 5_000_000}}
    copy = {"kinds.copy_to_user.nested": {"page_fault": 1.0}, "kinds.copy_to_user.block": block}
    changes = {"tasks": 48, **copy}
    one = Experiment(BUILD.name, POOL, OLD, 20_000, changes, {"slots": 10}, cpus=16)
    pool, series = g.measure(one), g.measure(replace(one, allocator=allocator, options={"slots": 5}))
    own, plain = g.points(BUILD, OLD, 16, allocator, POOL)
    return "deadlock" in pool.findings and "deadlock" not in series.findings, (
        "where every copy also maps a page table and half of them block, one pool of 10 slots ends after "
        f"{pool.totals.operations:,} of 20,000 maps with {count_findings(pool.findings)}, two series of 5 "
        f"after {series.totals.operations:,} with {count_findings(series.findings)}. At its defaults it is "
        f"the pool twice: {own.share:.3f} of {LOWER}'s throughput in {BUILD} on 16 CPUs of {OLD} and "
        f"{plain.share:.3f} for the pool, with {own.address_space_pages:,} pages of address space and "
        f"{plain.address_space_pages:,}."
    )


@claim(
    "global_pool_invlpg",
    "A. Arcangeli, March 2002",
    "the pass with invlpg would take too long on all CPUs",
    "Every CPU makes the pass, and the lock is held until the slowest is done.",
)
def invlpg_dearer_on_many_cpus(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether invlpg in the pass is dearer than one flush on 64 CPUs."""
    dearer, numbers = True, []
    for machine in MACHINES:
        invlpg, pool = (p.dearer_us for p in g.points(LOCAL, machine, 64, allocator, POOL))
        dearer &= invlpg > pool
        numbers.append(
            f"{machine}: a map takes {invlpg:.2f} us of CPU time, with one flush at the end of the pass "
            f"{pool:.2f}"
        )
    return dearer, f"{LOCAL} on 64 CPUs, {'; '.join(numbers)}."


@claim(
    "global_pool_invlpg",
    "the proposal for a laptop, March 2002",
    "on one CPU invlpg in the pass is cheaper than a flush",
    "A pass frees hundreds of slots and pays for each, when a TLB holds some tens of entries; only a pool "
    "about as small as the TLB, or a refill priced many times higher than anybody assumed, would turn it "
    "round. That a flush loses no other entry is what the refill's price stands for, and that price is "
    "assumed.",
    wrong="author",
)
def invlpg_cheaper_on_one_cpu(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether invlpg in the pass is cheaper than one flush on one CPU."""
    cheaper, numbers = True, []
    for machine in MACHINES:
        costs = {name: cost.value for name, cost in load_profile(machine).costs.items()}
        invlpg, pool = g.points(LOCAL, machine, 1, allocator, POOL)
        cheaper &= invlpg.dearer_us < pool.dearer_us
        flush_us = (costs["tlb_flush_ns"] + costs["tlb_refill_ns"]) / 1e3
        slots = invlpg.address_space_pages
        numbers.append(
            f"{machine}: {invlpg.dearer_us:.2f} us a map against {pool.dearer_us:.2f}, as a flush with its "
            f"refill costs {flush_us:.1f} us and {slots:,} invalidations "
            f"{costs['invalidate_ns'] * slots / 1e3:.0f}"
        )
    return cheaper, f"{LOCAL} on one CPU, {'; '.join(numbers)}."


@claim(
    "percpu_pinned",
    "A. Arcangeli, March 2002",
    "it scales completely, without lock, IPI or flush",
    "What it gives up is the cache: each map is a PTE, an invalidation and a walk, which is a constant.",
)
def scales(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether each of 64 CPUs does what a single one does, with nothing shared."""
    kept, shared = {}, 0
    for trace, machine in product((BUILD, BYTE), MACHINES):
        fewest, most = (g.at(trace, machine, cpus, allocator) for cpus in (1, 64))
        kept[f"{trace} on {machine}"] = most.share / fewest.share
        shared += most.totals.flushes + most.totals.ipis + most.acquisitions
    shares = "; ".join(f"{setting} {share:.3f}" for setting, share in kept.items())
    return min(kept.values()) > 0.95 and not shared, (
        f"what each of 64 CPUs keeps of what a single one does, as shares of {LOWER}: {shares}; {shared:,} "
        "locks, IPIs and flushes of every TLB."
    )


@claim(
    "percpu_pinned",
    "what follows",
    "and pinning costs no throughput while there is other work",
    "What a short run loses is its end: the last tasks wait for one CPU while others idle. kmap_local and "
    "percpu_cached lose the same there. That is against perfect balance: tasks that are not pinned find any "
    "idle CPU at once, as from one queue for the machine, and setting the pin costs nothing.",
)
def pinning_costs_nothing(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether pinning costs nothing once the run is long."""
    short = g.at(BUILD, OLD, 4, allocator)
    # Ten times as long, so that the end, when few tasks are left, no longer counts.
    long = g.measure(BUILD.experiment(allocator, OLD, 4, 30_000))
    return long.share > 0.99, (
        f"{BUILD} on 4 CPUs of {OLD} reaches {short.share:.3f} of {LOWER}'s throughput with "
        f"{short.totals.operations:,} operations (tasks wait {short.totals.pin_waits:,} times for their own "
        f"CPU, CPUs idle {short.idle_percent:.1f} % of the time), and {long.share:.3f} with "
        f"{long.totals.operations:,} ({long.totals.pin_waits:,} times, {long.idle_percent:.1f} %)."
    )


@claim(
    "per_process",
    "R. van Riel, 2002",
    "it needs neither pinning nor a global flush",
    "Tasks of these traces have an address space each, for which it is made.",
)
def interrupts_nobody(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether nobody is interrupted or pinned, in any setting."""
    points = [g.at(*setting, allocator) for setting in g.settings()]
    flushes, waits = sum(p.totals.ipis for p in points), sum(p.totals.pin_waits for p in points)
    worst = max(points, key=lambda p: 1.0 - p.share)
    return not flushes and not waits, (
        f"{flushes:,} IPIs and {waits:,} waits for the own CPU in all {len(points)} settings, and at least "
        f"{worst.share:.3f} of {LOWER}'s throughput."
    )


@claim(
    "per_process",
    "M. J. Bligh, 2003, who measured it",
    "UKVA takes less system time than page tables in high memory",
    "The cache is the process's own, so no line of memory is shared, nobody is interrupted and a flush "
    "often comes for nothing with a switch. What was measured was all system time, 88.96 s against 90.16, "
    "which is 1.3 %; how much of that was mapping nobody said.",
)
def cheapest(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether its maps take less CPU time than those of any other design but `direct_map`."""
    column = g.column(BUILD, OLD, 16)
    own, _ = column.pop(allocator), column.pop(LOWER)
    best = min(column.values(), key=lambda p: p.dearer_us)
    return own.dearer_us < best.dearer_us, (
        f"in {BUILD} on 16 CPUs of {OLD} a map takes {own.dearer_us:.2f} us of CPU time; the next cheapest "
        f"is {best.allocator} with {best.dearer_us:.2f}."
    )


@claim(
    "per_process",
    "M. J. Bligh, 2003, who measured it",
    "and less than page tables in low memory",
    "Low memory is free here by definition, as a direct map is the bound. What probably made it dear in "
    "2003 - page tables all on the first node of a NUMA-Q - is no part of the machine.",
    wrong="model",
)
def cheaper_than_low_memory(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether its maps take less CPU time than the direct map."""
    own = g.at(BUILD, OLD, 16, allocator)
    return own.dearer_us < 0, f"{own.dearer_us:.2f} us a map more than {LOWER}, which is what low memory has."


@claim(
    "per_process",
    "what follows",
    "threads merely share the pool",
    "With many threads of one process it is the global pool again, with a lock, interrupts and, where slots "
    "are fewer than threads, a thundering herd at every unmap. It needs slots in proportion to threads.",
    wrong="expectation",
)
def threads_share_pool(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether many threads of one process do as well as many processes."""
    changes = {"tasks": THREADS, "threads_per_process": THREADS}
    few, many = (
        g.measure(replace(BUILD.experiment(allocator, OLD, 16, slots=slots), changes=changes))
        for slots in (4, 64)
    )
    return min(few.share, many.share) > 0.95, (
        f"{THREADS} threads of one process on 16 CPUs of {OLD} reach {many.share:.3f} of {LOWER}'s "
        f"throughput with 64 slots ({many.lock_wait_percent:.1f} % of CPU time spins, {many.totals.ipis:,} "
        f"IPIs), and {few.share:.3f} with 4 ({few.totals.sleeps:,} sleeps in {few.totals.operations:,} maps, "
        f"{few.totals.ipis:,} IPIs)."
    )


@claim(
    "per_process",
    "A. Arcangeli's userfixmap, 2002",
    "two slots and a semaphore are enough",
    "Enough for processes of one thread; others queue for the semaphore.",
)
def two_slots_suffice(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether two slots and a semaphore let nobody sleep."""
    fixmap = BUILD.experiment(allocator, OLD, 16, slots=2, cache="false", semaphore="true")
    single, threads = (
        g.measure(replace(fixmap, changes={"tasks": 48, "threads_per_process": each})) for each in (1, 16)
    )
    return single.totals.sleeps == 0 and single.share > 0.95, (
        f"{BUILD} on 16 CPUs of {OLD} reaches {single.share:.3f} of {LOWER}'s throughput with "
        f"{single.totals.sleeps:,} sleeps; with 16 threads to a process {threads.share:.3f} and "
        f"{threads.totals.sleeps:,} sleeps."
    )


@claim(
    "atomic",
    "I. Molnar and A. van de Ven",
    "where nobody may sleep, a slot per CPU is all there is to it",
    "On several CPUs it beats even a pool that always hits, by the more the more of them want its lock. On "
    "one CPU every line is in the cache and no lock is taken: there a hit costs less than a PTE, an "
    "invalidation and a walk.",
    wrong="expectation",
)
def atomic_cheaper_than_hits(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether an atomic map takes less CPU time than a hit in the pool."""
    own, cached = g.points(BYTE, OLD, 16, allocator, POOL)
    one, pool = g.points(BYTE, OLD, 1, allocator, POOL)
    return own.dearer_us < cached.dearer_us and one.dearer_us < pool.dearer_us, (
        f"{BYTE} on {OLD}: {own.dearer_us:.2f} us a map on 16 CPUs, the pool {cached.dearer_us:,.2f}; on one "
        f"CPU {one.dearer_us:.2f} and {pool.dearer_us:.2f}, where the pool hits {pool.hit_percent:.0f} % of "
        "the time."
    )


@claim(
    "atomic",
    "copy-user of Linux 2.5",
    "prefaulting keeps copies from sleeping under an atomic map",
    "What a nested fault would wait for is waited for before the map, as far as the trace lets the copy "
    "block; none of the three traces asks for more. A page that is taken away again in between would make "
    "the copy fail and be made again under a sleeping map.",
)
def never_sleeps_while_atomic(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether no task sleeps under an atomic map, in any setting."""
    points = [g.at(*setting, allocator) for setting in g.settings()]
    findings = sorted(name for p in points for name in p.findings)
    counted = count_findings(findings) if findings else "no finding"
    slept = sum(bool(p.findings) for p in points)
    return not slept, f"{slept} of {len(points)} settings have findings: {counted}."


@claim(
    "kmap_local",
    "what the design suggests",
    "the price is in the context switch, which has to take mappings out and put them back",
    "Few switches meet a mapping in force. What is paid is a walk and an invalidation for each map, as "
    "nothing is cached, and waiting for the own CPU, as with any pinned design.",
    wrong="expectation",
)
def switches_are_the_price(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether switches are a tenth of what walks and invalidations cost."""
    own, bound = g.points(BUILD, OLD, 16, allocator, LOWER)
    switched, bound_switched = (p.per_operation(p.cpu_ns("switch")) for p in (own, bound))
    switched -= bound_switched
    costs = load_profile(OLD).costs
    walked = own.per_operation(own.totals.walks) * costs["walk_ns"].value
    invalidated = own.per_operation(own.totals.local_flushes) * costs["invalidate_ns"].value
    return abs(switched) > 0.1 * (walked + invalidated), (
        f"in {BUILD} on 16 CPUs of {OLD} a map takes {own.dearer_us * 1e3:.0f} ns more than with {LOWER}: "
        f"about {walked:.0f} for page-table walks, {invalidated:.0f} for invalidations, {switched:.1f} for "
        f"switches; tasks wait {own.totals.pin_waits:,} times for their own CPU, "
        f"{own.totals.pin_wait_ns / 1e9:.2f} s in all."
    )
