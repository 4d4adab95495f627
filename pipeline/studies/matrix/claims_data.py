"""What was said of each design, and the judgement of what comes out.

Sources are public mail on linux-kernel and linux-mm and the kernels' own source, as each design's module
names them; what nobody said in so many words is said to follow. A judgement holds for one answer only: it
disappears from the document when its runs say otherwise.
"""

from __future__ import annotations

from pipeline.studies.matrix.grid import FEWEST_FLUSHES
from pipeline.studies.matrix.predicates import (
    apart,
    apart_faster,
    atomic,
    atomic_cheap,
    cache_pays,
    cached_local,
    deferred_waits,
    epoch_many,
    epoch_one,
    few_flushes,
    global_flush,
    invlpg_everywhere,
    invlpg_one_cpu,
    local_switches,
    lock,
    lockless,
    lockless_idle,
    modern,
    pinned_free,
    process_cheapest,
    process_flush,
    process_low,
    process_threads,
    scales,
    series,
    sf_gain,
    sf_private,
    userfixmap,
)
from pipeline.studies.matrix.verdicts import Saying

SAYINGS: tuple[Saying, ...] = (
    Saying(
        "global_pool",
        "M. J. Bligh, March 2002",
        "one lock over all maps does not scale",
        lock,
        True,
        "nobody",
        "That compile is what the model is fitted to, so this is no news; that hits suffer as much is: "
        "no cache can help a lock whose hand-off is the price.",
    ),
    Saying(
        "global_pool",
        "linux-kernel, March 2002",
        "the global flush is what hurts",
        global_flush,
        False,
        "author",
        "Flushes are rare while the pool is larger than what is mapped between two wraps. They hurt "
        "when slots run out (claim b of claims.md), which these traces never do; what lockmeter showed "
        "as long holds under a flush is paid by those who spin, and so counts as the lock's.",
    ),
    Saying(
        "global_pool",
        "what is left of it in today's kernels",
        "a queued lock and fast IPIs make it do",
        modern,
        True,
        "nobody",
        "For a compile. The hot lock of one page is as hot as ever.",
    ),
    Saying(
        "series_pool",
        "A. Arcangeli, early 2002",
        "a series for page tables keeps nested maps from deadlock",
        series,
        True,
        "nobody",
        "The three traces come nowhere near such a deadlock; in the common metrics they are the pool "
        "with more slots and one flush for all.",
    ),
    Saying(
        "global_pool_invlpg",
        "A. Arcangeli, March 2002",
        "the pass with invlpg would take too long on all CPUs",
        invlpg_everywhere,
        True,
        "nobody",
        "Every CPU makes the pass, and the lock is held until the slowest is done.",
    ),
    Saying(
        "global_pool_invlpg",
        "the proposal for a laptop, March 2002",
        "on one CPU invlpg in the pass is cheaper than a flush",
        invlpg_one_cpu,
        False,
        "author",
        "A pass frees hundreds of slots and pays for each, when a TLB holds some tens of entries; only "
        "a pool about as small as the TLB, or a refill priced many times higher than anybody assumed, "
        "would turn it round. That a flush loses no other entry is what the refill's price stands for, "
        "and that price is assumed.",
    ),
    Saying(
        "percpu_pinned",
        "A. Arcangeli, March 2002",
        "it scales completely, without lock, IPI or flush",
        lambda g: scales("percpu_pinned", g),
        True,
        "nobody",
        "What it gives up is the cache: each map is a PTE, an invalidation and a walk, which is a constant.",
    ),
    Saying(
        "percpu_pinned",
        "what follows",
        "and pinning costs no throughput while there is other work",
        pinned_free,
        True,
        "nobody",
        "What a short run loses is its end: the last tasks wait for one CPU while others idle. "
        "kmap_local and percpu_cached lose the same there.",
    ),
    Saying(
        "per_process",
        "R. van Riel, 2002",
        "it needs neither pinning nor a global flush",
        process_flush,
        True,
        "nobody",
        "Tasks of these traces have an address space each, for which it is made.",
    ),
    Saying(
        "per_process",
        "M. J. Bligh, 2003, who measured it",
        "UKVA takes less system time than page tables in high memory",
        process_cheapest,
        True,
        "nobody",
        "The cache is the process's own, so no line of memory is shared, nobody is interrupted and a "
        "flush often comes for nothing with a switch.",
    ),
    Saying(
        "per_process",
        "M. J. Bligh, 2003, who measured it",
        "and less than page tables in low memory",
        process_low,
        False,
        "model",
        "Low memory is free here by definition, as a direct map is the bound. What probably made it dear in "
        "2003 - page tables all on the first node of a NUMA-Q - is no part of the machine.",
    ),
    Saying(
        "per_process",
        "what follows",
        "threads merely share the pool",
        process_threads,
        False,
        "expectation",
        "With many threads of one process it is the global pool again, with a lock, interrupts and, "
        "where slots are fewer than threads, a thundering herd at every unmap. It needs slots in "
        "proportion to threads.",
    ),
    Saying(
        "per_process",
        "A. Arcangeli's userfixmap, 2002",
        "two slots and a semaphore are enough",
        userfixmap,
        True,
        "nobody",
        "Enough for processes of one thread; others queue for the semaphore.",
    ),
    Saying(
        "atomic",
        "I. Molnar and A. van de Ven",
        "where nobody may sleep, a slot per CPU is all there is to it",
        atomic_cheap,
        True,
        "nobody",
        "It beats even a pool that always hits: a locked look-up of shared entries costs more than a "
        "PTE, an invalidation and a walk.",
    ),
    Saying(
        "atomic",
        "copy-user of Linux 2.5",
        "prefaulting keeps copies from sleeping under an atomic map",
        atomic,
        True,
        "nobody",
        "What a nested fault would wait for is waited for before the map, as far as the trace lets the copy "
        "block; none of the three traces asks for more. A page that is taken away again in between would "
        "make the copy fail and be made again under a sleeping map.",
    ),
    Saying(
        "kmap_local",
        "what the design suggests",
        "the price is in the context switch, which has to take mappings out and put them back",
        local_switches,
        False,
        "expectation",
        "Few switches meet a mapping in force. What is paid is a walk and an invalidation for each map, "
        "as nothing is cached, and waiting for the own CPU, as with any pinned design.",
    ),
    Saying(
        "split_pool",
        "M. J. Bligh, 2002",
        "flushing one half while the other is used keeps the flush out of the lock",
        lambda g: apart("split_pool", g),
        True,
        "nobody",
        "Where passes and flushes are what the lock is held for, that is worth a great deal, more "
        "flushes included.",
    ),
    Saying(
        "split_pool",
        "what follows",
        "and so lets a large machine do more",
        lambda g: apart_faster("split_pool", g),
        False,
        "expectation",
        "On the NUMA-Q the lock's time goes to its hand-off between CPUs, at hits as at misses, which "
        "no arrangement of flushes touches; each half is used up sooner, so that flushes are more and "
        "hits fewer.",
    ),
    Saying(
        "deferred_flush",
        "H. Dickins",
        "the flush need not be made with the lock held",
        lambda g: apart("deferred_flush", g),
        True,
        "nobody",
        "The pass is still made with the lock held, unless `batch` releases it in between, and it is "
        "most of the longest hold where slots are dear to scan.",
    ),
    Saying(
        "deferred_flush",
        "what follows",
        "and so lets others do more",
        lambda g: apart_faster("deferred_flush", g),
        False,
        "expectation",
        "As with split_pool: on that machine the hand-off of the lock is the price, and not the flush.",
    ),
    Saying(
        "deferred_flush",
        "what follows",
        "and has nobody wait longer than for the flush",
        deferred_waits,
        False,
        "model",
        "A miss during the flush sleeps, and in this machine a woken task queues behind computing ones, "
        "for up to a time slice each; Linux 2.4 would mostly let it preempt them. Shorter slices and "
        "clean slots in reserve both show it: it is the scheduler's price, not the flush's.",
    ),
    Saying(
        "percpu_cached",
        "linux-kernel, 2002",
        "a cache per CPU needs local flushes only, for 4 bytes per CPU in every struct page",
        cached_local,
        True,
        "nobody",
        "A page that several CPUs use misses once on each, which is far cheaper than one lock; memory "
        "is the price.",
    ),
    Saying(
        "percpu_cached",
        "what follows",
        "and is better than no cache",
        cache_pays,
        False,
        "model",
        "The price of a pass per slot is derived from the pool that all CPUs write. A CPU's own slots "
        "are in its own cache; only struct page is shared. So that price is an upper bound here, and "
        "the answer hangs on it.",
    ),
    Saying(
        "lockless_pool",
        "P. Zijlstra, January 2007",
        "without the lock it scales",
        lockless,
        True,
        "nobody",
        "Much better, and not completely: an atomic count of one hot page is one line of memory for all "
        "CPUs.",
    ),
    Saying(
        "lockless_pool",
        "what follows",
        "and costs nothing where the lock was not contended",
        lockless_idle,
        False,
        "expectation",
        "A batch of 32 slots is one flush of every TLB; the pool frees all it can with one. On a "
        "machine whose flush is dear the batch is far too small, as larger ones show.",
    ),
    Saying(
        "epoch_pool",
        "M. J. Bligh, July 2002",
        "where address spaces are switched, slots are reused for nothing",
        epoch_one,
        True,
        "nobody",
        "On one CPU, whose switches are all there are. What is saved by the flush is partly paid in "
        "walks: its PTEs are not global.",
    ),
    Saying(
        "epoch_pool",
        "M. J. Bligh, July 2002",
        "so that nearly no CPU need be interrupted",
        epoch_many,
        False,
        "author",
        "Two things: tasks compute for milliseconds between switches while slots are reused all the time, so "
        "most CPUs have not switched; and one slot at a time pays an interrupt "
        "where the pool's flush serves a thousand. The idle CPUs are the implementation's: a kernel "
        "knows them to be lazy about their TLB and could leave their flush until they wake.",
    ),
    Saying(
        "sf_buf",
        "A. L. Cox, FreeBSD",
        "a mapping private to a CPU needs no shootdown",
        sf_private,
        True,
        "nobody",
        "Without it every miss interrupts every CPU, one address at a time, with the mutex held.",
    ),
    Saying(
        "sf_buf",
        "what follows",
        "a least recently used list keeps what is wanted, and so maps are cheaper",
        sf_gain,
        False,
        "expectation",
        "They do keep it, and it gains nothing: the one mutex is the price, and each look-up holds it "
        "for longer than a pool's does.",
    ),
    Saying(
        FEWEST_FLUSHES,
        "what one might hope",
        "a better choice of what stays cached would save flushes",
        few_flushes,
        False,
        "expectation",
        "The kernel's pool flushes nearly as late as any pool can; what is to be gained is in when and "
        "whom to flush, not in what to keep.",
    ),
)
