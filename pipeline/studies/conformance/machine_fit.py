"""Measure a machine's costs in a recording of the kernel's pool, and inherit the others from a profile.

A flush waits for all CPUs with the lock held, and its duration varies widely. Its cost is the mean, so that a
run spends as much time on flushes as the kernel. All other actions are short, unless something else takes the
CPU, so their cost is the median. All costs include the overhead of the recording probes, as in the recorded
run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tomlkit

from pipeline.errors import InputError, UsageError
from pipeline.importing.kmap_pool import durations
from pipeline.importing.kmap_pool.events import (
    EVENTS,
    FLUSH,
    NONE,
    PAGE_ADDRESS,
    SCAN,
    PoolEvents,
    split_at_gaps,
)
from pipeline.importing.kmap_pool.recordings import read_pool_events
from pipeline.io.files import complete_file
from pipeline.io.tables import align_columns
from pipeline.machine.costs import COST_KINDS
from pipeline.machine.profile import Profile, load_profile
from pipeline.schema.manifest import is_assumed

BASE = "smp4-2002"
FEWEST = 5
"""Fewest events from which a cost is measured."""
# Numbers of slots probed by a short and a long miss; their difference gives the cost of a probe.
_FEW_PROBES, _MANY_PROBES = 3, 32


@dataclass(frozen=True)
class Measured:
    """A measured cost; `times_ns` has a duration for each event, in the unit of the cost."""

    cost: str
    value: int
    what: str
    times_ns: np.ndarray
    rule: str

    @property
    def quartiles_ns(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile."""
        lower, median, upper = np.quantile(self.times_ns, [0.25, 0.5, 0.75])
        return float(lower), float(median), float(upper)

    def source(self, recording: str) -> str:
        """Source of the cost, for a profile."""
        lower, median, upper = map(_number, self.quartiles_ns)
        return (
            f"measured: {len(self.times_ns):,} events of {recording}, median {median}, quartiles "
            f"{lower}-{upper} ns, {self.what}; {self.rule}"
        )


@dataclass
class MachineFit:
    """The costs measured in a recording; `lacking` says why others could not be measured."""

    recording: Path
    base: Profile
    cpus: int
    measured: dict[str, Measured] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def inherited(self) -> list[str]:
        """Costs inherited from the base profile."""
        return [name for name in COST_KINDS if name not in self.measured]

    def text(self) -> str:
        """Tabulate the measured costs for the terminal, followed by the missing ones."""
        head = ("cost", "ns", "events", "median", "quartiles", "measured")
        rows = [
            (one.cost, f"{one.value:,}", f"{len(one.times_ns):,}", median, f"{lower} to {upper}", one.what)
            for one in self.measured.values()
            for lower, median, upper in [tuple(map(_number, one.quartiles_ns))]
        ]
        lines = align_columns([head, *rows]) if rows else "nothing could be measured\n"
        for cost, why in self.lacking.items():
            lines += f"  not measured: {cost}: {why}\n"
        lines += "".join(f"  note: {note}\n" for note in self.notes)
        return f"{lines}  inherited from {self.base.name}: {', '.join(self.inherited)}\n"

    def write(self, output: Path) -> None:
        """Write the profile (TOML). Raises OutputError."""
        recording, base = self.recording.name, self.base
        profile = base.with_cpus(self.cpus)
        document = tomlkit.document()
        document.add("name", tomlkit.item(output.name.removesuffix(".toml")))
        document.add(
            "summary",
            tomlkit.item(f"{len(self.measured)} costs measured in {recording}, the others from {base.name}"),
        )
        document.add("cpus", tomlkit.item(profile.cpus))
        document.add("nodes", tomlkit.item(profile.nodes))
        document.add("arbitration", tomlkit.item(profile.arbitration))
        document.add("arbitration_source", tomlkit.item(_inherit(profile.arbitration_source, base.name)))
        costs = tomlkit.table(is_super_table=True)
        for name, cost in profile.costs.items():
            table = tomlkit.table()
            one = self.measured.get(name)
            table.add("value", one.value if one else cost.value)
            table.add("source", one.source(recording) if one else _inherit(cost.source, base.name))
            costs.add(name, table)
        document.add("costs", costs)
        text = "# Machine profile, written by `pipeline fit-machine`: every cost with its source.\n"
        with complete_file(output) as temporary:
            temporary.write_text(text + tomlkit.dumps(document), encoding="utf-8")


def fit_machine(recording: Path, base: str = BASE, tsc_ghz: float | None = None) -> MachineFit:
    """Measure the costs of the machine on which a recording of the kernel's pool was made.

    `recording` is `*.kmap.parquet` or raw tracefs text. Times in ticks require the rate `tsc_ghz`. `base` is
    the name or path of the profile for the other costs. Raises InputError for a recording that cannot be read
    or has no times, UsageError if the rate is missing, and the errors of loading a profile.
    """
    path = Path(recording)
    return measure_prices(read_pool_events(path, with_scheduler=True), load_profile(base), tsc_ghz)


def measure_prices(events: PoolEvents, base: Profile, tsc_ghz: float | None = None) -> MachineFit:
    """Measure the costs of the machine in recorded events; see `fit_machine`."""
    if (events.time == NONE).any():
        raise InputError(
            f"{events.path}: expected a time with each event (time_ns) to measure the costs of the machine; "
            "record it, or use an existing profile (--machine)"
        )
    if events.in_ticks and tsc_ghz is None:
        raise UsageError(
            f"{events.path}: times are ticks of the time-stamp counter; give its rate with --tsc-ghz"
        )
    rate = tsc_ghz if events.in_ticks and tsc_ghz else 1.0
    cpus = max(int(events.cpu.max()), 0) + 1
    return _Measuring(events, MachineFit(events.path, base, cpus), rate).fit


class _Measuring:
    """Measures the costs one after another; later ones use earlier ones."""

    def __init__(self, events: PoolEvents, fit: MachineFit, ticks_per_ns: float) -> None:
        self.events, self.fit = events, fit
        self.parts = [part for part in split_at_gaps(events) if len(part.code) > 1]
        self.ticks_per_ns = ticks_per_ns
        self.prices = {name: cost.value for name, cost in fit.base.costs.items()}
        # A hit and a miss both start by taking the lock.
        self.lock_ns = self.prices["atomic_ns"] + self.prices["line_transfer_ns"] if fit.cpus > 1 else 0
        self._measure_holds()
        self._measure_scans()
        self._measure_flushes()
        self._measure_sleeps()

    def _times(self, of: Callable[[PoolEvents], np.ndarray]) -> np.ndarray:
        """Durations of all parts, in nanoseconds."""
        return self._numbers(of) / self.ticks_per_ns

    def _numbers(self, of: Callable[[PoolEvents], np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *(of(part) for part in self.parts)])

    def _add(self, cost: str, value: float, what: str, times_ns: np.ndarray, rule: str) -> None:
        kind = COST_KINDS[cost]
        self.prices[cost] = int(min(max(round(value), kind.minimum), kind.maximum))
        self.fit.measured[cost] = Measured(cost, self.prices[cost], what, times_ns, rule)

    def _lack(self, cost: str, number: int, what: str) -> None:
        self.fit.lacking[cost] = f"{number:,} {what}; at least {FEWEST} are required"

    def _measure_holds(self) -> None:
        """A hit holds the lock for two shared entries (page and slot); a miss adds the other costs."""
        hits = (self._times(durations.hit_times) - self.lock_ns) / 2
        if len(hits) < FEWEST:
            self._lack("shared_entry_ns", len(hits), "hits with no other event in between")
        else:
            rule = f"half of a hit's time minus {self.lock_ns:,} ns for the lock; the value is the median"
            self._add("shared_entry_ns", float(np.median(hits)), "per entry", hits, rule)
        if (self.events.slot == NONE).all() or PAGE_ADDRESS in self.events.unrecorded:
            self.fit.lacking["probe_ns, pte_write_ns"] = "requires spa (a page's new address) and slots"
            return
        took = self._times(lambda part: durations.miss_times(part).took_ns)
        probes = self._numbers(lambda part: durations.miss_times(part).probes)
        few, many = probes <= _FEW_PROBES, probes >= _MANY_PROBES
        if min(few.sum(), many.sum()) < FEWEST:
            what = f"misses with {_MANY_PROBES} probes or more and {few.sum():,} with up to {_FEW_PROBES}"
            self._lack("probe_ns", int(many.sum()), what)
        else:
            each = (took[many] - np.median(took[few])) / (probes[many] - probes[few].mean())
            rule = "additional time of a miss that probed many slots; the value is the median"
            self._add("probe_ns", float(np.median(each)), "per slot probed", each, rule)
        if len(took) < FEWEST:
            self._lack("pte_write_ns", len(took), "misses with no other event in between")
            return
        known = self.lock_ns + 2 * self.prices["shared_entry_ns"]
        rest = took - known - probes * self.prices["probe_ns"]
        rule = (
            f"a miss's time minus {known:,} ns for lock and entries and its probes; the value is the median"
        )
        self._add("pte_write_ns", float(np.median(rest)), "per miss", rest, rule)

    def _measure_scans(self) -> None:
        slots = int(self.events.slot.max()) + 1
        both = "scan_slot_ns, free_slot_ns"
        if {SCAN, PAGE_ADDRESS} & self.events.unrecorded or not slots:
            self.fit.lacking[both] = "requires fz (a scan), spa (an eviction) and slots"
            return
        took = self._times(lambda part: durations.scan_times(part).took_ns)
        freed = self._numbers(lambda part: durations.scan_times(part).freed)
        empty = took[freed == 0] / slots
        if len(empty) < FEWEST:
            self._lack("scan_slot_ns", len(empty), "scans that freed nothing")
        else:
            rule = f"a scan of {slots:,} slots that freed none; the value is the median"
            self._add("scan_slot_ns", float(np.median(empty)), "per slot scanned", empty, rule)
        looking = self.prices["scan_slot_ns"]
        took = self._times(lambda part: durations.eviction_times(part).took_ns)
        of = self._numbers(lambda part: durations.eviction_times(part).of)
        if len(took) < FEWEST:
            self._lack("free_slot_ns", len(took), "evictions followed by another of the same scan")
            return
        each = took - looking * slots / (of + 1)
        rule = f"time between two evictions minus {looking:,} ns per slot in between; the value is the median"
        self._add("free_slot_ns", float(np.median(each)), "per slot freed", each, rule)

    def _measure_flushes(self) -> None:
        """Attribute the time of a flush beyond the inherited costs of its parts to one of them."""
        prices, others = self.prices, self.fit.cpus - 1
        if prices["broadcast"]:
            cost, known = "broadcast_ns", prices["tlb_refill_ns"]
        elif not others:
            cost, known = "tlb_flush_ns", prices["tlb_refill_ns"]
        else:
            cost = "ipi_latency_ns"
            known = others * prices["ipi_send_ns"] + prices["ipi_handler_ns"] + prices["tlb_refill_ns"]
        times = self._times(durations.flush_times)
        if FLUSH in self.events.unrecorded or len(times) < FEWEST:
            self._lack(cost, len(times), f"{EVENTS[FLUSH]} (TLB flushes) with a later event of the same task")
            return
        mean = float(times.mean())
        rule = f"the value is the mean of {mean:,.0f} ns minus {known:,} ns for the other parts"
        self._add(cost, mean - known, "per flush", times, rule)
        if mean < known:
            self.fit.notes.append(
                f"a flush took {mean:,.0f} ns, less than the inherited costs of its parts: {known:,} ns"
            )

    def _measure_sleeps(self) -> None:
        switches = self._times(durations.switch_times)
        if len(switches) < FEWEST:
            self._lack("switch_ns", len(switches), "sleeps followed by the scheduler's switch (sched_switch)")
        else:
            rule = "from going to sleep until the scheduler switched away; the value is the median"
            self._add("switch_ns", float(np.median(switches)), "per switch", switches, rule)
        took = self._times(lambda part: durations.wake_times(part).took_ns)
        woken = self._numbers(lambda part: durations.wake_times(part).woken)
        wakes = woken > 0
        if min(wakes.sum(), (~wakes).sum()) < FEWEST:
            what = "unmaps that woke a task, followed by the scheduler's switch (sched_switch)"
            self._lack("wake_ns", int(wakes.sum()), what)
        else:
            usual = float(np.median(took[~wakes]))
            each = (took[wakes] - usual) / woken[wakes]
            rule = (
                f"an unmap that wakes minus the {usual:,.0f} ns of one that does not; the value is the median"
            )
            self._add("wake_ns", float(np.median(each)), "per task woken", each, rule)
        sleeps = self._times(durations.sleep_times)
        if len(sleeps) >= FEWEST:
            lower, median, upper = map(_number, np.quantile(sleeps, [0.25, 0.5, 0.75]).tolist())
            self.fit.notes.append(
                f"{len(sleeps):,} sleepers got the lock {median} ns (median; quartiles {lower} to {upper}) "
                "after the unmap that woke them; this is not a cost, but the wait for a CPU and for the lock"
            )


def _number(value: float) -> str:
    """Format a time in ns, with a decimal if it is small."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def _inherit(source: str, base: str) -> str:
    """The source of an inherited cost; an assumed cost stays marked as assumed."""
    prefix = f"inherited from {base}"
    return f"assumed, {prefix}: {source}" if is_assumed(source) else f"{prefix}: {source}"
