"""The sections on recordings of a real kernel have the results of lock-step and free-running replays."""

from __future__ import annotations

import pytest

from pipeline.studies.conformance import conformance_page


@pytest.fixture(scope="module")
def text() -> str:
    """The sections with one replay for each change instead of the many of the document."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conformance_page, "SEEDS", (0,))
        patch.setattr(conformance_page, "_FLUSHES", (0.5,))
        return conformance_page.write_conformance()


def test_lock_step_shows_no_difference_on_the_shipped_recordings(text: str) -> None:
    assert "| **differences** | **0** | **0** |" in text
    assert "| slot | 102,365 | 13,000 |" in text


def test_free_running_names_machine_loop_and_seed(text: str) -> None:
    assert "The table shows means of seeds\n0 with 4 CPUs in a closed loop." in text


def test_measured_prices_stand_with_their_counts(text: str) -> None:
    assert "| kcsleep2 | ipi_latency_ns | 2,9" in text
    assert "- wrap16: scan_slot_ns: 0 scans that freed nothing; at least 5 are required" in text


def scans(text: str, row: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith(f"| {row}"))
    return int(line.split("|")[2].replace(",", ""))


def test_measured_prices_bring_the_scans_near_the_kernels(text: str) -> None:
    kernel, named, measured = (scans(text, row) for row in ("kernel", "all costs from", "measured costs"))
    assert named > 2 * kernel
    assert 1 / 1.3 < measured / kernel < 1.3
