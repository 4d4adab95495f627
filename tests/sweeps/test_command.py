"""`pipeline sweep` as a user gives it: words and grids, dry runs, progress without a terminal, mistakes."""

from __future__ import annotations

import gc
import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sweeps.command import grid_of_words, parse_shard
from pipeline.sweeps.directory import create_sweep
from pipeline.sweeps.grid import read_grid
from pipeline.sweeps.status import read_status
from tests.cli.command import pipeline, refusal
from tests.sweeps.made import FAILS, design, swept

WORDS = ["kernel_build", "-a", "direct_map", "-m", "modern-x86-64,numaq16", "--cpus", "1,2", "--ops", "100"]


def test_the_same_command_resumes_and_says_what_is_there(tmp_path):
    first = pipeline("sweep", *WORDS, "--no-compile", "-o", "s", cwd=tmp_path)
    assert (first.returncode, first.stdout) == (0, "s\n")
    assert first.stderr == "4 of 4 runs are done, 4 of them new\n"
    again = pipeline("sweep", *WORDS, "--replications", 2, "--no-compile", "-o", "s", cwd=tmp_path)
    assert again.stderr == ("4 of 8 runs exist\n8 of 8 runs are done, 4 of them new\n")
    status = pipeline("sweep", "status", "s", cwd=tmp_path)
    assert status.stdout == "s: 8 runs of the grid: 8 done\n"
    listed = pipeline("sweep", "status", "s", "--all", cwd=tmp_path).stdout.splitlines()
    assert len(listed) == 8
    assert "done     direct_map on modern-x86-64, 1 CPU: kernel_build, replication 0" in listed[0]
    key = listed[0].split()[0]
    explained = pipeline("sweep", "explain", "s", key[:10], cwd=tmp_path).stdout
    assert explained.startswith(f"{key}: direct_map on modern-x86-64, 1 CPU: kernel_build")
    assert "\nstate: done\n" in explained


def test_a_dry_run_makes_nothing_and_says_how_long_it_would_take(tmp_path):
    dry = pipeline("sweep", *WORDS, "--dry-run", "-o", "s", cwd=tmp_path)
    assert dry.stdout == (
        "4 runs: 0 exist, 4 to make\n"
        "  direct_map  kernel_build  4 runs  400 operations\n"
        "1 trace of 100 operations to generate\n"
        "no estimate of the time: the sweep has no finished runs yet\n"
    )
    assert not (tmp_path / "s").exists()
    pipeline("sweep", *WORDS, "--no-compile", "-o", "s", cwd=tmp_path)
    dry = pipeline("sweep", *WORDS, "--seed", 1, "--dry-run", "--workers", 4, "-o", "s", cwd=tmp_path)
    assert "on 4 CPUs, estimated from runs of this sweep" in dry.stdout


def test_a_saved_grid_is_the_same_sweep(tmp_path):
    pipeline("sweep", *WORDS, "--no-compile", "-o", "s", "--save", "grid.toml", cwd=tmp_path)
    again = pipeline("sweep", "grid.toml", "-o", "s", cwd=tmp_path)
    assert again.stderr == "4 of 4 runs exist\n4 of 4 runs are done, 0 of them new\n"
    assert read_grid(tmp_path / "grid.toml") == read_grid(tmp_path / "s" / "grid.toml")


def test_factors_beside_a_grid_replace_its_own(tmp_path):
    (tmp_path / "g.toml").write_text('trace = "local"\nallocator = "atomic"\nmachine = "numaq16"\n')
    file = str(tmp_path / "g.toml")
    grid = grid_of_words([file], {"allocator": ["sf_buf,page_fault=atomic"]}, {}, {"seed": 2})
    assert (grid.trace, grid.seed) == (("local",), 2)
    assert grid_of_words([file], {"allocator": ["sf_buf,atomic"]}, {}, {}).allocator == ("sf_buf", "atomic")
    options = grid_of_words([file], {}, {"options": ("--set", ["a.b=1..4", "c=x,true"])}, {}).options
    assert options == {"a.b": (1, 2, 4), "c": ("x", True)}


def test_several_designs_by_kind_are_one_value(tmp_path):
    grid = grid_of_words(
        ["local"],
        {"allocator": ["page_fault=atomic,default=global_pool", "sf_buf,atomic"], "machine": ["numaq16"]},
        {},
        {},
    )
    assert grid.allocator == ("page_fault=atomic,default=global_pool", "sf_buf", "atomic")


def test_failures_are_named_and_the_status_tells(tmp_path):
    bad = design(tmp_path, "bad", FAILS)
    words = ["kernel_build", "-a", f"direct_map,{bad}", "-m", "numaq16", "--ops", 100, "--no-compile"]
    done = pipeline("sweep", *words, "-o", "s", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "s\n")
    named, count, last = done.stderr.splitlines()
    assert named.startswith("failed ") and named.endswith(
        "bad.py, line 7: ValueError: this design fails; fix the file"
    )
    assert count == "1 of 2 runs are done, 1 of them new"
    assert last.startswith("pipeline: 1 run of 2 have failed; 'pipeline sweep status s' lists them")


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        ("sweep local -a atomic -m numaq16 --replications 2 --cpus 1..5", "misses its end", 2),
        ("sweep locl -a atomic -m numaq16", "unknown trace 'locl' (did you mean 'local'", 2),
        (
            "sweep local",
            "a sweep of traces requires --allocator and --machine; or give the .toml file of a grid",
            2,
        ),
        ("sweep gone.toml", "gone.toml: expected a grid (TOML), found no such file", 3),
        ("sweep bad.toml", "bad.toml: unknown factor 'machin' (did you mean 'machine'", 3),
        ("sweep open.toml", "open.toml:1: expected TOML, found a syntax error: ", 3),
        ("sweep local -a atomic -m numaq16 --shard 0/2", "--shard must be I/N with I from 1 to N", 2),
        (
            "sweep local -a atomic -m numaq16 --seed 0 --cpus 1..64 --most 6",
            "the grid has 7 runs, more than 6",
            2,
        ),
        ("sweep local -a atomic -m numaq16 --set slts=1", "unknown option 'slts'", 2),
        ("sweep local -a atomic -m modern-x86-64 --replications 2", "with --jitter 0.5% runs differ", 2),
        ("sweep status .", "expected the directory of a sweep, found another directory", 3),
        ("sweep status s", "expected the directory of a sweep, found no such directory", 3),
        ("sweep explain s ab", "expected the directory of a sweep, found no such directory", 3),
        ("sweep rerun s ab", "expected the directory of a sweep, found no such directory", 3),
        (
            "sweep local -a atomic -m numaq16 -o .",
            "expected a sweep or a new directory, found other files",
            4,
        ),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(tmp_path, words, said, status):
    (tmp_path / "bad.toml").write_text("machin = 1")
    (tmp_path / "open.toml").write_text("trace = [")
    assert said in refusal(*words.split(), cwd=tmp_path, status=status)


def test_shards_are_counted_from_one():
    assert parse_shard("3/64") == (3, 64)


def test_status_of_a_hundred_thousand_runs_takes_less_than_two_seconds(tmp_path):
    swept(tmp_path)
    sweep = create_sweep(tmp_path)
    row = pq.read_table(sweep.plan).to_pylist()[0]
    keys = [f"{k:016x}" for k in range(100_000)]
    pq.write_table(pa.Table.from_pylist([row | {"key": key} for key in keys]), sweep.plan)
    line = json.loads(next(sweep.journal.glob("*.states.jsonl")).read_text())
    text = "".join(json.dumps(line | {"key": key}) + "\n" for key in keys)
    (sweep.journal / "other-1-1.states.jsonl").write_text(text)
    # The command is a process of its own: what other tests left in this one is no part of its time.
    gc.collect()
    gc.freeze()
    begun_s = time.process_time()
    listed = read_status(tmp_path).lines()
    taken_s = time.process_time() - begun_s
    gc.unfreeze()
    assert taken_s < 2
    assert listed.count("  done  ") == 100_000
