"""The manifest of a run: what was replayed, on what, and what it adds up to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RUN_FORMAT_VERSION = 2

MANIFEST_FILE = "manifest.json"

SWEEP_FILE = "sweep.json"

# What the log adds up to: a Parquet file for each view that need not read the log then.
SUMS_FOLDER = "sums"

# Blocks of equally many rows that a trace is cut into for sums by its progress: a number of many divisors.
TRACE_BLOCKS = 600

# What a run can keep of its log, and the tables that this is.
Events = Literal["full", "stretches", "none"]

KEPT_TABLES: dict[Events, tuple[str, ...]] = {
    "full": ("operations", "events"),
    "stretches": ("operations", "events", "stretches"),
    "none": (),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LockTotals(_Strict):
    """One lock site over the whole run: the sums a lockmeter row is made of."""

    site: Literal["map", "unmap"]
    acquisitions: int = Field(description="relocks included")
    contended: int = Field(description="acquisitions that found the lock busy")
    hold_ns: int = Field(description="sum of holds")
    hold_max_ns: int
    wait_ns: int = Field(description="sum of spins of contended acquisitions")
    wait_max_ns: int


class CpuTime(_Strict):
    """Where one CPU's time went; the categories add up to the wall time exactly."""

    cpu: int
    idle_ns: int
    compute_ns: int
    in_use_ns: int
    critical_ns: int
    scan_ns: int
    spin_ns: int
    flush_ns: int
    interrupted_ns: int
    switch_ns: int


class Totals(_Strict):
    """What a run adds up to; counted by the simulator, so it is there without a log too."""

    wall_ns: int = Field(description="when the last operation was done")
    operations: int = Field(description="operations completed")
    hits: int
    misses: int
    fallbacks: int
    probed: int = Field(description="slots looked at in search of a free one")
    scans: int = Field(description="passes over the slots")
    scanned: int = Field(description="slots passed over by scans")
    freed: int = Field(description="slots that scans freed")
    flushes: int = Field(description="global or directed TLB flushes")
    ipis: int = Field(description="CPUs interrupted by flushes")
    local_flushes: int = Field(description="single addresses invalidated on the own CPU")
    full_local_flushes: int = Field(description="whole-TLB flushes of the own CPU alone")
    sleeps: int
    asleep_ns: int
    sleep_max_ns: int
    wakes: int = Field(description="times a wait queue with sleepers was woken")
    woken: int = Field(description="tasks woken")
    pin_waits: int
    pin_wait_ns: int
    switches: int
    migrations: int = Field(description="times a task ran on another CPU than the time before")
    walks: int = Field(description="page-table walks at first touches of a mapping on a CPU")
    map_ns: int = Field(description="sum over operations of the time from asking to mapped")
    map_max_ns: int
    max_mapped: int = Field(description="most mappings in force at once")
    locks: list[LockTotals]
    cpu_time: list[CpuTime]


def is_assumed(source: str) -> bool:
    """Whether the source of a price is the word "assumed", perhaps with reasons."""
    return source.strip().lower().startswith("assumed")


class Cost(_Strict):
    """One price or property of the machine, with where it comes from."""

    value: int | float | str | bool
    unit: str
    source: str = Field(description='publication or measurement, or the word "assumed"')
    doc: str = ""

    @property
    def assumed(self) -> bool:
        """Whether nobody has published or measured it."""
        return is_assumed(self.source)


class Finding(_Strict):
    """A hazard that the run met."""

    finding: str
    time_ns: int
    message: str
    tasks: list[int] = Field(default_factory=list)
    slots: list[int] = Field(default_factory=list)


class TraceReference(_Strict):
    """Which trace was replayed."""

    name: str
    path: str
    sha256: str
    metadata: dict[str, Any] = Field(description="the trace's own metadata, see TraceMetadata")


class AllocatorPart(_Strict):
    """One of several designs that shared a run."""

    name: str
    summary: str
    source_sha256: str
    kinds: list[str] = Field(description="kinds of operation that it served")
    options: dict[str, int | str | bool]
    first_slot: int = Field(description="number in the log of its slot 0")
    address_space_pages: int
    page_struct_bytes: int


class AllocatorReference(_Strict):
    """Which design was replayed, with every option's value.

    Of several designs, `name` joins theirs by +, and an option's name begins with its design's.
    """

    name: str
    summary: str
    source_sha256: str
    options: dict[str, int | str | bool]
    address_space_pages: int = Field(description="kernel address space the design's slots take, in pages")
    page_struct_bytes: int = Field(description="bytes the design needs in every struct page")
    bound: str = Field("", description="what it bounds, if it is a bound for charts and no design to be had")
    parts: list[AllocatorPart] = Field(
        default_factory=list, description="the designs, where kinds of operation were served by several"
    )


class Fit(_Strict):
    """What the fitted costs of a machine were fitted to: everything else is a prediction."""

    to: str = Field(description="the measurements, with their source")
    cpus: int = Field(ge=1, description="CPUs of the machine that was measured")
    workload: str
    allocators: list[str]


class MachineReference(_Strict):
    """Which machine was simulated, with every cost."""

    name: str
    summary: str
    cpus: int
    costs: dict[str, Cost]
    fit: Fit | None = Field(None, description="what it was fitted to; null if nothing of it is fitted")


class Execution(_Strict):
    """What making the run took here; the only part that differs between two equal runs."""

    started: str
    elapsed_s: float
    engine_s: float
    peak_memory_mb: float
    backlog_rows: int = Field(description="most rows read but not yet due")
    compiled: bool


class Manifest(_Strict):
    """manifest.json: everything that determined the result, and what came out."""

    format_version: int = RUN_FORMAT_VERSION
    id: str = Field(description="hash of everything that determines the result")
    label: str = Field(description="short name for charts: the allocator with its changed options")
    command: str
    trace: TraceReference
    allocator: AllocatorReference
    machine: MachineReference
    seed: int
    jitter_percent: float = Field(
        0.0, description="think and wait times of the trace were scaled at random by up to so much, +-"
    )
    loop: Literal["closed", "timed"]
    events: Events
    tables: dict[str, list[str]] = Field(
        default_factory=dict,
        description="files of each table of the log; `wide_...`: of its rows that need more bits",
    )
    lowmem: list[str] = Field(
        default_factory=list, description="kinds whose pages lie in low memory and needed no mapping"
    )
    versions: dict[str, str]
    totals: Totals
    findings: list[Finding]
    fingerprint: str = Field(description="hash of the event log, the same on every machine")
    execution: Execution

    @property
    def log_files(self) -> dict[str, list[str]]:
        """Files of each table of the log, none without one; format version 1 had two and did not say so."""
        if self.events == "none" or self.tables:
            return self.tables
        return {name: [f"{name}.parquet"] for name in ("operations", "events")}
