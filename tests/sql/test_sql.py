"""`pipeline sql` and `pipeline queries`, from arguments to standard output."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.queries import queries
from pipeline.cli.sql import sql as sql_command
from pipeline.errors import UsageError
from pipeline.io.numbers import format_number
from pipeline.sql.query import parse_settings, sql
from tests.sql.handmade import make_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    make_run(directory / "a", 'one, "two"', [{"done_ns": 1_234_567_891}])
    return directory


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(sql_command)
    app.command()(queries)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_csv_and_json_are_clean_and_exact(runs, invoke):
    arguments = ("sql", "SELECT run, wall_ns, wall_ns / 7 AS part, NULL AS none FROM runs", "--runs", runs)
    expected = ('one, "two"', 1_234_567_891, 1_234_567_891 / 7, None)
    assert pl.read_csv(io.StringIO(invoke(*arguments, "--format", "csv").stdout)).rows() == [expected]
    assert [tuple(r.values()) for r in json.loads(invoke(*arguments, "--format", "json").stdout)] == [
        expected
    ]


def test_the_table_separates_thousands(runs, invoke):
    result = invoke("sql", "SELECT run, wall_ns FROM runs", "--runs", runs)
    assert result.stdout.splitlines()[2] == 'one, "two"  1,234,567,891'


def test_parquet_goes_to_a_file(runs, invoke, tmp_path):
    out = tmp_path / "out.parquet"
    assert invoke("sql", "FROM runs", "--runs", runs, "--format", "parquet", "-o", out).exit_code == 0
    assert pl.read_parquet(out)["wall_ns"].to_list() == [1_234_567_891]
    failed = invoke("sql", "FROM runs", "--runs", runs, "--format", "parquet")
    assert "choose a file with --output" in str(failed.exception)


def test_names_and_settings_reach_the_query(runs, invoke):
    result = invoke("sql", "--name", "slowest_operations", "--set", "top=0", "-r", runs, "--format", "json")
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize("given", [{}, {"query": "FROM runs", "name": "summary"}])
def test_exactly_one_question_is_wanted(runs, given):
    with pytest.raises(UsageError, match="expected exactly one of a query, --file and --name"):
        sql([runs], **given)


def test_a_setting_needs_a_name_and_a_value():
    assert parse_settings(["a=1", "b=x=y", "c=0.5", "d='7'"]) == {"a": 1, "b": "x=y", "c": 0.5, "d": "7"}
    with pytest.raises(UsageError, match="--set expects KEY=VALUE"):
        parse_settings(["a"])


def test_the_library_describes_itself(invoke):
    assert "lockmeter" in invoke("queries").stdout
    described = invoke("queries", "flushes_over_time").stdout
    assert "buckets = 60" in described
    assert "least($buckets" in described
    assert "wall_ns" in invoke("queries", "--views").stdout


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0"), (1234567, "1,234,567"), (1234.56, "1,235"), (0.000123456, "0.0001235"), (2.0, "2"),
     (1e-9, "1.000e-09"), (float("inf"), "inf"), (-12.5, "-12.5")],
)  # fmt: skip
def test_numbers_are_readable(value, text):
    assert format_number(value) == text
