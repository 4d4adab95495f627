"""A safe session reads the runs that are open and nothing else, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import OutOfMemory, PipelineError, UsageError
from pipeline.shell.shell import Shell, run_script
from pipeline.sql.library import queries, run_query
from pipeline.sql.session import Session, open_session
from tests.cli.command import everything
from tests.runs.made import build_trace, replayed

# Each tries to read, write or change what is not the runs; {file} is there, {new} is not, {log} is a run's.
WAYS_OUT = [
    "FROM read_csv('{file}')",
    "FROM '{file}'",
    "FROM read_text('{file}')",
    "FROM read_blob('{file}')",
    "FROM read_json('{file}')",
    "FROM sniff_csv('{file}')",
    "FROM glob('*')",
    "FROM read_parquet('{log}')",
    "FROM parquet_metadata('{log}')",
    "FROM query('FROM read_text(''{file}'')')",
    "FROM query_table('{file}')",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{file}'')'))",
    "FROM read_parquet('https://example.org/x.parquet')",
    "FROM read_duckdb('{file}')",
    "COPY runs TO '{new}'",
    "COPY runs TO '{log}' (USE_TMP_FILE false)",
    "WITH out AS (COPY runs TO '{new}') SELECT 1",
    "COPY (PIVOT runs ON allocator USING count(*)) TO '{new}'",
    "EXPLAIN ANALYZE COPY runs TO '{new}'",
    "EXPORT DATABASE '{new}'",
    "IMPORT DATABASE '{new}'",
    "ATTACH '{new}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE SECRET stolen (TYPE s3)",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET memory_limit = '1TB'",
    "SET temp_directory = '{new}'",
    "RESET lock_configuration",
    "PRAGMA enable_profiling = 'json'",
    "SET profiling_output = '{new}'",
    "CALL enable_logging('QueryLog', storage = 'file', storage_path = '{new}')",
    "SELECT getenv('HOME')",
    "SELECT * FROM secret_of_this_module",
]
secret_of_this_module = queries  # a name that a query must not see


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("safe")
    return replayed(build_trace(directory, 500), directory / "runs").path


@pytest.fixture(scope="module")
def session(run):
    with open_session([run], safe=True) as opened:
        yield opened


@pytest.mark.parametrize("way_out", WAYS_OUT)
def test_no_query_gets_at_anything_else(session: Session, run: Path, way_out: str, tmp_path: Path) -> None:
    file, new = tmp_path / "secret.csv", tmp_path / "new"
    file.write_text("word\nsesame\n")
    before = everything(run), everything(tmp_path)
    log = next(run.glob("operations*.parquet"))
    with pytest.raises(PipelineError) as refused:
        session.run(way_out.format(file=file, new=new, log=log))
    assert "sesame" not in str(refused.value)
    assert (everything(run), everything(tmp_path)) == before


def test_every_query_of_the_library_has_the_same_answer(session: Session, run: Path) -> None:
    with open_session([run]) as trusting:
        for query in queries().values():
            if not {"results"} & set(query.reads):
                assert run_query(session, query).equals(run_query(trusting, query)), query.name


def test_it_does_not_spill_but_says_what_lets_it_have_more(run: Path) -> None:
    with (
        open_session([run], memory="20MB", safe=True) as session,
        pytest.raises(OutOfMemory, match="--memory"),
    ):
        session.query(
            "SELECT count(*) FROM (FROM range(10_000_000) r ORDER BY hash(r.range) LIMIT 9_000_000)"
        )


def test_a_script_cannot_write_either(run: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match=r"line 2: \.output is not available with --safe"):
        run_script([run], f"SELECT 1;\n.output {tmp_path / 'x'}\nSELECT 2;", said.append, None, {}, safe=True)
    assert everything(tmp_path) == {}


def test_the_shell_is_as_safe(session: Session, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--safe"):
        Shell(session, print).run(f".output {tmp_path / 'x'}")
