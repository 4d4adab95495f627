"""Every command once, as installed: what it prints where, and what it makes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from pipeline import cli
from pipeline.cli import make_app
from pipeline.io.resources import shipped_files
from tests.cli.command import PIPELINE, answer, pipeline, refusal

ROOT = get_command(make_app())
STUDY = ROOT.commands["study"]
COMMANDS = sorted(ROOT.commands)
HIDDEN = {name for name, command in ROOT.commands.items() if command.hidden}
HEAVY = ("numpy", "numba", "pyarrow", "polars", "duckdb", "altair", "pydantic", "rich.progress")


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A directory with a trace and a run of it."""
    directory = tmp_path_factory.mktemp("house")
    answer("generate", "laptop", "-o", "t.parquet", "--ops", 2000, "--seed", 7, cwd=directory)
    answer("replay", "t.parquet", "-a", "global_pool", "-m", "smp4-2002", "-s", "slots=64", cwd=directory)
    return directory


def test_every_command_file_is_a_command_that_help_lists(tmp_path):
    files = {path.stem.rstrip("_").replace("_", "-") for path in Path(cli.__file__).parent.glob("[a-z]*.py")}
    shown = set(COMMANDS) - HIDDEN
    assert shown <= files <= set(COMMANDS)
    help_text = answer("--help", cwd=tmp_path)
    assert {name for name in COMMANDS if f"\n  {name} " in help_text} == shown
    assert answer(cwd=tmp_path) == help_text


def test_a_study_is_also_known_by_the_name_it_had():
    aliases = {"designs": "matrix", "verify": "kernel", "validate": "lockmeter"}
    assert set(aliases) == HIDDEN
    assert {name for name, command in STUDY.commands.items() if not command.hidden} == set(aliases.values())
    for alias, name in aliases.items():
        assert ROOT.commands[alias].help == STUDY.commands[name].help
        assert [p.opts for p in ROOT.commands[alias].params] == [p.opts for p in STUDY.commands[name].params]


def test_study_without_a_name_lists_the_studies(tmp_path):
    listed = answer("study", cwd=tmp_path)
    assert all(f" {name}" in listed for name, command in STUDY.commands.items() if not command.hidden)


@pytest.mark.parametrize("name", [*COMMANDS, *(f"study {name}" for name in STUDY.commands)])
def test_help_documents_every_argument_and_option(name):
    command = ROOT
    for word in name.split():
        command = command.commands[word]
    assert command.help
    for parameter in command.params:
        assert parameter.help, parameter.name


def test_help_is_printed_without_the_heavy_libraries():
    code = "import sys, pipeline.cli; print([m for m in sys.argv[1:] if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_generate_and_doctor(house):
    assert "t2.parquet: 2,000 operations" in answer(
        "generate", "laptop", "-o", "t2.parquet", "--ops", 2000, "--seed", 7, cwd=house
    )
    assert (house / "t2.parquet").read_bytes() == (house / "t.parquet").read_bytes()
    assert "t.parquet" in answer("doctor", "t.parquet", cwd=house)
    assert json.loads(answer("doctor", "t.parquet", "--format", "json", cwd=house))["usable"]


def test_import_takes_a_recording_apart(house):
    recording = shipped_files("traces", ".parquet")["local"]
    said = answer("import", recording, "-o", "imported.parquet", "--format", "trace-table", cwd=house)
    assert "156,322 operations from 156,322 rows" in said
    assert "operations" in answer("doctor", "imported.parquet", cwd=house)


def test_replay_prints_the_runs_directory_alone_and_the_summary_aside(house):
    done = pipeline(
        "replay", "t.parquet", "-a", "global_pool", "-m", "smp4-2002", "-s", "slots=64", cwd=house
    )
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert json.loads((house / line / "manifest.json").read_text())["label"] == "global_pool (slots=64)"
    assert "2,000 operations" in done.stderr
    assert "(existing run)" in done.stderr


def test_a_run_with_a_finding_is_kept_and_exits_with_5(house):
    words = [
        "replay",
        "t.parquet",
        "-a",
        deadlocking(house),
        "-m",
        "smp4-2002",
        "--no-compile",
        "-o",
        "found",
    ]
    done = pipeline(*words, cwd=house)
    assert done.returncode == 5
    assert (house / done.stdout.strip() / "manifest.json").exists()
    assert "pipeline: deadlocking ended with a finding: deadlock: 6 tasks sleep" in done.stderr
    # It is as much of a failure when it is found in the cache.
    assert pipeline(*words, cwd=house).returncode == 5


def deadlocking(directory: Path) -> Path:
    path = directory / "deadlocking.py"
    path.write_text(
        "from pipeline.allocators.api.actions import DONE, SLEEP\n"
        "from pipeline.jit.marks import inline\n"
        "SUMMARY = 'everybody sleeps'\n"
        "@inline\ndef map_step(a, r, d):\n    return SLEEP\n"
        "@inline\ndef unmap_step(a, r, d):\n    return DONE\n"
    )
    return path


def test_validate_puts_a_row_of_ones_own_beside_its_prediction(house):
    (house / "rows.csv").write_text(
        "row,kernel,page_tables_in_highmem,series,slots_per_series,site,util_pct,contended_pct,hold_mean_us,"
        "hold_max_us,wait_mean_us,wait_max_us,wait_cpu_pct,acquisitions,wall_s,cpus,source\n"
        "M,mine,true,2,512,all,33.4,,,,,,,20000,,8,me\n"
    )
    said = answer("study", "lockmeter", "--row", "rows.csv", "--seeds", 2, cwd=house)
    assert "row M: mine, page tables in highmem, 2 series of 512 slots, 8 CPUs" in said
    assert "series_pool (slots=512) on numaq16, trace kernel_build, closed loop, seeds 0 to 1" in said
    (acquisitions,) = (line.split() for line in said.splitlines() if " acquisitions " in line)
    assert acquisitions[2:] == ["20,000", "20,000", "20,000", "..", "20,000", "1.00", "yes"]


def test_low_memory_needs_no_mapping(house):
    done = pipeline(
        "replay", "t.parquet", "-a", "global_pool", "-m", "smp4-2002", "-o", "low", "--lowmem",
        "copy_to_user",
        "--events", "none", cwd=house,
    )  # fmt: skip
    assert "copy_to_user in low memory" in done.stderr
    manifest = json.loads((house / done.stdout.strip() / "manifest.json").read_text())
    totals = manifest["totals"]
    assert manifest["lowmem"] == ["copy_to_user"]
    assert 0 < totals["hits"] + totals["misses"] < totals["operations"] == 2000
    assert "--lowmem copy_to_user" in manifest["command"]


def test_sql_answers_can_be_parsed(house):
    query = "SELECT run, operations, hits * 1.0 / operations AS share FROM runs"
    (record,) = json.loads(answer("sql", query, "--format", "json", cwd=house))
    (row,) = csv.DictReader(io.StringIO(answer("sql", query, "--format", "csv", cwd=house)))
    assert record["operations"] == int(row["operations"]) == 2000
    assert record["share"] == float(row["share"])
    assert "global_pool (slots=64)" in answer("sql", query, cwd=house)


def test_sql_takes_a_file_a_name_and_settings(house):
    (house / "mine.sql").write_text("SELECT $x + 1 AS next FROM runs")
    assert answer("sql", "-f", "mine.sql", "-s", "x=4", "--format", "csv", cwd=house) == "next\n5\n"
    rows = json.loads(answer("sql", "-n", "slowest_operations", "-s", "top=2", "--format", "json", cwd=house))
    assert len(rows) == 2
    assert answer("sql", "FROM runs", "--format", "parquet", "-o", "runs.parquet", cwd=house) == ""
    assert (house / "runs.parquet").read_bytes()[:4] == b"PAR1"


def test_report_makes_one_page(house):
    assert answer("report", "-o", "out/page.html", cwd=house) == "out/page.html\n"
    assert "global_pool (slots=64)" in (house / "out" / "page.html").read_text()


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        ("allocators", "global_pool", "slots"),
        ("machines", "numaq16", "ipi_send_ns = "),
        ("workloads", "laptop", "[page_sets."),
        ("queries", "lockmeter", "UTIL"),
    ],
)
def test_lists_name_what_can_be_described(tmp_path, command, name, said):
    assert any(line.split()[0] == name for line in answer(command, cwd=tmp_path).splitlines())
    assert said in answer(command, name, cwd=tmp_path)


def test_views_are_described(tmp_path):
    assert "lock_holds: " in answer("queries", "--views", cwd=tmp_path)


def test_the_installed_command_refuses_as_its_entry_point_does(tmp_path):
    words = ("replay", "missing.parquet", "-a", "global_pool", "-m", "numaq16")
    done = pipeline(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"pipeline: {refusal(*words, cwd=tmp_path, status=3)}\n"


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path):
    writer = subprocess.Popen(
        [PIPELINE, "queries", "--views"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    writer.stdout.close()
    writer.wait(timeout=60)
    assert "Traceback" not in writer.stderr.read()
