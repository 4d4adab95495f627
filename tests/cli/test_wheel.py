"""The wheel brings everything the command needs, so that it works away from any checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel lies unpacked, as an installer would leave it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def ran(installed: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("command", "shipped"),
    [
        ("workloads", "kernel_build"),
        ("queries", "lockmeter"),
        ("machines", "numaq16"),
        ("allocators", "global_pool"),
    ],
)
def test_what_is_shipped_is_found_from_any_directory(installed: Path, command: str, shipped: str) -> None:
    assert any(line.startswith(shipped) for line in ran(installed, command).splitlines())


def test_a_new_allocator_is_written_and_replayed_from_any_directory(installed: Path, tmp_path: Path) -> None:
    allocator, test, *_ = ran(installed, "new", "allocator", "mine", "-o", str(tmp_path)).splitlines()
    assert "def test_" in Path(test).read_text()
    trace = str(tmp_path / "t.parquet")
    ran(installed, "generate", "laptop", "-o", trace, "--ops", "300")
    words = ("-a", allocator, "-m", "smp4-2002", "-o", str(tmp_path / "runs"), "--no-compile")
    assert "/mine-" in ran(installed, "replay", trace, *words)


def test_a_shipped_recording_is_replayed_and_reported_from_any_directory(
    installed: Path, tmp_path: Path
) -> None:
    run = ran(
        installed, "replay", "kcsleep2", "-a", "direct_map", "-m", "smp4-2002", "-o", str(tmp_path / "runs")
    ).strip()
    page = ran(installed, "report", run, "-o", str(tmp_path / "x.html")).strip()
    assert Path(page).stat().st_size > 100_000


def test_the_code_that_ran_is_the_wheels(installed: Path) -> None:
    code = "import pipeline.io.resources as r; print(r.shipped_folder('queries'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(installed / "pipeline" / "shipped" / "queries")


def test_the_wheel_is_typed_and_has_its_licence(installed: Path) -> None:
    assert (installed / "pipeline" / "py.typed").is_file()
    (text,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert text.read_text(encoding="utf-8").startswith("MIT License")
