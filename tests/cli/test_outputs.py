"""Where commands write: no file is overwritten unasked, endings are obeyed, - is standard output."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess

import pytest

from pipeline.errors import OutputError, UsageError
from pipeline.io.numbers import plain_number
from pipeline.io.outputs import ENDINGS, choose_form
from tests.cli.command import PIPELINE, answer, pipeline, refusal
from tests.trace.small import write_good

USAGE, OUTPUT = UsageError.exit_status, OutputError.exit_status


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A directory with a trace, two runs of which one has no log, and a file that shall stay."""
    directory = tmp_path_factory.mktemp("house")
    write_good(directory / "good.parquet")
    for events, place in (("full", "runs"), ("none", "totals")):
        words = ["-a", "direct_map", "-m", "smp4-2002", "-o", place, "--events", events, "--no-compile"]
        answer("replay", "good.parquet", *words, cwd=directory)
    for ending in ("parquet", "csv", "html", "toml", "duckdb", "pftrace", "txt"):
        (directory / f"mine.{ending}").write_text("mine")
    (directory / "full").mkdir()
    (directory / "full" / "mine.txt").write_text("mine")
    return directory


WRITERS = [
    "generate laptop --ops 10 -o mine.parquet",
    "import good.parquet -o mine.parquet",
    "transform good.parquet tasks=0 -o mine.parquet",
    "fit good.parquet -o mine.toml",
    "fit-machine wrap16 -o mine.toml",
    "record -o mine.parquet -- true",
    "record -o new.parquet --keep mine.txt -- true",
    "sql FROM\truns -o mine.csv",
    "report -o mine.html",
    "export runs -o mine.pftrace",
    "db -o mine.duckdb",
    "sweep good.parquet -a direct_map -m smp4-2002 --save mine.toml",
]


@pytest.mark.parametrize("words", WRITERS)
def test_a_file_that_is_there_is_left_alone(house, words):
    assert "already exists; choose another name, or overwrite it with --force" in refusal(
        *words.split(" "), cwd=house, status=OUTPUT
    )


def test_a_directory_with_files_is_left_alone(house):
    said = refusal("calibrate", "-o", "full", cwd=house, status=OUTPUT)
    assert said == "full: the directory is not empty; choose another name, or replace it with --force"


def test_force_overwrites(house, tmp_path):
    shutil.copy(house / "mine.parquet", tmp_path / "t.parquet")
    answer("generate", "laptop", "--ops", "1e1", "-o", "t.parquet", "--force", cwd=tmp_path)
    assert (tmp_path / "t.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generate laptop --ops 10 -o t.csv", "expected a name that ends in .parquet, found '.csv'"),
        ("transform good.parquet tasks=0 -o t.txt", "expected a name that ends in .parquet"),
        ("fit good.parquet -o t.yaml", "expected a name that ends in .toml, found '.yaml'"),
        ("sql FROM\truns -o t.xlsx", "expected a name that ends in .txt, .csv, .json or .parquet"),
        ("sql FROM\truns --format json -o t.csv", "the name ends in .csv, but the format is json"),
        (
            "report -o r.pdf",
            "expected a name that ends in .html, .htm, .json, .md, .png or .svg, found '.pdf'",
        ),
        ("export runs -o x.html", "expected a name that ends in .pftrace"),
        ("export runs --format csv -o x.parquet", "the name ends in .parquet, but the format is csv"),
        ("export runs -o x.parquet.gz", "gzip is not supported for parquet"),
        ("db -o x.csv", "expected a name that ends in .duckdb or .db, found '.csv'"),
        ("generate laptop --ops 10 -o -", "this command cannot write to standard output"),
        ("sql FROM\truns;FROM\tcosts -o t.csv", "expected one statement that returns rows, found 2"),
    ],
)
def test_a_name_that_contradicts_the_content_is_refused(house, words, said):
    assert said in refusal(*words.split(" "), cwd=house, status=USAGE)


def test_a_device_is_never_replaced(house):
    said = refusal("generate", "laptop", "--ops", 10, "-o", "/dev/null", "--force", cwd=house, status=OUTPUT)
    assert "found a device or pipe" in said


def test_every_ending_is_obeyed(house, tmp_path):
    answer("sql", "SELECT 1 AS a", "-r", house / "runs", "-o", "a.csv", cwd=tmp_path)
    assert (tmp_path / "a.csv").read_text() == "a\n1\n"
    answer("sql", "SELECT 1 AS a", "-r", house / "runs", "-o", "a.json", cwd=tmp_path)
    assert json.loads((tmp_path / "a.json").read_text()) == [{"a": 1}]
    answer("export", house / "runs", "-o", "log.csv", cwd=tmp_path)
    assert "event" in next(csv.reader((tmp_path / "log.csv").open()))
    answer("export", house / "runs", "-o", "log.json", cwd=tmp_path)
    assert "traceEvents" in json.loads((tmp_path / "log.json").read_text())


def test_a_dash_is_standard_output(house):
    assert answer("sql", "SELECT 1 AS a", "--format", "csv", "-o", "-", cwd=house) == "a\n1\n"
    assert answer("report", "--format", "md", "-o", "-", cwd=house).startswith("# ")
    done = pipeline("export", "runs", "--format", "csv", "-o", "-", cwd=house)
    assert "event" in next(csv.reader(io.StringIO(done.stdout)))
    assert done.stderr.startswith("-: ")
    words = [PIPELINE, "sql", "SELECT 1 AS a", "--format", "parquet", "-o", "-"]
    assert subprocess.run(words, cwd=house, capture_output=True, check=True).stdout[:4] == b"PAR1"


@pytest.mark.parametrize("form", ENDINGS)
def test_each_content_has_its_endings(tmp_path, form):
    for ending in ENDINGS[form]:
        assert choose_form(tmp_path / f"x{ending}", form, (form,)) == form
        assert choose_form(tmp_path / f"x{ending.upper()}", None, (form,)) == form
    assert choose_form(tmp_path / "x", None, (form,)) == form


def test_every_statement_is_answered(house):
    asked = "CREATE TEMP TABLE t AS SELECT $x AS a; FROM t; SELECT 2 AS b;"
    assert answer("sql", asked, "-s", "x=1k", "--format", "csv", cwd=house) == "a\n1000\nb\n2\n"
    assert "unknown parameter of 'query' 'y'" in refusal("sql", asked, "-s", "y=1", cwd=house, status=USAGE)


def test_a_printed_table_is_limited_unless_asked(house):
    done = pipeline("sql", "FROM range(3000)", cwd=house)
    assert len(done.stdout.splitlines()) == 1002
    assert "only the first 1,000 rows are shown; use --rows all or -o FILE" in done.stderr
    assert len(answer("sql", "FROM range(3000)", "--rows", "all", cwd=house).splitlines()) == 3002
    assert len(answer("sql", "FROM range(3000)", "--format", "csv", cwd=house).splitlines()) == 3001
    assert (
        len(answer("sql", "FROM range(3000)", "--rows", "2k", "--format", "csv", cwd=house).splitlines())
        == 2001
    )


def test_a_run_without_a_log_says_so(house):
    said = refusal("sql", "SELECT count(*) FROM flushes", "-r", "totals", cwd=house, status=3)
    assert said == "no log for direct_map; replay with --events full"
    both = pipeline("sql", "FROM flushes", "-r", "totals", "-r", "runs", cwd=house)
    assert both.returncode == 0
    assert both.stderr == "pipeline: no log for direct_map, log none; replay with --events full\n"
    assert "direct_map" in answer("sql", "FROM runs", "-r", "totals", cwd=house)
    said = refusal("sql", "FROM stretches", cwd=house, status=3)
    assert said == "no table of stretches for direct_map; replay with --events stretches"


def test_a_damaged_log_is_a_line(house, tmp_path):
    shutil.copytree(house / "runs", tmp_path / "runs")
    (table,) = tmp_path.glob("runs/*/operations.parquet")
    table.write_bytes(table.read_bytes()[:-10])
    said = refusal("sql", "FROM runs", cwd=tmp_path, status=3)
    assert "operations.parquet" in said
    assert "repeat the run" in said


@pytest.mark.parametrize(
    ("text", "number"),
    [("200k", "200000"), ("1.5M", "1500000"), ("1e6", "1000000"), ("2G", "2000000000"), ("1.25e1", "1.25e1"),
     ("7", "7"), ("k", "k"), ("1kk", "1kk"), ("-1k", "-1k"), ("", "")],
)  # fmt: skip
def test_numbers_may_be_short(text, number):
    assert plain_number(text) == number
