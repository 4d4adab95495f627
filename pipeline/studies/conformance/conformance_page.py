"""The chapters of docs/validation.md on recordings of a real pool, with figures found as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.importing.kmap_pool.recordings import read_pool_events, recording_path
from pipeline.io.scratch import ScratchDirectory
from pipeline.io.tables import markdown_table
from pipeline.io.toml_overrides import apply_overrides
from pipeline.machine.profile import load_profile
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.free_running import Comparison, flush_ns, verify_free
from pipeline.studies.conformance.lockstep import verify
from pipeline.studies.conformance.machine_fit import BASE as MACHINE
from pipeline.studies.conformance.machine_fit import fit_machine
from pipeline.studies.experiment import change_costs

RECORDINGS = ("wrap16", "kcsleep2")
ALLOCATOR = "global_pool"
KERNEL = {"slots": "512", "flush_if_any": "true"}
SEEDS = (0, 1, 2)
# Other lengths of a flush, by the recorded mean.
_FLUSHES = (0.5, 0.9, 1.1, 2.0)
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
`tests/studies/conformance/test_lacking_fields.py` takes each field and each kind of event away from these two
recordings, and any two from one of the model: what is lost is listed, and the rest still agrees.
"""


def _agree(agreement: Agreement, what: str) -> str:
    number = agreement.compared[what]
    wrong = agreement.differing[what.partition(",")[0]]
    return (f"{number:,}" + (f" ({wrong:,} differ)" if wrong else "")) if number else "-"


def _free_running() -> str:
    runs = {name: [_free(name, seed=seed) for seed in SEEDS] for name in RECORDINGS}
    first = runs[_NEAR][0].manifest
    head = ["", *(f"{name}: {column}" for name in RECORDINGS for column in ("kernel", "simulated", "ratio"))]
    rows = [
        [count.what, *(text for name in RECORDINGS for text in _mean_cells(runs[name], count.what))]
        for count in runs[_NEAR][0].counts
    ]
    return f"""## Free-running against the same recordings

Replayed as a trace, a recording gives what each task did and how long it took, and the simulated machine
decides who comes first. Its prices are those that `pipeline fit-machine` measures in the recording, and
{MACHINE}'s where the recording tells none; {first.machine.cpus} CPUs, {first.loop} loop, means of seeds
{", ".join(map(str, SEEDS))}, as `pipeline study kernel NAME --free` does it:

{markdown_table(head, rows)}
{_list_prices(runs)}
{_explanation(runs)}"""


def _mean_cells(runs: list[Comparison], what: str) -> list[str]:
    kernel = runs[0].count(what).kernel
    simulated = float(np.mean([run.count(what).simulated for run in runs]))
    return [f"{kernel:,}", f"{simulated:,.0f}", f"{simulated / kernel:.2f}" if kernel else "-"]


def _list_prices(runs: dict[str, list[Comparison]]) -> str:
    rows, lacking = [], []
    for name, (run, *_) in runs.items():
        assert run.fit is not None
        for one in run.fit.measured.values():
            lower, median, upper = one.quartiles_ns
            rows.append(
                [
                    name, one.cost, f"{one.value:,}", f"{len(one.times_ns):,}", f"{median:,.0f}",
                    f"{lower:,.0f} to {upper:,.0f}", one.what,
                ]
            )  # fmt: skip
        lacking += [f"- {name}: {cost}: {why}" for cost, why in run.fit.lacking.items()]
    head = ["recording", "cost", "ns", "events", "median", "quartiles", "measured"]
    return (
        f"What was measured, and what could not be:\n\n{markdown_table(head, rows)}\n"
        + "\n".join(lacking)
        + "\n"
    )


def _explanation(runs: dict[str, list[Comparison]]) -> str:
    near = runs[_NEAR]
    named = _free(_NEAR, machine=MACHINE)
    recorded_ns = flush_ns(read_pool_events(recording_path(_NEAR)))
    rows = [["kernel", *_count(near[0], kernel=True)]]
    rows += [[f"measured prices, seed {run.manifest.seed}", *_count(run)] for run in near]
    rows += [
        [f"a flush takes {factor:.0%} of its mean", *_count(_change_flush(factor * recorded_ns))]
        for factor in _FLUSHES
    ]
    rows += [[what, *_count(_free(_NEAR, scale_block=factor))] for factor, what in _STRETCHED.items()]
    rows.append([f"all prices those of {MACHINE}", *_count(named)])
    ratios = {what: [_ratio(run, what) for run in near] for what in _STEEP}
    after = ", ".join(f"{what} {np.mean(found):.2f} ({_range(found)})" for what, found in ratios.items())
    before = ", ".join(f"{what} {_ratio(named, what):.2f}" for what in _STEEP)
    flush = named.count("a flush, mean us")
    most_far, most_near = (runs[name][0].count(_MOST_HELD).kernel for name in (_FAR, _NEAR))
    return f"""Far from exhaustion ({_FAR}: at most {most_far} of {KERNEL["slots"]} slots held at
once) the counts follow from the sequence of pages alone, and another interleaving moves only a few pages from
one pass to the next.

Near exhaustion ({_NEAR}: up to {most_near} mappings in force, of pages partly the same) they hang on
the machine. A scan frees what was unmapped since the scan before, so it takes the fewer scans for as many
misses the more unmaps come between two of them. Each unmap that leaves a page unused wakes all sleepers;
those that find nothing scan and sleep again. While a flush holds the lock the unmaps wait for it. Then they
come all at once, and the herd they wake finds more than one slot. The recording's machine is emulated: a
flush took {flush.kernel:,} us in the mean there, and takes {flush.simulated:,} us by {MACHINE}'s own prices.

One change at a time shows it ({_NEAR}, seed {SEEDS[0]} unless named):

{markdown_table(["", "scans", "TLB flushes", "sleeps", "most held at once"], rows)}
Simulated / kernel, mean and range over the seeds, is with measured prices: {after}. With {MACHINE}'s own it
is: {before}. The counts are steep in the length of a flush and of holds, sleeps most of all, so single seeds
scatter; a mean stands for flushes of very different lengths, and the emulator's other delays are not in it.

What the prices cannot make right: from asking to being mapped took
{near[0].count("asked to mapped, mean us").kernel:,} us in the mean and takes
{near[0].count("asked to mapped, mean us").simulated:,} us here, because a sleeper that was woken waited
longer for a CPU there (`fit-machine` says how long). And recorded holds include the wait for the lock at the
unmap, because the recording has no event before it. The time from asking to being mapped, the kernel's own
sleep for a slot with it, is in no column of the trace: nothing is waited for twice.
"""


def _free(name: str, machine: str | None = None, seed: int = 0, scale_block: float = 1.0) -> Comparison:
    return verify_free(
        recording_path(name),
        allocator=ALLOCATOR,
        machine=machine,
        options=KERNEL,
        seed=seed,
        scale_block=scale_block,
    )


def _change_flush(mean_ns: float) -> Comparison:
    """Replay on the machine with measured prices but for the length of a flush."""
    fit = fit_machine(recording_path(_NEAR), MACHINE)
    with ScratchDirectory() as folder:
        profile = Path(folder) / "measured.toml"
        fit.write(profile)
        price = load_profile(str(profile)).costs["ipi_latency_ns"].value
        recorded_ns = float(fit.measured["ipi_latency_ns"].times_ns.mean())
        changes = change_costs(ipi_latency_ns=max(round(price + mean_ns - recorded_ns), 0))
        changed = Path(folder) / "changed"
        changed.mkdir()
        return _free(_NEAR, machine=str(apply_overrides(profile, changes, changed)))


def _count(comparison: Comparison, kernel: bool = False) -> list[str]:
    counts = [comparison.count(what) for what in (*_STEEP, _MOST_HELD)]
    return [f"{count.kernel if kernel else count.simulated:,}" for count in counts]


def _ratio(comparison: Comparison, what: str) -> float:
    return comparison.count(what).ratio or 0.0


def _range(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"
