"""Figures of a lock: the columns in which measured and simulated locks stand side by side.

A figure is measured (the tool prints it), derived (it follows from others that the tool prints) or absent.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.schema.trace import Column

_BIG, _REAL = pa.int64(), pa.float64()


def _figure(name: str, type_: pa.DataType, unit: str, doc: str) -> Column:
    return Column(name, type_, True, unit, doc)


FIGURES: tuple[Column, ...] = (
    _figure("acquisitions", _BIG, "", "times the lock was taken"),
    _figure("contended", _BIG, "", "acquisitions that found the lock busy and waited"),
    _figure("con_percent", _REAL, "%", "their share of all acquisitions"),
    _figure("hold_ns", _BIG, "ns", "sum of holds"),
    _figure("hold_mean_ns", _REAL, "ns", "mean hold of all acquisitions"),
    _figure("hold_min_ns", _BIG, "ns", "shortest hold"),
    _figure("hold_max_ns", _BIG, "ns", "longest hold"),
    _figure("wait_ns", _BIG, "ns", "sum of waits of contended acquisitions"),
    _figure("wait_mean_ns", _REAL, "ns", "mean wait of contended acquisitions"),
    _figure("wait_min_ns", _BIG, "ns", "shortest wait of a contended acquisition"),
    _figure("wait_max_ns", _BIG, "ns", "longest"),
    _figure("con_bounces", _BIG, "", "contended acquisitions from another CPU than the last holder's"),
    _figure("acq_bounces", _BIG, "", "acquisitions from another CPU than the last holder's"),
    _figure("util_percent", _REAL, "%", "share of the wall time during which the lock was held"),
    _figure("cpu_percent", _REAL, "%", "waiting as a share of wall time x CPUs"),
    _figure("wall_ns", _BIG, "ns", "how long was measured, or the run's simulated time"),
    _figure("cpus", pa.int32(), "", "CPUs of the machine"),
)
FIGURE_NAMES = tuple(figure.name for figure in FIGURES)
# A site so named sums up the others of its lock.
ALL_SITES = "all"
# What a lock is called where a tool or a run has only one: that of the kmap pool.
POOL_LOCK = "kmap_lock"
