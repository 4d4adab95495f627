"""Figures of a lock: the columns that compare measured and simulated locks.

A figure is measured (the tool prints it), derived (computed from others that the tool prints) or absent.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.schema.trace import Column

_BIG, _REAL = pa.int64(), pa.float64()


def _figure(name: str, type_: pa.DataType, unit: str, doc: str) -> Column:
    return Column(name, type_, True, unit, doc)


FIGURES: tuple[Column, ...] = (
    _figure("acquisitions", _BIG, "", "times the lock was taken"),
    _figure("contended", _BIG, "", "acquisitions that had to wait for the lock"),
    _figure("con_percent", _REAL, "%", "contended acquisitions as a share of all"),
    _figure("hold_ns", _BIG, "ns", "total hold time"),
    _figure("hold_mean_ns", _REAL, "ns", "mean hold time of all acquisitions"),
    _figure("hold_min_ns", _BIG, "ns", "shortest hold time"),
    _figure("hold_max_ns", _BIG, "ns", "longest hold time"),
    _figure("wait_ns", _BIG, "ns", "total wait of contended acquisitions"),
    _figure("wait_mean_ns", _REAL, "ns", "mean wait of contended acquisitions"),
    _figure("wait_min_ns", _BIG, "ns", "shortest wait of a contended acquisition"),
    _figure("wait_max_ns", _BIG, "ns", "longest wait of a contended acquisition"),
    _figure("con_bounces", _BIG, "", "contended acquisitions on a CPU other than the last holder's"),
    _figure("acq_bounces", _BIG, "", "acquisitions on a CPU other than the last holder's"),
    _figure("util_percent", _REAL, "%", "share of the wall-clock time during which the lock was held"),
    _figure("cpu_percent", _REAL, "%", "total wait as a share of wall-clock time x CPUs"),
    _figure("wall_ns", _BIG, "ns", "duration of the measurement, or the run's simulated time"),
    _figure("cpus", pa.int32(), "", "number of CPUs of the machine"),
)
FIGURE_NAMES = tuple(figure.name for figure in FIGURES)
# Name of the site that sums up all other sites of its lock.
ALL_SITES = "all"
# Name of the lock if a tool or a run has only one: the lock of the kmap pool.
POOL_LOCK = "kmap_lock"
