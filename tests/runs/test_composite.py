"""A run that several designs share: its manifest names them all, and the same mapping is the same run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import make_app
from pipeline.errors import InputError
from pipeline.schema.names import KINDS
from pipeline.sql.query import sql
from tests.machine.runs import mutate_allocator
from tests.runs.made import build_trace, contents, replayed, storm_trace

HIGHPTE = "page_fault=atomic,default=global_pool"
OPTIONS = {"options": {"global_pool.slots": "512", "nesting": "4"}}


def test_the_manifest_names_the_designs_what_they_serve_and_what_they_cost_together(tmp_path: Path) -> None:
    run = replayed(build_trace(tmp_path, 1_000), tmp_path / "runs", HIGHPTE, compiled=False, **OPTIONS)
    manifest = run.manifest
    assert manifest.label == "atomic (nesting=4) for page_fault, global_pool (slots=512) for the rest"
    whole, (pool, atomic) = manifest.allocator, manifest.allocator.parts
    assert whole.name == "global_pool+atomic"
    assert (whole.options["global_pool.slots"], whole.options["atomic.nesting"]) == (512, 4)
    assert (pool.name, atomic.name) == ("global_pool", "atomic")
    assert (pool.options["slots"], atomic.options["nesting"]) == (512, 4)
    assert atomic.kinds == ["page_fault"]
    assert sorted(pool.kinds + atomic.kinds) == sorted(KINDS)
    assert (pool.first_slot, atomic.first_slot) == (0, 512)
    assert whole.address_space_pages == pool.address_space_pages + atomic.address_space_pages == 512 + 4 * 4
    assert whole.page_struct_bytes == pool.page_struct_bytes == 4
    log = sql([run.path], "SELECT kind, slot FROM operations").to_dict(as_series=False)
    for kind, slot in zip(log["kind"], log["slot"], strict=True):
        assert (slot >= 512 + 1024) == (kind == "page_fault")
    assert len(set(log["kind"])) > 1


def test_the_same_mapping_in_other_words_is_the_same_run_and_another_is_not(tmp_path: Path) -> None:
    trace = build_trace(tmp_path, 200)
    run, again, other, one = (
        replayed(trace, tmp_path / "runs", allocator, compiled=False)
        for allocator in (
            HIGHPTE,
            "default=global_pool, page_fault=atomic",
            "copy_to_user=atomic,default=global_pool",
            "page_fault=global_pool,default=global_pool",
        )
    )
    assert (run.path, again.cached) == (again.path, True)
    assert other.path != run.path
    assert one.manifest.allocator.parts == []
    assert one.path == replayed(trace, tmp_path / "runs", compiled=False).path
    assert len(contents(tmp_path / "runs")) == 3


def test_the_command_in_the_manifest_makes_the_run_again(tmp_path: Path) -> None:
    trace = build_trace(tmp_path, 200)
    run = replayed(trace, tmp_path / "runs", HIGHPTE, compiled=False, **OPTIONS)
    words = shlex.split(run.manifest.command)[1:]
    result = CliRunner().invoke(make_app(), [*words, "--no-compile"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.strip() == str(run.path)


def test_a_mistake_in_the_file_of_one_of_them_is_told_with_its_line(tmp_path: Path) -> None:
    broken = mutate_allocator(
        tmp_path, "broken", {"    reserved = a.": "    reserved = a.no_"}, "global_pool"
    )
    mapping = f"copy_to_user={broken.path},default=atomic"
    with pytest.raises(InputError, match=rf"{broken.path}, line \d+: AttributeError: .*no_options"):
        replayed(build_trace(tmp_path, 200), tmp_path / "runs", mapping, compiled=False)
    assert contents(tmp_path / "runs") == []


def test_what_one_of_them_does_wrong_is_a_finding_in_its_name(tmp_path: Path) -> None:
    nobody_is_woken = {"WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END": "END"}
    broken = mutate_allocator(tmp_path, "forgetful", nobody_is_woken, "global_pool")
    mapping = f"page_fault={broken.path},default=atomic"
    how = {"options": {"forgetful.slots": "32"}, "cpus": 8, "compiled": False}
    findings = replayed(storm_trace(tmp_path), tmp_path / "runs", mapping, **how).manifest.findings
    assert [finding.finding for finding in findings] == ["deadlock", "lost_wakeup"]
    assert findings[1].message.startswith("forgetful: ")
