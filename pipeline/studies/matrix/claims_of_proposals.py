"""What was said of proposals to change how a pool flushes or who shares it, of other systems, and of a bound.

See `claims` for what the words mean.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.machine.profile import load_profile
from pipeline.studies.experiment import change_costs
from pipeline.studies.matrix.claim import claim
from pipeline.studies.matrix.claims_of_kernels import FEW_SLOTS, OLD, POOL
from pipeline.studies.matrix.grid import BUILD, BYTE, FEWEST_FLUSHES, LOCAL, Grid
from pipeline.studies.point import ratio
from pipeline.studies.runner import LOWER


@claim(
    "deferred_flush",
    "H. Dickins",
    "the flush need not be made with the lock held",
    "The pass is still made with the lock held, unless `batch` releases it in between, and it is most of "
    "the longest hold where slots are dear to scan.",
)
@claim(
    "split_pool",
    "M. J. Bligh, 2002",
    "flushing one half while the other is used keeps the flush out of the lock",
    "Where passes and flushes are what the lock is held for, that is worth a great deal, more flushes "
    "included.",
)
def flushes_outside_lock(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether the longest hold is shorter than the pool's, where flushes are frequent."""
    pool, own = (g.measure(BUILD.experiment(d, "smp8-2002", 64, slots=FEW_SLOTS)) for d in (POOL, allocator))
    return own.longest_hold_us < pool.longest_hold_us, (
        f"{BUILD} with {FEW_SLOTS} slots on 64 CPUs of smp8-2002: the longest hold is "
        f"{own.longest_hold_us:,.0f} us, the pool's {pool.longest_hold_us:,.0f}; {own.share:.3f} of "
        f"{LOWER}'s throughput against {pool.share:.3f}, {own.totals.flushes:,} flushes against "
        f"{pool.totals.flushes:,}, {own.totals.sleeps:,} sleeps against {pool.totals.sleeps:,}."
    )


@claim(
    "deferred_flush",
    "what follows",
    "and so lets others do more",
    "As with split_pool: on that machine the hand-off of the lock is the price, and not the flush.",
    wrong="expectation",
)
@claim(
    "split_pool",
    "what follows",
    "and so lets a large machine do more",
    "On the NUMA-Q the lock's time goes to its hand-off between CPUs, at hits as at misses, which no "
    "arrangement of flushes touches; each half is used up sooner, so that flushes are more and hits fewer.",
    wrong="expectation",
)
def raises_throughput(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether throughput is better than the pool's, where flushes are frequent."""
    pool, own = (g.measure(BUILD.experiment(d, OLD, 16, slots=FEW_SLOTS)) for d in (POOL, allocator))
    return own.share > pool.share * 1.02, (
        f"{BUILD} with {FEW_SLOTS} slots on 16 CPUs of {OLD}: {own.share:.3f} of {LOWER}'s throughput, the "
        f"pool {pool.share:.3f}; {own.lock_wait_percent:.1f} % of CPU time spins, the pool's "
        f"{pool.lock_wait_percent:.1f}, though of its time only {pool.flush_percent:.1f} % goes to passes, "
        f"flushes and interrupts; {own.totals.flushes:,} flushes and {pool.totals.flushes:,}."
    )


@claim(
    "deferred_flush",
    "what follows",
    "and has nobody wait longer than for the flush",
    "A miss during the flush sleeps, and a woken task queues behind computing ones until they have had "
    "`preempt_after_ns` of their time slice. Shorter slices and clean slots in reserve both show it: it is "
    "the scheduler's price, not the flush's.",
    wrong="model",
)
def waits_no_longer(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether a map waits no longer than in the pool; and whether the scheduler is why."""
    deferred = BUILD.experiment(allocator, OLD, 16, slots=FEW_SLOTS)
    own, pool = g.measure(deferred), g.measure(BUILD.experiment(POOL, OLD, 16, slots=FEW_SLOTS))
    short = g.measure(replace(deferred, machine_changes=change_costs(timeslice_ns=1_000_000)))
    spare = g.measure(replace(deferred, options={"slots": FEW_SLOTS, "spare": 32}))
    return own.map_us < pool.map_us, (
        f"the same runs: a map waits {own.map_us:,.0f} us on the mean, in the pool {pool.map_us:,.0f}, as "
        f"tasks sleep {own.totals.sleeps:,} times, {own.totals.map_ns / max(own.totals.sleeps, 1) / 1e6:.1f} "
        f"ms of map time for each; with time slices of 1 ms {short.map_us:,.0f} us, and with flushes begun "
        f"while 32 slots are clean (`spare`) {spare.map_us:,.0f} us and {spare.totals.sleeps:,} sleeps."
    )


@claim(
    "percpu_cached",
    "linux-kernel, 2002",
    "a cache per CPU needs local flushes only, for 4 bytes per CPU in every struct page",
    "A page that several CPUs use misses once on each, which is far cheaper than one lock; memory is the "
    "price.",
)
def flushes_locally(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether nobody is interrupted, and a map takes less CPU time than in the pool."""
    own, pool = g.points(BUILD, OLD, 16, allocator, POOL)
    missed = own.totals.misses / max(pool.totals.misses, 1)
    return own.totals.ipis == 0 and own.dearer_us < pool.dearer_us, (
        f"{own.totals.ipis:,} IPIs, {own.totals.full_local_flushes:,} flushes of the own TLB; in {BUILD} on "
        f"16 CPUs of {OLD} it misses {missed:.2f} times as often as the pool and takes {own.dearer_us:.2f} "
        f"us a map, the pool {pool.dearer_us:.2f}. {own.page_struct_bytes} bytes in every struct page; for "
        f"32 CPUs and 16 GB {own.page_struct_bytes / own.cpus * 32 * 4.194304:.0f} MB."
    )


@claim(
    "percpu_cached",
    "what follows",
    "and is better than no cache",
    "The price of a pass per slot is derived from the pool that all CPUs write. A CPU's own slots are in "
    "its own cache; only struct page is shared. So that price is an upper bound here, and the answer hangs "
    "on it.",
    wrong="model",
)
def cheaper_than_no_cache(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether a cache per CPU takes less CPU time than none; and whether the pass is why."""
    own, bare = g.points(LOCAL, OLD, 16, allocator, "percpu_pinned")
    cheap = g.measure(
        replace(LOCAL.experiment(allocator, OLD, 16), machine_changes=change_costs(free_slot_ns=100))
    )
    price = load_profile(OLD).costs["free_slot_ns"].value
    return own.dearer_us < bare.dearer_us, (
        f"{LOCAL} on 16 CPUs of {OLD} takes {own.dearer_us:.2f} us a map, percpu_pinned without any cache "
        f"{bare.dearer_us:.2f}: a slot that is freed costs {price:,} ns there. At 100 ns, one CPU's price of "
        f"2004, it is {cheap.dearer_us:.2f}."
    )


@claim(
    "lockless_pool",
    "P. Zijlstra, January 2007",
    "without the lock it scales",
    "Much better, and not completely: an atomic count of one hot page is one line of memory for all CPUs, "
    "and the lock of the wait queue is left, which each last unmap of a page takes.",
)
def scales_without_lock(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether maps take less CPU time than with the lock, where it is contended."""
    own, pool = g.points(BUILD, OLD, 16, allocator, POOL)
    byte, locked = g.points(BYTE, OLD, 16, allocator, POOL)
    return own.dearer_us < pool.dearer_us and byte.dearer_us < locked.dearer_us, (
        f"{BUILD} on 16 CPUs of {OLD}: a map takes {own.map_us:.1f} us, in the pool "
        f"{ratio(pool.map_us, own.map_us):,.2f} times that, with {own.totals.flushes:,} flushes against "
        f"{pool.totals.flushes:,}; {BYTE} {byte.map_us:.1f} us, in the pool "
        f"{ratio(locked.map_us, byte.map_us):,.2f} times that; yet {byte.share:.3f} of {LOWER}'s throughput, "
        "as the one count goes from CPU to CPU."
    )


@claim(
    "lockless_pool",
    "what follows",
    "and costs nothing where the lock was not contended",
    "A batch of 32 slots is one flush of every TLB; the pool frees all it can with one. On a machine whose "
    "flush is dear the batch is far too small, as larger ones show.",
    wrong="expectation",
)
def free_where_uncontended(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether maps take no longer where the lock is not contended; and whether the batch is why."""
    own, pool = g.points(LOCAL, OLD, 64, allocator, POOL)
    whole = g.measure(LOCAL.experiment(allocator, OLD, 64, tlb_batch=1024))
    return own.map_us <= pool.map_us, (
        f"{LOCAL} on 64 CPUs of {OLD}, where {pool.lock_wait_percent:.1f} % of CPU time waits for the pool's "
        f"lock: {own.map_us:.1f} us a map, the pool {pool.map_us:.1f}, with {own.totals.flushes:,} flushes "
        f"against {pool.totals.flushes:,}. With batches of 1,024 slots in place of 32: {whole.map_us:.1f} "
        f"us, {whole.totals.flushes:,} flushes."
    )


@claim(
    "epoch_pool",
    "M. J. Bligh, July 2002",
    "where address spaces are switched, slots are reused for nothing",
    "On one CPU, whose switches are all there are. What is saved by the flush is partly paid in walks: its "
    "PTEs are not global.",
)
def switches_replace_flushes(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether one CPU needs no flush, and less CPU time than with the pool."""
    own, pool = g.points(LOCAL, OLD, 1, allocator, POOL)
    return own.dearer_us < pool.dearer_us and not own.totals.flushes, (
        f"{LOCAL} on one CPU of {OLD}: {own.totals.flushes:,} flushes, {own.totals.local_flushes:,} single "
        f"invalidations for {own.totals.misses:,} misses, {own.dearer_us:.2f} us a map, the pool "
        f"{pool.dearer_us:.2f}; {own.totals.walks - pool.totals.walks:+,} page-table walks."
    )


@claim(
    "epoch_pool",
    "M. J. Bligh, July 2002",
    "so that nearly no CPU need be interrupted",
    "Two things: tasks compute for milliseconds between switches while slots are reused all the time, so "
    "most CPUs have not switched; and one slot at a time pays an interrupt where the pool's flush serves a "
    "thousand. How rarely a CPU switches follows from the traces' waits, which nobody measured for the "
    "compile, and where TLBs tell address spaces apart (PCID) no switch helps. The idle CPUs are the "
    "implementation's: a kernel knows them to be lazy about their TLB and could leave their flush until they "
    "wake.",
    wrong="author",
)
def interrupts_fewer_cpus(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether fewer CPUs are interrupted than by the pool's flushes."""
    own, pool = g.points(BUILD, OLD, 16, allocator, POOL)
    idle, beside = g.points(LOCAL, OLD, 64, allocator, POOL)
    return own.totals.ipis < pool.totals.ipis and own.dearer_us < pool.dearer_us, (
        f"{BUILD} on 16 CPUs of {OLD}: {own.totals.ipis:,} IPIs against {pool.totals.ipis:,}, as "
        f"{own.totals.misses:,} misses meet {own.totals.switches:,} switches on all CPUs together; "
        f"{own.dearer_us:.1f} us a map against {pool.dearer_us:.1f}. {LOCAL} on 64 CPUs, which idle "
        f"{beside.idle_percent:.0f} % of the time: {idle.totals.ipis / max(idle.totals.flushes, 1):.1f} CPUs "
        f"interrupted for each of {idle.totals.flushes:,} reuses, and {idle.share:.3f} of {LOWER}'s "
        f"throughput, the pool {beside.share:.3f}."
    )


@claim(
    "sf_buf",
    "A. L. Cox, FreeBSD",
    "a mapping private to a CPU needs no shootdown",
    "Without it every miss interrupts every CPU, one address at a time, with the mutex held.",
)
def needs_no_shootdown(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether private mappings interrupt nobody and take less CPU time than shared ones."""
    private = BUILD.experiment(allocator, OLD, 16)
    own, shared = g.measure(private), g.measure(replace(private, options={"cpu_private": "false"}))
    return own.totals.ipis == 0 and own.dearer_us < shared.dearer_us, (
        f"{BUILD} on 16 CPUs of {OLD}: {own.totals.ipis:,} IPIs and {own.dearer_us:.0f} us a map; not "
        f"private, {shared.totals.ipis / max(shared.totals.misses, 1):.1f} IPIs for each of "
        f"{shared.totals.misses:,} misses and {shared.dearer_us:.0f} us."
    )


@claim(
    "sf_buf",
    "what follows",
    "a least recently used list keeps what is wanted, and so maps are cheaper",
    "They do keep it, and it gains nothing: the one mutex is the price, and each look-up holds it for "
    "longer than a pool's does.",
    wrong="expectation",
)
def lru_makes_maps_cheaper(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether maps take less CPU time than in the pool."""
    column = g.column(BUILD, OLD, 16)
    own, pool = column[allocator], column[POOL]
    best = max(column.values(), key=lambda p: p.hit_percent)
    return own.dearer_us < pool.dearer_us, (
        f"{own.hit_percent:.1f} % of maps hit, the pool's {pool.hit_percent:.1f} % (the best is "
        f"{best.allocator}'s {best.hit_percent:.1f} %), yet a map takes {own.dearer_us:.0f} us, the pool "
        f"{pool.dearer_us:.0f}: {own.lock_wait_percent:.1f} % of all CPU time waits for the mutex."
    )


@claim(
    FEWEST_FLUSHES,
    "what one might hope",
    "a better choice of what stays cached would save flushes",
    "The kernel's pool flushes nearly as late as any pool can; what is to be gained is in when and whom to "
    "flush, not in what to keep.",
    wrong="expectation",
)
def better_eviction_saves_flushes(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether the bound has a twentieth fewer flushes than the pool."""
    settings = g.settings()
    pool, best = (sum(g.at(*each, d).totals.flushes for each in settings) for d in (POOL, allocator))
    return pool - best > 0.05 * pool, (
        f"{pool - best:+,} of the pool's {pool:,} flushes in {len(settings)} settings would be saved."
    )


@claim(
    "mermap",
    "what follows",
    "a region of addresses for each process and CPU needs no lock, and interrupts nobody",
)
def fails_without_lock(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether nothing but maps that fail takes a lock, and nobody is interrupted."""
    points = [g.at(*each, allocator) for each in g.settings()]
    failed, maps = sum(p.totals.fallbacks for p in points), sum(p.maps for p in points)
    locks, ipis = sum(p.acquisitions for p in points), sum(p.totals.ipis for p in points)
    flushes = sum(p.totals.full_local_flushes for p in points)
    return locks == 2 * failed and not ipis, (
        f"{ipis:,} IPIs and {locks:,} acquisitions in {len(points)} settings, for {failed:,} of {maps:,} "
        f"maps that fail and use a pool; {flushes:,} flushes of the own TLB."
    )


@claim(
    "xen_mapcache",
    "Xen, xen/arch/x86/domain_page.c",
    "CPUs that flush themselves once they see a wrap need no interrupt, which makes maps cheaper",
)
def epochs_replace_interrupts(g: Grid, allocator: str) -> tuple[bool, str]:
    """Whether nobody is interrupted, and maps take less CPU time than with the pool."""
    points = [g.at(*each, allocator) for each in g.settings()]
    ipis, wraps = sum(p.totals.ipis for p in points), sum(p.totals.scans for p in points)
    flushes = sum(p.totals.full_local_flushes for p in points)
    at_once = sum(p.totals.scans * p.cpus for p in points)
    own, pool = g.points(BUILD, OLD, 16, allocator, POOL)
    return not ipis and own.dearer_us < pool.dearer_us, (
        f"{ipis:,} IPIs in {len(points)} settings; {wraps:,} wraps and {flushes:,} flushes of the own TLB, "
        f"where all CPUs at each wrap would make {at_once:,}. {BUILD} on 16 CPUs of {OLD}: "
        f"{own.dearer_us:.1f} us a map, the pool {pool.dearer_us:.1f}."
    )
