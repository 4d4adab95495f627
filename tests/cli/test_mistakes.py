"""Every mistake is one line that says what to do, with its exit status, and leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError, OutputError, UsageError
from tests.cli.command import answer, refusal
from tests.trace.small import write_damaged, write_good, writer

USAGE, INPUT, OUTPUT = (error.exit_status for error in (UsageError, InputError, OutputError))
ON = ("-m", "smp4-2002", "-a", "global_pool", "-o", "new")


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A directory with a good trace and run, and all sorts of bad files."""
    directory = tmp_path_factory.mktemp("house")
    good = write_good(directory / "good.parquet")
    answer("replay", good, "-a", "direct_map", "-m", "smp4-2002", "-o", "runs", cwd=directory)
    (directory / "nothing").mkdir()
    (directory / "text.parquet").write_text("not a table")
    (directory / "cut.parquet").write_bytes(good.read_bytes()[:-20])
    pq.write_table(pa.table({"time_ns": [1], "taks": [0]}), directory / "columns.parquet")
    wrong = pq.read_table(good)
    pq.write_table(wrong.set_column(5, "page", wrong["page"].cast("float64")), directory / "type.parquet")
    write_damaged(directory / "unordered.parquet", time_ns=[0, 10, 5, 200, 300])
    write_damaged(directory / "negative.parquet", hold_ns=[100, 50, -20, 9, 5])
    with writer(directory / "empty.parquet"):
        pass
    for name, text in {
        "broken.toml": "name = [", "unknown.toml": 'description = "x"\ntaks = 3\n', "no.sql": "SELEC 1",
        "report.toml": 'title = "x"\n[[section]]\ntitle = "y"\n[[section.item]]\nquery = "lockmetre"\n'
        'chart = "table"\ntitle = "z"\n',
    }.items():  # fmt: skip
        (directory / name).write_text(text)
    return directory


REPLAYED = [
    ("missing.parquet", "found no such file"),
    ("nothing", "found a directory"),
    ("cut.parquet", "truncated or damaged"),
    ("text.parquet", "found another format"),
    ("columns.parquet", "'taks' resembles 'task'"),
    ("type.parquet", "page is double, expected int64"),
    ("unordered.parquet", "rows that begin before the previous row: 1 (first at row 2)"),
    ("negative.parquet", "rows with a negative time or duration: 1 (first at row 2)"),
    ("empty.parquet", "expected a trace with operations, found none"),
]


@pytest.mark.parametrize(("trace", "said"), REPLAYED)
def test_a_trace_that_cannot_be_replayed(house, trace, said):
    assert said in refusal("replay", trace, *ON, cwd=house, status=INPUT)
    assert not list(house.glob("new/*"))


DIVIDED = "replay good.parquet -m numaq16 -a"
NAMES = [
    ("replay locl -m smp4-2002 -a global_pool", "unknown trace 'locl' (did you mean 'local'"),
    ("replay good.parquet -m numaq -a global_pool", "unknown machine 'numaq' (did you mean 'numaq16'"),
    (
        "replay good.parquet -m numaq16 -a global_pool --cost switch_n=1",
        "unknown cost 'switch_n' (did you mean 'switch_ns'",
    ),
    ("replay good.parquet -m numaq16 -a globl_pool", "unknown allocator 'globl_pool' (did you mean 'global"),
    (
        f"{DIVIDED} page_fult=atomic,default=global_pool",
        "unknown kind of operation 'page_fult' (did you mean",
    ),
    (
        f"{DIVIDED} page_fault=atomic,page_fault=sf_buf,default=atomic",
        "allocator for page_fault is given twice",
    ),
    (
        f"{DIVIDED} page_fault=atomic",
        "'page_fault=atomic' gives no allocator for the other kinds; add default=NAME",
    ),
    (
        f"{DIVIDED} page_fault=atomic,global_pool",
        "must have the form KIND=NAME,...,default=NAME, found 'global_pool'",
    ),
    (f"{DIVIDED} page_fault=atmic,default=global_pool", "unknown allocator 'atmic' (did you mean 'atomic'"),
    (f"{DIVIDED} page_fault=atomic,default=sf_buf -s slots=9", "give one of sf_buf.slots or atomic.slots"),
    (
        f"{DIVIDED} page_fault=atomic,default=sf_buf -s x.slots=9",
        "has no allocator 'x'; it has sf_buf, atomic",
    ),
    ("replay good.parquet -m numaq16 -a global_pool -s slot=3", "global_pool 'slot' (did you mean 'slots'"),
    ("generate lapto -o x.parquet", "unknown workload 'lapto' (did you mean 'laptop'"),
    ("workloads lapto", "unknown workload 'lapto' (did you mean 'laptop'"),
    ("machines numaq", "unknown machine 'numaq' (did you mean 'numaq16'"),
    ("allocators direct_mop", "unknown allocator 'direct_mop' (did you mean 'direct_map'"),
    ("queries lockmetre", "unknown query 'lockmetre' (did you mean 'lockmeter'"),
    ("sql -n lockmetre", "unknown query 'lockmetre' (did you mean 'lockmeter'"),
    ("report -d defalt", "unknown report 'defalt' (did you mean 'default'"),
    ("import good.parquet -o x.parquet --format trace-tabel", "'trace-tabel' (did you mean 'trace-table'"),
    ("validate -m numaq", "unknown machine 'numaq' (did you mean 'numaq16'"),
    ("validate -w kernel_bild", "unknown workload 'kernel_bild' (did you mean 'kernel_build'"),
    ("replay good.parquet -m numaq16 -a direct_map --lowmem page_falt", "did you mean 'page_fault'"),
    ("replya", "No such command 'replya'. Did you mean 'replay'"),
    ("replay --sed 4", "No such option: --sed"),
]


@pytest.mark.parametrize(("words", "said"), NAMES)
def test_an_unknown_name_is_met_with_the_nearest(house, words, said):
    assert said in refusal(*words.split(), cwd=house, status=USAGE)


REPLAY = "replay good.parquet -m numaq16 -a global_pool "
VALUES = [
    (REPLAY + "-s slots=one", "option slots expects 2..1048576, found 'one'"),
    (REPLAY + "-s slots=1", "option slots expects 2..1048576, found '1'"),
    (REPLAY + "-s wake=some", "option wake expects all | one, found 'some'"),
    (REPLAY + "-s flush_if_any=maybe", "option flush_if_any expects true | false, found 'maybe'"),
    (REPLAY + "-s slots", "--set expects KEY=VALUE, found 'slots'"),
    (REPLAY + "-s slots=3 -s slots=4", "--set gives 'slots' twice"),
    (REPLAY + "--cost broadcast=2", "cost broadcast: expected 0 to 1 0 | 1, found 2"),
    (REPLAY + "--cost switch_ns=a", "--cost switch_ns expects a whole number, found 'a'"),
    (REPLAY + "--cpus 0", "--cpus must be 1..64, found 0"),
    (REPLAY + "--cpus 65", "--cpus must be 1..64, found 65"),
    (REPLAY + "--cpus four", "Invalid value for '--cpus'"),
    (REPLAY + "--jitter much", "--jitter expects a percentage such as 0.5%, found 'much'"),
    (REPLAY + "--jitter 101%", "jitter must be 0 to 100 %, found 101"),
    (REPLAY + "--seed -1", "seed must be 0..9223372036854775807, found -1"),
    (REPLAY + "--loop open", "'open' is not one of 'closed', 'timed'"),
    (REPLAY + "--events some", "'some' is not one of 'full', 'stretches', 'none'"),
    ("replay good.parquet -m numaq16", "missing --allocator or -a; see '"),
    ("replay", "missing TRACE, --allocator or -a and --machine or -m"),
    ("replay good.parquet -m numaq16 -m numaq16 -a atomic", "--machine given more than once; use it once"),
    ("warm --workers 1 --workers 2", "--workers given more than once"),
    ("sql FROM\truns -f no.sql -f no.sql", "--file given more than once"),
    ("sweep status a b --all --all", "--all given more than once"),
    ("generate laptop -o x.parquet --ops 0", "operations: expected a whole number from 1"),
    ("sql", "expected exactly one of a query, --file and --name, found none"),
    ("sql SELEC", "Parser Error: syntax error at or near \"SELEC\""),
    ("sql FROM\tevnts", "Table with name evnts does not exist"),
    ("sql -f no.sql", "Parser Error"),
    ("sql FROM\truns --format cvs", "unknown format 'cvs'"),
    ("sql FROM\truns --format parquet", "choose a file with --output"),
    ("validate --seeds 0", "seeds must be 1 to 1000, found 0"),
    ("validate --row rows.csv --document x.md", "omit --row"),
    ("calibrate --evaluations 0", "evaluations must be 1 to 100000, found 0"),
    ("calibrate --workers 0", "Invalid value for '--workers'"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), VALUES)
def test_a_value_that_does_not_fit(house, words, said):
    assert said in refusal(*words.split(" "), cwd=house, status=USAGE)


FILES = [
    (
        "report -d report.toml",
        "report.toml: section.0.item.0.query: unknown query 'lockmetre' (did you mean 'lockmeter'",
    ),
    ("generate broken.toml -o x.parquet", "broken.toml:1: expected TOML"),
    ("generate unknown.toml -o x.parquet", "unknown key 'taks' (did you mean 'tasks'"),
    ("generate missing.toml -o x.parquet", "found no such file"),
    (
        "replay good.parquet -m broken.toml -a direct_map",
        "broken.toml:1: expected TOML, found a syntax error",
    ),
    ("replay good.parquet -m missing.toml -a direct_map", "found no such file"),
    ("replay good.parquet -m numaq16 -a missing.py", "found no such file"),
    ("sql -f missing.sql", "expected a .sql file, found no such file"),
    ("sql FROM\truns -r nothing", "found no manifest.json in it"),
    ("sql FROM\truns -r missing", "found no such directory"),
    ("report nothing", "found no manifest.json in it"),
    ("report missing", "found no such directory"),
    ("report -d broken.toml", "broken.toml:1: expected TOML, found a syntax error"),
    ("report -d missing.toml", "found no such file"),
    ("validate --row missing.csv", "expected lockmeter rows (CSV), found no such file"),
    ("validate --row no.sql", "no.sql:1: missing columns row, kernel"),
    ("validate --row good.parquet", "expected CSV in UTF-8, found invalid bytes"),
    ("doctor missing.parquet", "found no such file"),
    ("doctor text.parquet", "found another format"),
    ("import missing -o x.parquet", "found no such file"),
    ("import text.parquet -o x.parquet", "expected a recording in a known format"),
]


@pytest.mark.parametrize(("words", "said"), FILES)
def test_a_file_that_cannot_be_read(house, words, said):
    assert said in refusal(*words.split(" "), cwd=house, status=INPUT)


OUTPUTS = [
    ("generate laptop --ops 10 -o nothing", "found a directory"),
    ("generate laptop --ops 10 -o text.parquet/x.parquet", "cannot be written"),
    ("generate laptop --ops 10 -o /proc/nope/x.parquet", "cannot be written"),
    ("import good.parquet --format trace-table -o nothing", "found a directory"),
    ("replay good.parquet -m numaq16 -a direct_map -o text.parquet", "cannot be written (Not a directory)"),
    ("replay good.parquet -m numaq16 -a direct_map -o /proc/nope", "cannot be written"),
    ("sql FROM\truns -o nothing", "found a directory"),
    ("sql FROM\truns -o text.parquet/x", "cannot be written"),
    ("calibrate -o text.parquet", "expected a directory to write, found a file"),
    ("validate --document nothing", "found a directory"),
    ("report -o nothing", "found a directory"),
]


@pytest.mark.parametrize(("words", "said"), OUTPUTS)
def test_an_output_that_cannot_be_written(house, words, said):
    assert said in refusal(*words.split(" "), cwd=house, status=OUTPUT)


def test_a_run_whose_table_is_gone(house, tmp_path):
    shutil.copytree(house / "runs", tmp_path / "runs")
    (table,) = tmp_path.glob("runs/*/events.parquet")
    table.unlink()
    said = refusal("sql", "FROM runs", cwd=tmp_path, status=INPUT)
    assert "events.parquet: expected a table of the run's log, listed in its manifest, found no" in said
