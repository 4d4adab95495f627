"""Predict a configuration of 2002 with the calibrated machine and workload.

Nothing is fitted here. Only the configuration of the row determines the run:

    series, slots     the pool: one series is mainline's, several are those of the -aa kernels
    page tables       in low memory, the kinds that map page tables need no mapping
    workload          the workload, if it is known; the default is the model's
    CPUs              the number of CPUs, in nodes of the same size; the number of tasks is scaled accordingly
    acquisitions      the number of operations; the default is the workload's own
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.schema.manifest import LockTotals, Manifest, Totals
from pipeline.studies.experiment import LOOP, Experiment, scale_tasks
from pipeline.studies.lockmeter.lockmeter_data import LockmeterRow, SiteFigures
from pipeline.studies.runner import run_all
from pipeline.workload.read_spec import read_workload, shipped_workloads, workload_path
from pipeline.workload.spec import Workload

MODEL = Experiment("kernel_build", "global_pool", "numaq16")
"""The calibrated machine and workload."""
# Kinds of operations that map page tables.
PAGE_TABLE_KINDS = ("page_fault",)


@dataclass(frozen=True)
class Prediction:
    """A configuration simulated with one seed."""

    row: LockmeterRow
    seed: int
    manifest: Manifest
    sites: dict[str, SiteFigures]

    @property
    def wall_s(self) -> float:
        """Simulated wall-clock time, s."""
        return self.manifest.totals.wall_ns / 1e9


Case = tuple[LockmeterRow, int, Experiment]
"""A row, a seed of the workload's draws and of lock arbitration, and the model."""


def predict(row: LockmeterRow, seed: int = 0, model: Experiment = MODEL) -> Prediction:
    """Simulate a row's configuration with the machine and workload of `model`."""
    return predict_all([(row, seed, model)])[0]


def predict_all(cases: Sequence[Case], workers: int | None = None) -> list[Prediction]:
    """Simulate several configurations, on all CPUs."""
    manifests = run_all([configure(*case) for case in cases], "simulating rows", workers)
    return [
        Prediction(row, seed, manifest, site_figures(manifest.totals, row.cpus))
        for (row, seed, _), manifest in zip(cases, manifests, strict=True)
    ]


def configure(row: LockmeterRow, seed: int = 0, model: Experiment = MODEL) -> Experiment:
    """Return the run of a row's configuration; `model` must not change the shares of the workload's kinds.

    The number of tasks per CPU is the same as on the machine's own number of CPUs, like the jobs of a
    compile.
    """
    lowmem = () if row.page_tables_in_highmem else PAGE_TABLE_KINDS
    options = {"slots": row.slots_per_series}
    return replace(
        model,
        allocator="global_pool" if row.series == 1 else "series_pool",
        options=options if row.series == 1 else {"series": row.series, **options},
        operations=None if row.maps is None else round(row.maps / mapped_share(model.workload, lowmem)),
        changes={**model.changes, **scale_tasks(model.workload, model.machine, row.cpus)},
        cpus=row.cpus,
        lowmem=lowmem,
        seed=seed,
    )


def workload_of(row: LockmeterRow, model: Experiment = MODEL) -> str | None:
    """Workload of a row: its own if that is shipped or a .toml file, and by default the model's.

    Returns None for an unknown workload. Raises InputError for a missing .toml file.
    """
    if row.workload in ("", MODEL.workload, Path(model.workload).stem):
        return model.workload
    if row.workload in shipped_workloads() or row.workload.endswith(".toml"):
        return str(workload_path(row.workload))
    return None


def describe_model(model: Experiment = MODEL) -> str:
    """Describe the profile and workload of the predictions."""
    return f"profile {model.machine}, workload {model.workload}, {LOOP} loop"


def mapped_share(workload: str, lowmem: Iterable[str]) -> float:
    """Expected share of operations, including nested ones, that are not of the kinds `lowmem`."""
    expected = _operations_of_each_kind(read_workload(workload).workload)
    return sum(share for kind, share in expected.items() if kind not in set(lowmem)) / sum(expected.values())


def _operations_of_each_kind(workload: Workload) -> dict[str, float]:
    """Expected operations of each kind, outermost and nested, per outermost operation."""
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
