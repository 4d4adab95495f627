"""The manifest of a run: its inputs and its totals."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RUN_FORMAT_VERSION = 3

MANIFEST_FILE = "manifest.json"

SWEEP_FILE = "sweep.json"

# Sums of the log: one Parquet file for each view that can use sums instead of the log.
SUMS_FOLDER = "sums"

# Number of equal blocks of rows into which sums over a trace's progress are divided; it has many divisors.
TRACE_BLOCKS = 600

# Values of `--events`, and the tables of the log that a run keeps for each.
Events = Literal["full", "stretches", "none"]

KEPT_TABLES: dict[Events, tuple[str, ...]] = {
    "full": ("operations", "events"),
    "stretches": ("operations", "events", "stretches"),
    "none": (),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LockTotals(_Strict):
    """Totals of one lock site over the whole run: the sums from which a lockmeter row is computed."""

    site: Literal["map", "unmap", "worker"]
    acquisitions: int = Field(description="number of acquisitions, including relocks")
    contended: int = Field(description="acquisitions that had to wait for the lock")
    hold_ns: int = Field(description="total hold time")
    hold_max_ns: int
    wait_ns: int = Field(description="total spin time of contended acquisitions")
    wait_max_ns: int


class CpuTime(_Strict):
    """Time of one CPU by category. The categories add up to exactly the wall-clock time."""

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
    """Totals of a run, counted by the simulator with or without a log."""

    wall_ns: int = Field(description="completion time of the last operation")
    operations: int = Field(description="operations completed")
    hits: int = Field(description="operations whose page was already mapped")
    misses: int = Field(description="operations that took a slot and wrote its PTE")
    fallbacks: int = Field(description="operations that fell back to the design's second method")
    probed: int = Field(description="slots examined in search of a free one")
    scans: int = Field(description="passes over the slots")
    scanned: int = Field(description="slots examined by scans")
    freed: int = Field(description="slots freed by scans")
    flushes: int = Field(description="global or directed TLB flushes")
    ipis: int = Field(description="CPUs interrupted by flushes")
    local_flushes: int = Field(description="single addresses invalidated on the local CPU")
    full_local_flushes: int = Field(description="whole-TLB flushes of only the local CPU")
    sleeps: int = Field(description="number of sleeps for a slot")
    asleep_ns: int = Field(description="total sleep time for slots")
    sleep_max_ns: int = Field(description="longest sleep for a slot")
    wakes: int = Field(description="number of times a wait queue with sleepers was woken")
    woken: int = Field(description="tasks woken")
    pin_waits: int = Field(description="number of waits of a ready task for the CPU to which it was pinned")
    pin_wait_ns: int = Field(description="total time of these waits")
    switches: int = Field(description="number of context switches")
    migrations: int = Field(description="number of times a task resumed on a CPU other than its last")
    walks: int = Field(description="page-table walks at first touches of a mapping on a CPU")
    map_ns: int = Field(description="sum over operations of the time from request to mapped")
    map_max_ns: int = Field(description="longest time from request to mapped")
    max_mapped: int = Field(description="highest number of simultaneous mappings")
    locks: list[LockTotals] = Field(description="totals of each lock site")
    cpu_time: list[CpuTime] = Field(description="time of each CPU by category")


def is_assumed(source: str) -> bool:
    """Tell whether the source of a cost is the word "assumed", with or without reasons."""
    return source.strip().lower().startswith("assumed")


class Cost(_Strict):
    """One cost or property of the machine, with its source."""

    value: int | float | str | bool
    unit: str
    source: str = Field(description='publication or measurement, or the word "assumed"')
    doc: str = ""

    @property
    def assumed(self) -> bool:
        """Whether the cost is neither published nor measured."""
        return is_assumed(self.source)


class Finding(_Strict):
    """A hazard that the run encountered."""

    finding: str
    time_ns: int
    message: str
    tasks: list[int] = Field(default_factory=list)
    slots: list[int] = Field(default_factory=list)


class TraceReference(_Strict):
    """The replayed trace."""

    name: str
    path: str
    sha256: str
    metadata: dict[str, Any] = Field(description="the trace's own metadata, see TraceMetadata")


class AllocatorPart(_Strict):
    """One of several designs that shared a run."""

    name: str
    summary: str
    source_sha256: str
    kinds: list[str] = Field(description="kinds of operation that the design served")
    options: dict[str, int | str | bool]
    first_slot: int = Field(description="number of the design's slot 0 in the log")
    address_space_pages: int
    page_struct_bytes: int


class AllocatorReference(_Strict):
    """The replayed design, with the value of every option.

    For several designs, `name` joins their names with +, and the name of an option begins with its design's.
    """

    name: str
    summary: str
    source_sha256: str
    options: dict[str, int | str | bool]
    address_space_pages: int = Field(description="kernel address space used by the design's slots, in pages")
    page_struct_bytes: int = Field(description="bytes that the design needs in every struct page")
    areas: bool = Field(
        False, description="whether its mappings may have several pages and be unmapped by other tasks"
    )
    lock_names: list[str] = Field(
        default_factory=list, description="what each of its locks protects; empty if the design does not say"
    )
    bound: str = Field(
        "",
        description="what the design bounds, if it is only a bound for charts and cannot be built",
    )
    parts: list[AllocatorPart] = Field(
        default_factory=list, description="the designs, if several served different kinds of operation"
    )


class Fit(_Strict):
    """The measurements to which costs of a machine were fitted. Everything else is a prediction."""

    to: str = Field(description="the measurements, with their source")
    cpus: int = Field(ge=1, description="number of CPUs of the measured machine")
    workload: str
    allocators: list[str]


class MachineReference(_Strict):
    """The simulated machine, with every cost."""

    name: str
    summary: str
    cpus: int
    costs: dict[str, Cost]
    fit: Fit | None = Field(
        default=None, description="the measurements used for fitting; null if no cost is fitted"
    )


class Execution(_Strict):
    """Resources that the simulation used; the only part that differs between two equal runs."""

    started: str
    elapsed_s: float
    engine_s: float
    peak_memory_mb: float
    backlog_rows: int = Field(description="highest number of rows read but not yet due")
    compiled: bool


class Manifest(_Strict):
    """manifest.json: everything that determined the result, and the result."""

    format_version: int = Field(default=RUN_FORMAT_VERSION, description="version of the run format")
    id: str = Field(description="hash of everything that determines the result")
    label: str = Field(description="short name for charts: the allocator with its non-default options")
    command: str = Field(description="command that repeats the run")
    trace: TraceReference = Field(description="replayed trace")
    allocator: AllocatorReference = Field(description="replayed design")
    machine: MachineReference = Field(description="simulated machine with its costs")
    seed: int = Field(description="seed of random draws")
    jitter_percent: float = Field(
        0.0,
        description="think and wait times of the trace were scaled at random by up to this percentage, +-",
    )
    loop: Literal["closed", "timed"] = Field(description="closed or timed loop")
    events: Events = Field(description="which tables of the log were kept")
    tables: dict[str, list[str]] = Field(
        default_factory=dict,
        description="files of each table of the log; `wide_...`: files of its rows that need more bits",
    )
    lowmem: list[str] = Field(
        default_factory=list, description="kinds with pages in low memory, which needed no mapping"
    )
    versions: dict[str, str] = Field(description="versions of the software")
    totals: Totals = Field(description="totals of the run")
    findings: list[Finding] = Field(description="hazards that occurred")
    fingerprint: str = Field(description="hash of the event log, identical on every machine")
    execution: Execution = Field(description="time and memory used by the simulation")

    @property
    def log_files(self) -> dict[str, list[str]]:
        """Files of each table of the log, empty without a log. Format version 1 has two, not listed."""
        if self.events == "none" or self.tables:
            return self.tables
        return {name: [f"{name}.parquet"] for name in ("operations", "events")}
