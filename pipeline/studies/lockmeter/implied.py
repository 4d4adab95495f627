"""Figures that a row implies but does not print: flushes, misses, holds without a pass.

A printed figure represents the interval of numbers that round to it, so derived figures are intervals too.
Everything follows from a single row:

    total hold of a site       the intersection of acquisitions x HOLD and UTIL x wall-clock time
    longest hold of a map      one pass over the pool with its flush; no unmap is held that long
    passes                     maps are held longer than unmaps because of passes: (hold of maps - hold of
                               unmaps - extra work of maps) / (flush + slots of a series x cost of a slot);
                               a series wraps after as many misses as it has slots
    misses                     one for each slot of each wrap, and those since the last wrap
    total wait                 the intersection of acquisitions x CON x WAIT and %CPU x CPUs x wall-clock time

The extra work of a map, which touches two entries while an unmap touches one, is between 0 and `OWN_WORK_US`.
The cost of a slot follows from the longest hold minus the flush (`FLUSH_US`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.numbers import format_number
from pipeline.schema.manifest import Totals
from pipeline.studies.lockmeter.interval import Interval
from pipeline.studies.lockmeter.lockmeter_data import LockmeterRow

OWN_WORK_US = Interval(0.0, 0.25)
"""Extra hold of a map without a pass compared with an unmap: at most that of an unmap (row D: 0.2 us)."""
FLUSH_US = 350.0
"""A flush without its pass on 16 CPUs, from longest holds by pool size (M. J. Bligh, 18 March 2002)."""


@dataclass(frozen=True)
class Implied:
    """Figures implied by a row; None if the row lacks figures or they contradict each other."""

    wall_s: Interval | None
    map_own_us: Interval
    """Hold of a map without passes, including the time added by spinners."""
    unmap_own_us: Interval
    slot_us: Interval
    """Cost of a slot that a pass frees."""
    flushes: Interval
    misses: Interval
    miss_percent: Interval
    wait_s: Interval | None
    wait_per_flush_ms: Interval | None
    """Wait per flush if all waiting were behind flushes."""
    waiting_cpus: Interval | None
    """CPUs that then wait as long as a flush and its pass take."""

    behind_flushes_percent: float | None
    """Largest percentage of all waiting that can be directly behind flushes, with all other CPUs waiting."""

    def text(self) -> str:
        """Describe the implied figures in one line."""
        parts = [
            *([] if self.wall_s is None else [f"wall-clock time {_ends(self.wall_s)} s"]),
            f"{_ends(self.flushes, 2)} flushes",
            f"{_ends(self.miss_percent, 2)} % misses",
            f"{_ends(self.slot_us)} us per slot that a pass frees",
            f"hold without a pass: map {_ends(self.map_own_us)} us, unmap {_ends(self.unmap_own_us)} us",
        ]
        if self.wait_s is not None:
            parts.append(f"total wait {_ends(self.wait_s)} s")
        if self.behind_flushes_percent is not None and self.behind_flushes_percent < 100.0:
            parts.append(f"at most {self.behind_flushes_percent:.2g} % of it directly behind flushes")
        elif self.wait_per_flush_ms is not None and self.waiting_cpus is not None:
            parts.append(
                f"at most {_ends(self.wait_per_flush_ms)} ms of it behind each flush, as if "
                f"{_ends(self.waiting_cpus, 2)} CPUs waited throughout the flush"
            )
        return f"implied by the row: {'; '.join(parts)}"


def imply(row: LockmeterRow) -> Implied | None:
    """Derive the figures that a row implies; None if it lacks figures or they contradict each other."""
    wall_s = row.wall()
    map_s, unmap_s = _hold_s(row, "map", wall_s), _hold_s(row, "unmap", wall_s)
    longest_us, other_us = row.printed("map", "hold_max_us"), row.printed("unmap", "hold_max_us")
    maps = row.maps
    if wall_s is None and any(figures.util_pct is not None for figures in row.sites.values()):
        return None
    if map_s is None or unmap_s is None or longest_us is None or other_us is None or maps is None:
        return None
    if longest_us.low <= max(other_us.high, FLUSH_US):
        return None
    slot_us = (longest_us - Interval(FLUSH_US, FLUSH_US)) / (row.series * row.slots_per_series)
    pass_s = (slot_us * row.slots_per_series + Interval(FLUSH_US, FLUSH_US)) * 1e-6
    flushes = (map_s - unmap_s - OWN_WORK_US * (maps * 1e-6)) / pass_s
    misses = Interval(flushes.low * row.slots_per_series, (flushes.high + row.series) * row.slots_per_series)
    unmap_own_us = unmap_s * (1e6 / maps)
    wait_s = _wait_s(row, wall_s)
    wait_per_flush_ms = None if wait_s is None else wait_s / flushes * 1e3
    behind_s = flushes.high * pass_s.high * (row.cpus - 1)
    return Implied(
        wall_s=wall_s,
        map_own_us=unmap_own_us + OWN_WORK_US,
        unmap_own_us=unmap_own_us,
        slot_us=slot_us,
        flushes=flushes,
        misses=misses,
        miss_percent=misses * (100.0 / maps),
        wait_s=wait_s,
        wait_per_flush_ms=wait_per_flush_ms,
        waiting_cpus=None if wait_per_flush_ms is None else wait_per_flush_ms / (pass_s * 1e3),
        behind_flushes_percent=min(100.0 * behind_s / wait_s.low, 100.0) if wait_s and wait_s.low else None,
    )


def simulated(totals: Totals) -> dict[str, float | None]:
    """Figures of a run by the names of the fields of `Implied` that are compared."""
    of_site = {lock.site: lock for lock in totals.locks}
    maps, unmaps = of_site["map"], of_site["unmap"]
    pass_ns = sum(cpu.scan_ns + cpu.flush_ns for cpu in totals.cpu_time)
    wait_ns = maps.wait_ns + unmaps.wait_ns
    return {
        "flushes": float(totals.flushes),
        "misses": float(totals.misses),
        "map_own_us": (maps.hold_ns - pass_ns) / maps.acquisitions / 1e3 if maps.acquisitions else None,
        "unmap_own_us": unmaps.hold_ns / unmaps.acquisitions / 1e3 if unmaps.acquisitions else None,
        "wait_s": wait_ns / 1e9,
    }


def _hold_s(row: LockmeterRow, site: str, wall_s: Interval | None) -> Interval | None:
    acquisitions = row.printed(site, "acquisitions")
    hold_us, util_percent = row.printed(site, "hold_mean_us"), row.printed(site, "util_pct")
    by_time = None if wall_s is None or util_percent is None else wall_s * util_percent * 0.01
    if acquisitions is None or hold_us is None:
        return by_time
    return (acquisitions * hold_us * 1e-6).meet(by_time)


def _wait_s(row: LockmeterRow, wall_s: Interval | None) -> Interval | None:
    """Total wait of all CPUs: the intersection of the sum of both sites and the figure for all."""
    of_sites = [_wait_of_site_s(row, site, wall_s) for site in ("map", "unmap")]
    of_all = _wait_of_site_s(row, "all", wall_s)
    if of_sites[0] is None or of_sites[1] is None:
        return of_all
    return (of_sites[0] + of_sites[1]).meet(of_all)


def _wait_of_site_s(row: LockmeterRow, site: str, wall_s: Interval | None) -> Interval | None:
    acquisitions, contended, wait_us, share = (
        row.printed(site, name) for name in ("acquisitions", "contended_pct", "wait_mean_us", "wait_cpu_pct")
    )
    by_time = None if wall_s is None or share is None else wall_s * share * (0.01 * row.cpus)
    if acquisitions is None or contended is None or wait_us is None:
        return by_time
    return (acquisitions * contended * wait_us * 1e-8).meet(by_time)


def _ends(interval: Interval, digits: int = 3) -> str:
    low, high = (format_number(end, digits) for end in (interval.low, interval.high))
    return low if low == high else f"{low} to {high}"
