"""What a row's own figures imply that it does not print: flushes, misses, holds without a pass.

Every printed figure stands for the interval of numbers that round to it; what follows from it is an interval
too. From one row alone:

    hold of a site, in all     acquisitions x HOLD, and UTIL x wall: where both meet
    longest hold of a map      one pass over the pool with its flush; no unmap is held so long
    passes                     maps are held longer than unmaps, and passes are why: (hold of maps - hold of
                               unmaps - what a map does more than an unmap) / (flush + slots of a series x
                               price of a slot), for a series wraps after as many misses as it has slots
    misses                     one for each slot of each wrap, and what has been taken since the last
    waiting                    acquisitions x CON x WAIT, and %CPU x CPUs x wall: where both meet

What a map does more than an unmap (it touches two entries, an unmap one) is between nothing and
`OWN_WORK_US`. The price of a slot follows from the longest hold, less the flush alone (`FLUSH_US`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.numbers import format_number
from pipeline.schema.manifest import Totals
from pipeline.studies.lockmeter.interval import Interval
from pipeline.studies.lockmeter.lockmeter_data import LockmeterRow

OWN_WORK_US = Interval(0.0, 0.25)
"""How much longer a map is held than an unmap without a pass: at most as long as an unmap (row D: 0.2 us)."""
FLUSH_US = 350.0
"""A flush without its pass on 16 CPUs: longest holds against the pool's size (M. J. Bligh, 18 March 2002)."""


@dataclass(frozen=True)
class Implied:
    """What a row implies; None: its figures do not say, or contradict each other."""

    wall_s: Interval | None
    map_own_us: Interval
    """Hold of a map without passes, with what spinners add."""
    unmap_own_us: Interval
    slot_us: Interval
    """Price of one slot that a pass frees."""
    flushes: Interval
    misses: Interval
    miss_percent: Interval
    wait_s: Interval | None
    wait_per_flush_ms: Interval | None
    """If all waiting were behind flushes."""
    waiting_cpus: Interval | None
    """CPUs that then wait for as long as a flush and its pass last."""

    behind_flushes_percent: float | None
    """Share of all waiting that is directly behind flushes, at most: with all other CPUs waiting."""

    def text(self) -> str:
        """What the row implies, for the terminal or a document; one line."""
        parts = [
            *([] if self.wall_s is None else [f"wall {_ends(self.wall_s)} s"]),
            f"{_ends(self.flushes, 2)} flushes",
            f"{_ends(self.miss_percent, 2)} % misses",
            f"{_ends(self.slot_us)} us for each slot that a pass frees",
            f"held without a pass: a map {_ends(self.map_own_us)} us, an unmap {_ends(self.unmap_own_us)} us",
        ]
        if self.wait_s is not None:
            parts.append(f"{_ends(self.wait_s)} s of waiting in all")
        if self.behind_flushes_percent is not None and self.behind_flushes_percent < 100.0:
            parts.append(f"at most {self.behind_flushes_percent:.2g} % of that directly behind flushes")
        elif self.wait_per_flush_ms is not None and self.waiting_cpus is not None:
            parts.append(
                f"at most {_ends(self.wait_per_flush_ms)} ms of that behind each flush, which is "
                f"{_ends(self.waiting_cpus, 2)} CPUs for as long as it lasts"
            )
        return f"implied by the row alone: {'; '.join(parts)}"


def imply(row: LockmeterRow) -> Implied | None:
    """Derive what a row implies; None if it lacks figures of its maps or unmaps, or they contradict."""
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
    """The same of a run, by the names of the fields of `Implied` that are compared."""
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
    """Waiting of all CPUs: that of both sites, and that of all, where they meet."""
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
