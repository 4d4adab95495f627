"""What the calibrated machine and workload say of one configuration of 2002.

Nothing is fitted here. A row's configuration decides, and only it:

    series, slots     which pool: one series is mainline's, more are -aa's
    page tables       in lowmem: the kinds that map page tables need no mapping and do not ask the pool
    CPUs              the machine has as many, in nodes of the same size, and as many more or fewer tasks
    acquisitions      how many operations the workload makes; without them, as many as it says itself
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.io.toml_overrides import Changes, changed
from pipeline.machine.profile import load_profile, profile_path
from pipeline.runs.execute import replay
from pipeline.schema.run import LockTotals, Manifest, Totals
from pipeline.studies.lockmeter.lockmeter_data import LockmeterRow, SiteFigures
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import read_workload
from pipeline.workload.spec import Workload

MACHINE = "numaq16"
WORKLOAD = "kernel_build"
LOOP = "closed"
# What page tables are mapped for.
PAGE_TABLE_KINDS = ("page_fault",)


@dataclass(frozen=True)
class Model:
    """A machine profile and a workload spec (names or .toml paths), with what is changed in them."""

    machine: str = MACHINE
    workload: str = WORKLOAD
    machine_changes: Changes | None = None
    workload_changes: Changes | None = None


@dataclass(frozen=True)
class Prediction:
    """One configuration simulated with one seed."""

    row: LockmeterRow
    seed: int
    manifest: Manifest
    sites: dict[str, SiteFigures]

    @property
    def wall_s(self) -> float:
        """Simulated wall time."""
        return self.manifest.totals.wall_ns / 1e9


def predict(row: LockmeterRow, seed: int = 0, model: Model | None = None) -> Prediction:
    """Simulate a row's configuration; `seed` is that of the workload's draws and of lock arbitration."""
    model = model or Model()
    with configured(model, row.cpus) as (machine, workload):
        maps = row.maps
        operations = None if maps is None else round(maps / mapped_share(workload, _lowmem(row)))
        manifest = simulate(
            workload,
            machine,
            *_pool(row),
            cpus=row.cpus,
            lowmem=_lowmem(row),
            operations=operations,
            seed=seed,
        )
    return Prediction(row, seed, manifest, site_figures(manifest.totals, row.cpus))


def simulate(
    workload: Path,
    machine: Path,
    allocator: str,
    options: Mapping[str, str],
    *,
    cpus: int,
    lowmem: Iterable[str] = (),
    operations: int | None = None,
    seed: int = 0,
) -> Manifest:
    """Generate the workload and replay it in a closed loop, keeping the totals only."""
    with tempfile.TemporaryDirectory() as name:
        trace = Path(name) / f"{workload.stem}.parquet"
        generate(workload, trace, operations=operations, seed=seed)
        return replay(
            trace,
            allocator=allocator,
            options=options,
            machine=str(machine),
            cpus=cpus,
            seed=seed,
            loop=LOOP,
            events="none",
            lowmem=tuple(lowmem),
            output=Path(name),
        ).manifest


def _pool(row: LockmeterRow) -> tuple[str, dict[str, str]]:
    slots = {"slots": str(row.slots_per_series)}
    if row.series == 1:
        return "global_pool", slots
    return "series_pool", {"series": str(row.series), **slots}


def _lowmem(row: LockmeterRow) -> tuple[str, ...]:
    return () if row.page_tables_in_highmem else PAGE_TABLE_KINDS


@contextmanager
def configured(model: Model, cpus: int | None = None) -> Iterator[tuple[Path, Path]]:
    """Yield the paths of the model's profile and workload with its changes made.

    With `cpus`, the workload has as many tasks per CPU as it has on the machine's own number of CPUs: a
    compile's jobs are set by the CPUs.
    """
    profile = load_profile(model.machine)
    named = read_workload(model.workload)
    workload_changes = dict(model.workload_changes or {})
    if cpus is not None and cpus != profile.cpus:
        tasks = int(workload_changes.get("tasks", named.workload.tasks))
        workload_changes["tasks"] = max(round(tasks * cpus / profile.cpus), 1)
    with tempfile.TemporaryDirectory() as name:
        yield (
            changed(profile_path(model.machine), model.machine_changes or {}, Path(name)),
            changed(named.path, workload_changes, Path(name)),
        )


def mapped_share(workload: str | Path, lowmem: Iterable[str]) -> float:
    """Expected share of a workload's operations, nested ones included, that are not of the kinds `lowmem`."""
    expected = _operations_of_each_kind(read_workload(workload).workload)
    return sum(share for kind, share in expected.items() if kind not in set(lowmem)) / sum(expected.values())


def _operations_of_each_kind(workload: Workload) -> dict[str, float]:
    """Operations of each kind, outermost and nested, for one outermost operation."""
    expected: dict[str, float] = dict.fromkeys(workload.kinds, 0.0)
    level: dict[str, float] = {name: kind.share for name, kind in workload.kinds.items()}
    for _ in range(workload.nesting_depth() + 1):
        inner: dict[str, float] = {}
        for name, share in level.items():
            expected[name] += share
            for nested, probability in workload.kinds[name].nested.items():
                inner[nested] = inner.get(nested, 0.0) + share * probability
        level = inner
    return expected


def site_figures(totals: Totals, cpus: int) -> dict[str, SiteFigures]:
    """Lockmeter's columns of a run, by site."""
    locks_of: dict[str, list[LockTotals]] = {"all": totals.locks}
    locks_of |= {lock.site: [lock] for lock in totals.locks}
    return {site: _figures(locks, totals.wall_ns, cpus) for site, locks in locks_of.items()}


def _figures(locks: list[LockTotals], wall_ns: int, cpus: int) -> SiteFigures:
    acquisitions = sum(lock.acquisitions for lock in locks)
    contended = sum(lock.contended for lock in locks)
    hold_ns = sum(lock.hold_ns for lock in locks)
    wait_ns = sum(lock.wait_ns for lock in locks)
    return SiteFigures(
        util_pct=100.0 * hold_ns / wall_ns,
        contended_pct=100.0 * contended / acquisitions if acquisitions else None,
        hold_mean_us=hold_ns / acquisitions / 1e3 if acquisitions else None,
        hold_max_us=max(lock.hold_max_ns for lock in locks) / 1e3,
        wait_mean_us=wait_ns / contended / 1e3 if contended else None,
        wait_max_us=max(lock.wait_max_ns for lock in locks) / 1e3,
        wait_cpu_pct=100.0 * wait_ns / (wall_ns * cpus),
        acquisitions=float(acquisitions) or None,
    )
