"""One compile, recorded once by perf and once by strace: what the two traces must agree in, and what not.

They must agree in what the programs asked the kernel for: which files' pages were copied, how often and how
many bytes. They need not agree in

- page faults, which strace does not see;
- reads by the kernel itself, likewise;
- times: strace stops a task twice for each call;
- which pages are one, of files that were made meanwhile: the compiler's temporary files get the inode number
  of one that was removed before, while their paths are all different.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline.importing.import_trace import import_trace
from pipeline.trace.doctor import doctor
from tests.importing.recorded import SAMPLES


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    directory = tmp_path_factory.mktemp("make")

    def imported(name: str) -> Path:
        output = directory / f"{name}.parquet"
        if not output.exists():
            import_trace(SAMPLES / f"make.{name}.txt.xz", output)
        return output

    return imported


def _copies(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path).filter(pl.col("kind").cast(pl.String).str.starts_with("copy"))


def test_pages_and_bytes_copied_agree(trace: Callable[[str], Path]) -> None:
    def sums(name: str) -> list[tuple[str, int, int]]:
        grouped = _copies(trace(name)).group_by("kind").agg(pl.len(), pl.col("bytes").sum())
        return grouped.with_columns(pl.col("kind").cast(pl.String)).sort("kind").rows()

    assert sums("perf-script") == sums("strace")
    assert sums("strace") == [("copy_from_user", 419, 897_485), ("copy_to_user", 6327, 15_578_630)]


def test_sizes_of_the_copies_agree_in_order(trace: Callable[[str], Path]) -> None:
    def sizes(name: str) -> list[int]:
        return sorted(_copies(trace(name))["bytes"].to_list())

    assert sizes("perf-script") == sizes("strace")


def test_files_that_were_only_read_agree_page_by_page(trace: Callable[[str], Path]) -> None:
    def only_read(name: str) -> tuple[int, int, int]:
        copies = _copies(trace(name))
        written = copies.filter(pl.col("kind") == "copy_from_user")["page"].unique()
        read = copies.filter(~pl.col("page").is_in(written.implode()))
        return read["page"].n_unique(), read.height, read["bytes"].sum()

    assert only_read("perf-script") == only_read("strace") == (231, 6008, 14_524_718)


def test_files_that_were_made_in_anothers_place_are_fewer_by_inode(trace: Callable[[str], Path]) -> None:
    def written(name: str) -> int:
        return _copies(trace(name)).filter(pl.col("kind") == "copy_from_user")["page"].n_unique()

    assert (written("perf-script"), written("strace")) == (131, 244)


def test_tasks_agree_but_for_one_that_copied_nothing(trace: Callable[[str], Path]) -> None:
    tasks = {name: pl.read_parquet(trace(name))["task"].n_unique() for name in ("perf-script", "strace")}
    assert tasks == {"perf-script": 82, "strace": 81}


def test_only_perf_sees_faults_and_the_kernels_own_reads(trace: Callable[[str], Path]) -> None:
    kinds = pl.read_parquet(trace("perf-script"))["kind"].cast(pl.String).value_counts()
    assert dict(kinds.filter(~pl.col("kind").str.starts_with("copy")).rows()) == {
        "page_fault": 86_318,
        "other": 400,
    }
    assert set(pl.read_parquet(trace("strace"))["kind"].unique()) == {"copy_to_user", "copy_from_user"}


def test_the_doctor_finds_nothing_wrong_with_either(trace: Callable[[str], Path]) -> None:
    for name in ("perf-script", "strace"):
        found = {problem.code for problem in doctor(trace(name)).problems}
        assert all(code.startswith("loss_") for code in found), found
