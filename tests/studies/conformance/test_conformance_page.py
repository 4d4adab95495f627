"""The chapters on recordings of a real kernel say what verify finds, and explain what free-running shows."""

from __future__ import annotations

import pytest

from pipeline.studies.conformance import conformance_page


@pytest.fixture(scope="module")
def text() -> str:
    """The chapters with one replay for each change, of the many that the document has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conformance_page, "SEEDS", (0,))
        patch.setattr(conformance_page, "AS_RECORDED", (1.0,))
        return conformance_page.write_conformance()


def test_lock_step_shows_no_difference_on_the_shipped_recordings(text: str) -> None:
    assert "| **differences** | **0** | **0** |" in text
    assert "| slot | 102,365 | 13,000 |" in text


def test_free_running_names_machine_loop_and_seed(text: str) -> None:
    assert "Machine smp4-2002 with 4 CPUs, closed loop, seed\n0" in text


def scans(text: str, row: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith(f"| {row}"))
    return int(line.split("|")[2].replace(",", ""))


def test_a_flush_as_long_as_the_recorded_ones_brings_the_scans_near_the_kernels(text: str) -> None:
    kernel, plain, slow = (scans(text, row) for row in ("kernel", "as above", "a flush waits 2.96 ms"))
    assert plain > 2 * kernel
    assert 0.5 < slow / kernel < 2
