"""Counts of a recording replayed as a trace are close to the kernel's."""

from __future__ import annotations

import pytest

from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.studies.conformance.free_running import Comparison, verify_free

KERNEL = {"slots": "512", "flush_if_any": "true"}


@pytest.fixture(scope="module")
def directories() -> Comparison:
    """wrap16: sixteen processes read directories at random; the pool is never exhausted."""
    return verify_free(recording_path("wrap16"), allocator="global_pool", machine="smp4-2002", options=KERNEL)


def test_every_mapping_of_the_recording_is_replayed(directories: Comparison) -> None:
    maps = directories.count("maps")
    assert (maps.kernel, maps.simulated) == (102_365, 102_365)


@pytest.mark.parametrize("what", ["misses", "scans", "TLB flushes"])
def test_a_pool_far_from_exhaustion_misses_and_flushes_as_often_as_the_kernel(
    directories: Comparison, what: str
) -> None:
    # Another interleaving moves single pages between passes: 120 passes leave some per cent of room.
    ratio = directories.count(what).ratio
    assert ratio == pytest.approx(1, abs=0.05)


def test_what_never_happened_in_the_kernel_has_no_ratio(directories: Comparison) -> None:
    sleeps = directories.count("sleeps")
    assert (sleeps.kernel, sleeps.simulated, sleeps.ratio) == (0, 0, None)


def test_the_text_says_what_was_replayed_on_what(directories: Comparison) -> None:
    head = directories.text().splitlines()[0]
    assert "flush, mean us" in directories.text()
    assert head.endswith(
        "global_pool (slots=512, flush_if_any=true) on smp4-2002, 4 CPUs, closed loop, seed 0"
    )
