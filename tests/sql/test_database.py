"""The database file has what the session has, for whoever opens it."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from pipeline.errors import InputError, OutputError
from pipeline.sql.database import write_database
from pipeline.sql.library import Query, queries, run_query
from pipeline.sql.macros import MACROS
from pipeline.sql.session import open_session, to_plain_types
from pipeline.sql.views import VIEWS
from tests.sql.handmade import make_run
from tests.sql.test_queries import EVENTS, OPERATIONS


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs")
    make_run(directory / "one", "a", OPERATIONS, EVENTS)
    make_run(directory / "two", "it's b", events="none")
    return directory


@pytest.fixture(scope="module")
def database(runs: Path) -> Path:
    path = runs.parent / "x.duckdb"
    assert write_database([runs], path) == 2
    return path


def ask(database: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.sql(sql).fetchall()


@pytest.mark.parametrize("name", list(VIEWS))
def test_every_view_has_the_rows_that_the_session_has(runs: Path, database: Path, name: str) -> None:
    sql = f"FROM {name} ORDER BY ALL"
    with open_session([runs]) as session, duckdb.connect(str(database), read_only=True) as connection:
        assert to_plain_types(connection.sql(sql).pl()).equals(session.query(sql))


@pytest.mark.parametrize("query", list(queries().values()), ids=lambda query: query.name)
def test_every_query_is_a_macro_with_the_same_answer(runs: Path, database: Path, query: Query) -> None:
    with open_session([runs]) as session, duckdb.connect(str(database), read_only=True) as connection:
        frame = to_plain_types(connection.sql(f"FROM {query.name}()").pl())
        assert frame.equals(run_query(session, query))


def test_a_parameter_of_a_query_is_one_of_its_macro(database: Path) -> None:
    assert len(ask(database, "FROM slowest_operations(top := 1)")) == 1
    assert len(ask(database, "FROM slowest_operations()")) > 1


def test_views_columns_macros_and_queries_carry_their_documentation(database: Path) -> None:
    columns = dict(ask(database, "SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"))
    assert (
        columns["operations.map_wait_ns"]
        == "spin time for the map's first lock; > 0 exactly if contended (ns)"
    )
    assert columns["flushes.cpus_interrupted"] == "number of interrupted CPUs"
    tables = dict(ask(database, "SELECT table_name, comment FROM duckdb_tables()"))
    views = dict(ask(database, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"))
    assert {name: view.doc for name, view in VIEWS.items()} == tables | views
    macros = dict(ask(database, "SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal"))
    assert set(macros) == set(MACROS) | set(queries())
    documented = "How busy is the lock, in the format of lockmeter?\ntop = 20: number of rows per table"
    assert macros["lockmeter"].startswith(documented)
    assert "\nhold_max_us: longest hold (us)\n" in macros["lockmeter"]
    assert "top = 5: number of operations per run\n" in macros["slowest_operations"]


def test_it_works_from_another_directory(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(database, "SELECT count(*) FROM operations") == [(len(OPERATIONS),)]


def test_a_relative_one_moves_with_its_runs(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs, tmp_path / "here" / "runs")
    write_database([tmp_path / "here" / "runs"], tmp_path / "here" / "x.duckdb", relative=True)
    (tmp_path / "here").rename(tmp_path / "there")
    count = "SELECT count(*) FROM operations"
    monkeypatch.chdir(tmp_path / "there")
    assert ask(Path("x.duckdb"), count) == [(len(OPERATIONS),)]
    assert ask(Path("x.duckdb"), "SELECT directory FROM runs ORDER BY run") == [("runs/one",), ("runs/two",)]
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("there/x.duckdb", read_only=True) as connection:
        with pytest.raises(duckdb.IOException):
            connection.sql(count).fetchall()
        connection.execute("SET file_search_path = 'there'")
        assert connection.sql(count).fetchall() == [(len(OPERATIONS),)]


def test_one_that_this_command_made_is_replaced_whole(runs: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.duckdb"
    write_database([runs / "one"], output)
    write_database([runs], output)
    assert ask(output, "SELECT count(*) FROM runs") == [(2,)]
    assert [path.name for path in tmp_path.iterdir()] == ["x.duckdb"]


def test_a_recording_may_stand_beside_the_runs(runs: Path, tmp_path: Path) -> None:
    database = tmp_path / "x.duckdb"
    assert write_database([runs, Path("kcsleep2")], database) == 3
    assert write_database([Path("kcsleep2")], database) == 1
    assert ask(database, "SELECT run, sleeps FROM runs") == [("kcsleep2", 264)]


def test_what_it_did_not_make_is_left_alone(runs: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("mine")
    with pytest.raises(OutputError, match="is not a DuckDB database"):
        write_database([runs], text)
    assert text.read_text() == "mine"
    own = tmp_path / "own.duckdb"
    with duckdb.connect(str(own)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1")
    with pytest.raises(OutputError, match=r"has other tables \(mine\)"):
        write_database([runs], own)
    with pytest.raises(OutputError, match="found a directory"):
        write_database([runs], tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        write_database([runs], text / "x.duckdb")
    with pytest.raises(InputError, match="no such directory"):
        write_database([tmp_path / "nowhere"], tmp_path / "new.duckdb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "own.duckdb"]
