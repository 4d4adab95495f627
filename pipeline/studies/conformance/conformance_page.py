"""The chapters of docs/validation.md on recordings of a real pool, with figures found as they are written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.importing.kmap_pool.recordings import read_pool_events, recording_path
from pipeline.io.tables import markdown_table
from pipeline.io.toml_overrides import apply_overrides
from pipeline.machine.profile import profile_path
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.free_running import Comparison, Count, flush_ns, verify_free
from pipeline.studies.conformance.lockstep import verify
from pipeline.studies.experiment import change_costs
from pipeline.studies.verdict import cell

RECORDINGS = ("wrap16", "kcsleep2")
ALLOCATOR = "global_pool"
KERNEL = {"slots": "512", "flush_if_any": "true"}
MACHINE = "smp4-2002"
SEEDS = (0, 1, 2)
# Of the recorded mean length of a flush: what counts as about as long.
AS_RECORDED = (0.9, 0.95, 1.0, 1.05, 1.1)
_STRETCHED = {0.97: "tasks sleep 3 % shorter while mapped", 1.03: "tasks sleep 3 % longer while mapped"}
_STEEP = ("scans", "TLB flushes", "sleeps")
_MOST_HELD = "most mappings held at once"
# Near exhaustion, where the counts hang on the machine.
_NEAR = "kcsleep2"
_FAR = "wrap16"


def write_conformance() -> str:
    """Return both chapters as Markdown; takes some seconds."""
    return _lock_step() + "\n" + _free_running()


def _lock_step() -> str:
    found = {name: verify(recording_path(name), allocator=ALLOCATOR, options=KERNEL) for name in RECORDINGS}
    what = list(dict.fromkeys(key for agreement in found.values() for key in agreement.compared))
    rows = [[key, *(_agree(found[name], key) for name in RECORDINGS)] for key in what]
    rows.append(["**differences**", *(f"**{found[name].differing.total():,}**" for name in RECORDINGS)])
    under_way = sum(agreement.compared["wake-ups under way"] for agreement in found.values())
    given = " ".join(f"--set {key}={value}" for key, value in KERNEL.items())
    return f"""## Lock-step against a real kernel

`pipeline study kernel NAME --allocator {ALLOCATOR} {given}` gives the pool that `replay` runs the lock in the
order in which a real kernel (Linux 6.1, 32-bit with PAE, 512 slots, 4 CPUs) gave it, and compares what
each then does. Nothing is priced and nothing is left to chance here: any difference would be a mistake.

{markdown_table(["compared", *RECORDINGS], rows)}
What the lock does not order is when a wake-up takes effect: an unmap wakes the sleepers after it has let
the lock go. Tasks that only a wake-up still under way can have woken are accepted and counted apart;
there were {under_way}.

Broken copies of the pool, each with one mistake, are caught by
`tests/studies/conformance/test_lockstep.py`. No other kernel's recording is shipped;
`tests/studies/conformance/test_other_kernels.py` instead tries recordings that a model of the kernel makes:
other sizes, sleepers by the thousand, recordings that begin or end in the middle,
lost events, scans outside of any mapping, and the text that kernels 5.10 and 6.1 print.
"""


def _agree(agreement: Agreement, what: str) -> str:
    number = agreement.compared[what]
    wrong = agreement.differing[what.partition(",")[0]]
    return (f"{number:,}" + (f" ({wrong:,} differ)" if wrong else "")) if number else "-"


def _free_running() -> str:
    plain = {name: _free(name) for name in RECORDINGS}
    near = plain[_NEAR].manifest
    head = ["", *(f"{name}: {column}" for name in RECORDINGS for column in ("kernel", "simulated", "ratio"))]
    rows = [
        [count.what, *(text for name in RECORDINGS for text in _cells(plain[name].count(count.what)))]
        for count in plain[_NEAR].counts
    ]
    return f"""## Free-running against the same recordings

Replayed as a trace, a recording gives what each task did and how long it took, and the simulated machine
decides who comes first. Machine {MACHINE} with {near.machine.cpus} CPUs, {near.loop} loop, seed
{near.seed}, as `pipeline study kernel NAME --free` does it:

{markdown_table(head, rows)}
{_explanation(plain)}"""


def _cells(count: Count) -> list[str]:
    return [cell(count, column) for column in ("kernel:,", "simulated:,", "ratio:.2f")]


def _explanation(plain: dict[str, Comparison]) -> str:
    near = plain[_NEAR]
    recorded_ns = round(flush_ns(read_pool_events(recording_path(_NEAR))))
    slow = [
        (factor, _replay_slow_flushes(round(recorded_ns * factor), seed))
        for factor in (0.5, *AS_RECORDED, 2.0)
        for seed in (SEEDS if factor == 1.0 else SEEDS[:1])
    ]
    rows = [["kernel", *_count(near, kernel=True)]]
    rows += [
        [f"as above, seed {run.manifest.seed}", *_count(run)]
        for run in (near, *(_free(_NEAR, seed=seed) for seed in SEEDS[1:]))
    ]
    rows += [
        [
            f"a flush waits {recorded_ns * factor / 1e6:.2f} ms for its answers, seed {run.manifest.seed}",
            *_count(run),
        ]
        for factor, run in slow
    ]
    rows += [[what, *_count(_free(_NEAR, scale_block=factor))] for factor, what in _STRETCHED.items()]
    flush, mapping = near.count("a flush, mean us"), near.count("asked to mapped, mean us")
    before = ", ".join(f"{what} {_ratio(near, what):.2f}" for what in _STEEP)
    after = ", ".join(
        f"{what} {_range([_ratio(run, what) for factor, run in slow if factor in AS_RECORDED])}"
        for what in _STEEP
    )
    most_far, most_near = (plain[name].count(_MOST_HELD).kernel for name in (_FAR, _NEAR))
    return f"""Far from exhaustion ({_FAR}: at most {most_far} of {KERNEL["slots"]} slots held at
once) the counts follow from the sequence of pages alone, and another interleaving moves only a few pages from
one pass to the next.

Near exhaustion ({_NEAR}: up to {most_near} mappings in force, of pages partly the same) they hang on
the machine. A scan frees what was unmapped since the scan before, so it takes the fewer scans for as many
misses the more unmaps come between two of them. Each unmap that leaves a page unused wakes all sleepers;
those that find nothing scan and sleep again. The recording's machine is emulated: a flush, which holds
the lock until every CPU has answered, took {flush.kernel:,} us in the mean there and takes
{flush.simulated:,} us on {MACHINE}; from asking to being mapped took {mapping.kernel:,} us there and
{mapping.simulated:,} us here. While the lock is held the unmaps wait for it. Then they come all at once,
and the herd they wake finds more than one slot.

One change at a time shows it ({_NEAR}, {MACHINE}, {near.manifest.loop} loop, seed {SEEDS[0]} unless
named):

{markdown_table(["", "scans", "TLB flushes", "sleeps", "most held at once"], rows)}
With every price as it is, simulated / kernel is: {before}. With flushes about as long as the recorded
ones (the profile's `ipi_latency_ns` set to {min(AS_RECORDED):.0%} to {max(AS_RECORDED):.0%} of their
mean, {recorded_ns:,} ns) it is: {after}. So the length of a flush explains most of the difference, and
what is left is of the size by which seeds and small changes of that length move the counts: one mean
stands for flushes of very different lengths, and the emulator's other delays are not in it. {MACHINE}
keeps its own price; milliseconds for a flush are the emulator's.

Two more things were looked at. The counts are steep in the length of holds (last rows), and the recorded
ones include the wait for the lock at the unmap, because the recording has no event before it. And the
time from asking to being mapped, the kernel's own sleep for a slot with it, is in no column of the trace:
nothing is waited for twice.
"""


def _free(name: str, machine: str = MACHINE, seed: int = 0, scale_block: float = 1.0) -> Comparison:
    return verify_free(
        recording_path(name),
        allocator=ALLOCATOR,
        machine=machine,
        options=KERNEL,
        seed=seed,
        scale_block=scale_block,
    )


def _replay_slow_flushes(latency_ns: int, seed: int) -> Comparison:
    """Replay with the same machine but for the time until an interrupt is answered."""
    with tempfile.TemporaryDirectory() as folder:
        changes = change_costs(ipi_latency_ns=latency_ns)
        return _free(
            _NEAR, machine=str(apply_overrides(profile_path(MACHINE), changes, Path(folder))), seed=seed
        )


def _count(comparison: Comparison, kernel: bool = False) -> list[str]:
    counts = [comparison.count(what) for what in (*_STEEP, _MOST_HELD)]
    return [f"{count.kernel if kernel else count.simulated:,}" for count in counts]


def _ratio(comparison: Comparison, what: str) -> float:
    return comparison.count(what).ratio or 0.0


def _range(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"
