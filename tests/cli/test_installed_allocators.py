"""Designs of installed packages: found by their entry points, and one that is broken is one clear line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.allocators.new import new_allocator

_GROUP = "[pipeline.allocators]\n"


def installed(site: Path, package: str, points: str) -> None:
    """Lay out a package as an installer does, with these lines of entry points."""
    info = site / f"{package}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(_GROUP + points)


def ran(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.append({str(site)!r}); from pipeline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=site, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Packages with a good design, with several sorts of broken ones, and two that clash."""
    site = tmp_path_factory.mktemp("site")
    new_allocator("good", site / "acme")
    (site / "acme" / "__init__.py").touch()
    (site / "acme" / "empty.py").touch()
    (site / "acme" / "raising.py").write_text("raise ValueError('at\\nonce')\n")
    (site / "angry").mkdir()
    (site / "angry" / "__init__.py").write_text("raise RuntimeError('not\\ntoday')\n")
    installed(
        site,
        "acme-kmap",
        "good = acme.good\nempty = acme.empty\nraising = acme.raising\nabsent = acme.absent\n"
        "nowhere = no_such.thing\nfunction = acme.good:map_step\nangry = angry.design\n"
        "global_pool = acme.good\ntwice = acme.good\n",
    )
    installed(site, "other", "twice = acme.good\n")
    return site


def test_an_installed_design_is_listed_with_its_package_and_replayed_by_name(site):
    listed = ran(site, "allocators").stdout.splitlines()
    (line,) = (line for line in listed if line.startswith("good "))
    assert line.endswith("good: a few slots per CPU; the task is pinned while it maps (from acme-kmap 1.2)")
    assert "slots_per_cpu" in ran(site, "allocators", "good").stdout
    assert ran(site, "generate", "laptop", "-o", "t.parquet", "--ops", "300").returncode == 0
    run = ran(site, "replay", "t.parquet", "-a", "good", "-m", "smp4-2002", "--no-compile")
    assert run.returncode == 0, run.stderr
    manifest = json.loads((site / run.stdout.strip() / "manifest.json").read_text())
    assert manifest["label"] == "good"
    assert manifest["totals"]["misses"] == 300


BROKEN = {
    "empty": "empty.py: not an allocator: it does not define SUMMARY, map_step, unmap_step",
    "raising": "raising.py, line 1: cannot be imported: ValueError: at once",
    "absent": "refers to 'acme.absent', which is not a Python file; fix or uninstall the package",
    "nowhere": "to 'no_such.thing', which is not found: ModuleNotFoundError: No module named 'no_such'",
    "function": "must be a module as in 'package.module', found 'acme.good:map_step'",
    "angry": "refers to 'angry.design', which is not found: RuntimeError: not today",
    "twice": "acme-kmap 1.2 and other 1.2 each have a design of this name; uninstall one",
}


def test_a_broken_one_is_one_line_of_the_list_and_hides_no_other(site):
    done = ran(site, "allocators")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for name, said in BROKEN.items():
        found = [line for line in lines if line.split()[0] == name]
        assert found
        assert all(said in line and "cannot be used (from " in line for line in found), found
    first, second = (line for line in lines if line.split()[0] == "global_pool")
    assert "mainline 2.4" in first
    assert "cannot be used (from acme-kmap 1.2): a shipped design has this name" in second


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_is_refused_by_name_in_one_line(site, name):
    done = ran(site, "allocators", name)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, "")
    assert BROKEN[name] in line
