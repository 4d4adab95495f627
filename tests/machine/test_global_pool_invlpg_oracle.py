from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline.allocators.api.actions import DONE, REPEAT_ALL, SLEEP
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import E_FINDING, E_IPI, STALE_TRANSLATION
from tests.machine.cached_pools import MISTAKES, CachedPoolMachine, is_wrong, walk
from tests.machine.oracle import THOROUGH
from tests.machine.runs import machine, mutate_allocator, rows, simulate
from tests.machine.steps import Request


class GlobalPoolInvlpgMachine(CachedPoolMachine):
    """`global_pool_invlpg`: every CPU makes a pass where `global_pool` flushes."""

    allocator = load_allocator("global_pool_invlpg")
    flush = REPEAT_ALL

    def compare_invalidations(self, r: Request) -> None:
        assert r.invalidations == r.freed


def test_the_pool_does_what_the_oracle_says_in_every_interleaving() -> None:
    run_state_machine_as_test(GlobalPoolInvlpgMachine, settings=settings(THOROUGH, max_examples=50))


@pytest.mark.parametrize("wake", ["all", "one"])
@pytest.mark.parametrize("slots", [2, 3, 5])
def test_the_pool_does_what_the_oracle_says_on_a_long_walk(slots: int, wake: str) -> None:
    found = GlobalPoolInvlpgMachine()
    taken = walk(found, slots, wake)
    assert min(taken[DONE], taken[SLEEP], taken[REPEAT_ALL], taken[found.wake]) > 20


PASSES_AGAIN = "REPEAT_ALL, not a.options[0].flush_if_any)"
INVALIDATES = "                invalidate_everywhere(a, d, k)\n"
MORE_MISTAKES = {
    "the pass invalidates nothing": (INVALIDATES, "                pass\n"),
    "the pass invalidates another slot": (INVALIDATES, INVALIDATES.replace("d, k", "d, first")),
    "every TLB is flushed": ("slots, REPEAT_ALL,", "slots, 3,"),
}


@pytest.mark.parametrize("mistake", MISTAKES | MORE_MISTAKES)
def test_the_oracle_catches_a_pool_in_which(mistake: str, tmp_path: Path) -> None:
    change = dict([(MISTAKES | MORE_MISTAKES)[mistake]])
    is_wrong(GlobalPoolInvlpgMachine, mutate_allocator(tmp_path, "broken", change, "global_pool_invlpg"))


PRICES = {
    "probe_ns": 7, "scan_slot_ns": 11, "invalidate_ns": 13, "tlb_flush_ns": 5_000, "tlb_refill_ns": 3_000,
    "ipi_send_ns": 3, "ipi_latency_ns": 20, "ipi_handler_ns": 100, "broadcast_ns": 50,
}  # fmt: skip
SLOTS, MISSES = 5, 20
# Slot 0 is not taken before the first wrap, so its pass frees one slot less.
FREED = [SLOTS - 1, SLOTS, SLOTS, SLOTS]
PASS_NS = sum(SLOTS * 11 + freed * 13 for freed in FREED)


@pytest.mark.parametrize("cpus", [1, 4])
def test_every_cpu_makes_the_pass_while_the_first_waits(cpus: int, tmp_path: Path) -> None:
    trace = rows(MISSES, page=np.arange(MISSES))
    outcome = simulate(
        "global_pool_invlpg", machine(tmp_path, cpus, **PRICES), trace, options={"slots": str(SLOTS)}
    )
    totals, others = outcome.totals, cpus - 1
    assert totals["scans"] == len(FREED)
    assert totals["freed"] == totals["local_flushes"] == sum(FREED)
    assert totals["ipis"] == len(outcome.of_kind(E_IPI)) == len(FREED) * others
    assert totals["flushes"] == (len(FREED) if others else 0)
    assert outcome.time_in("interrupted") == others * (len(FREED) * 100 + PASS_NS)
    # The answers come one `ipi_send_ns` after the other, each after the handler and a pass.
    answers_ns = len(FREED) * (others * 3 + 20 + 100) + PASS_NS if others else 0
    assert totals["map_ns"] == MISSES * 7 + PASS_NS + answers_ns


def test_where_hardware_broadcasts_invalidations_no_other_cpu_makes_a_pass(tmp_path: Path) -> None:
    trace = rows(MISSES, page=np.arange(MISSES))
    profile = machine(tmp_path, 4, broadcast=1, **PRICES)
    outcome = simulate("global_pool_invlpg", profile, trace, options={"slots": str(SLOTS)})
    assert outcome.totals["ipis"] == outcome.time_in("interrupted") == 0
    assert outcome.totals["map_ns"] == MISSES * 7 + PASS_NS + len(FREED) * 50


# Tasks on two CPUs in turn: with four slots each slot is only ever mapped on one, and CPU 1 makes the passes.
TURNS = rows(12, task=np.arange(12) % 2, page=np.arange(12), time_ns=np.arange(12) * 100, think_ns=100)


@pytest.mark.parametrize(
    ("change", "is_found"),
    [
        ({}, False),
        ({INVALIDATES: "                pass\n"}, True),
        ({PASSES_AGAIN: f"{PASSES_AGAIN} % REPEAT_ALL"}, True),
    ],
    ids=["sound", "invalidates nothing", "other CPUs do not take part"],
)
def test_a_pass_that_leaves_an_entry_in_some_tlb_shows_as_a_stale_translation(
    change: dict[str, str], is_found: bool, tmp_path: Path
) -> None:
    allocator = mutate_allocator(tmp_path, "perhaps_broken", change, "global_pool_invlpg")
    outcome = simulate(allocator, machine(tmp_path, 2), TURNS, options={"slots": "4"})
    assert set(outcome.of_kind(E_FINDING)["value"]) == ({STALE_TRANSLATION} if is_found else set())
