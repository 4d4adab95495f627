from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import S_DEADLOCK, S_FINISHED
from pipeline.schema.names import KINDS
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine, is_wrong, walk
from tests.machine.oracle import THOROUGH, CachedPools
from tests.machine.runs import machine, mutate_allocator, rows, simulate
from tests.machine.steps import Request

FAULT, COPY = KINDS.index("page_fault"), KINDS.index("copy_to_user")
SERIES = pytest.mark.parametrize(("series", "scan"), [(1, "all"), (2, "all"), (2, "own"), (3, "all")])


class SeriesPoolMachine(CachedPoolMachine):
    """`series_pool`: page tables apart from the rest, and with three series those of nested faults too."""

    allocator = load_allocator("series_pool")
    series = 2
    scan = "all"

    def pools(self, slots: int, flush_if_any: bool) -> CachedPools:
        return CachedPools(slots, flush_if_any, self.series, self.scan == "all")

    def more_options(self) -> dict[str, str]:
        return {"series": str(self.series), "scan": self.scan}

    def pool_of(self, r: Request) -> int:
        return min(1 + r.depth, self.series - 1) if r.kind == FAULT else 0


def with_series(series: int, scan: str) -> type[SeriesPoolMachine]:
    return type("Chosen", (SeriesPoolMachine,), {"series": series, "scan": scan})


@SERIES
def test_the_series_do_what_the_oracle_says_in_every_interleaving(series: int, scan: str) -> None:
    run_state_machine_as_test(with_series(series, scan), settings=settings(THOROUGH, max_examples=40))


@SERIES
@pytest.mark.parametrize("wake", ["all", "one"])
@pytest.mark.parametrize("slots", [2, 3])
def test_the_series_do_what_the_oracle_says_on_a_long_walk(
    slots: int, wake: str, series: int, scan: str
) -> None:
    found = with_series(series, scan)()
    taken = walk(found, slots, wake)
    assert min(taken[DONE], taken[SLEEP], taken[FLUSH_ALL], taken[found.wake]) > 20


MORE_MISTAKES = {
    "page tables are in the first series": ("if r.kind != _PAGE_TABLE:", "if True:"),
    "who waits sleeps in the first queue": (
        "            d.queue = s\n            return SLEEP",
        "            return SLEEP",
    ),
    "an unmap wakes the first queue": (
        "        d.queue = queue\n",
        "",
    ),
    "an unmap looks at the mapping's series, not the slot's": (
        "return unmap_cached(a, r, d, r.slot // a.options[0].slots)",
        "return unmap_cached(a, r, d, _series_of(a, r))",
    ),
    "a wrap passes over its own series only": ("    if a.options[0].scan == _SCAN_OWN:\n", "    if True:\n"),
    "all series have one cursor": (
        "    pool = a.pool[s]\n",
        "    pool = a.pool[0]\n",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES | MORE_MISTAKES)
def test_the_oracle_catches_series_in_which(mistake: str, tmp_path: Path) -> None:
    change = dict([(MISTAKES | MORE_MISTAKES)[mistake]])
    is_wrong(SeriesPoolMachine, mutate_allocator(tmp_path, "broken", change, "series_pool"))


# Each task maps a page for a copy, waits off CPU, and maps a page table inside.
TASKS = 2
FAULT_INSIDE_COPY = rows(
    2 * TASKS, task=[0, 1, 0, 1], depth=[0, 0, 1, 1], page=range(4), kind=[COPY, COPY, FAULT, FAULT],
    wait_ns=[0, 0, 9, 9], time_ns=[0, 0, 9, 9],
)  # fmt: skip


def test_two_kinds_of_maps_held_at_once_deadlock_in_one_series_and_not_in_two(tmp_path: Path) -> None:
    def status(**options: str) -> int:
        return simulate("series_pool", machine(tmp_path, 1), FAULT_INSIDE_COPY, options=options).status

    assert status(series="1", slots=str(TASKS)) == S_DEADLOCK
    assert status(series="2", slots=str(TASKS)) == S_FINISHED


def test_page_tables_held_within_page_tables_need_a_third_series(tmp_path: Path) -> None:
    trace = rows(
        2 * TASKS, task=[0, 1, 0, 1], depth=[0, 0, 1, 1], page=range(4), kind=FAULT,
        wait_ns=[0, 0, 9, 9], time_ns=[0, 0, 9, 9],
    )  # fmt: skip

    def status(series: str) -> int:
        options = {"series": series, "slots": str(TASKS)}
        return simulate("series_pool", machine(tmp_path, 1), trace, options=options).status

    assert status("2") == S_DEADLOCK
    assert status("3") == S_FINISHED


@pytest.mark.parametrize(("scan", "scanned"), [("all", 2 * 4), ("own", 4)])
def test_a_wrap_scans_all_series_or_its_own_and_flushes_once(scan: str, scanned: int, tmp_path: Path) -> None:
    trace = rows(8, page=np.arange(8), kind=COPY)
    outcome = simulate(
        "series_pool", machine(tmp_path, 2), trace, options={"slots": "4", "scan": scan, "series": "2"}
    )
    assert outcome.operations["scanned"].tolist() == [0, 0, 0, scanned] * 2
    assert outcome.totals["flushes"] == 2
    # The first pass finds three pages, as slot 0 was never taken, and the next one four.
    assert outcome.totals["freed"] == 3 + 4


def test_a_pass_over_all_series_forgets_the_pages_of_the_other_one_too(tmp_path: Path) -> None:
    # A page table is mapped before and after the copies wrap their series.
    kind, page = [FAULT, COPY, COPY, FAULT], [9, 0, 1, 9]

    def served(scan: str) -> list[int]:
        trace = rows(4, page=page, kind=kind)
        options = {"slots": "2", "scan": scan}
        outcome = simulate("series_pool", machine(tmp_path, 1), trace, options=options)
        return outcome.operations["served"].tolist()

    hit, miss = 0, 1
    assert served("all") == [miss, miss, miss, miss]
    assert served("own") == [miss, miss, miss, hit]
