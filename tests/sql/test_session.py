"""Opening runs: views, names, and what is not a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.sql.macros import MACROS
from pipeline.sql.session import find_kept_views, open_session
from pipeline.sql.views import VIEWS
from tests.sql.handmade import make_plausible_run, make_run, manifest_dict

CONTENDED = {
    "asked_ns": 0,
    "locked_ns": 5,
    "map_wait_ns": 5,
    "map_hold_ns": 10,
    "mapped_ns": 20,
    "unmap_asked_ns": 30,
    "unmap_hold_ns": 3,
    "done_ns": 35,
    "holder": 4,
    "flush_op": 9,
    "task": 1,
    "slot": 2,
    "page": 6,
}
RELOCK = {
    "event": "relock",
    "time_ns": 16,
    "duration_ns": 2,
    "wait_ns": 1,
    "op": 0,
    "task": 1,
    "lock": 0,
    "site": 0,
    "other": 3,
}


@pytest.mark.parametrize("kind", ["nothing", "no log", "log"])
def test_every_view_has_its_documented_columns(tmp_path, kind):
    runs = []
    if kind != "nothing":
        runs = [
            make_run(tmp_path / "a", "a", [CONTENDED], [RELOCK], events="full" if kind == "log" else "none")
        ]
    with open_session(runs) as session:
        for view in VIEWS.values():
            frame = session.query(f"SELECT * FROM {view.name}")
            assert frame.columns == [column.name for column in view.columns], view.name
            assert all(column.doc for column in view.columns), view.name


def test_minus_one_becomes_null(tmp_path):
    make_run(tmp_path / "a", "a", [{"slot": -1}], [{"event": "ipi", "task": -1}])
    with open_session([tmp_path]) as session:
        assert session.query("SELECT slot, locked_ns, holder FROM operations").rows() == [(None,) * 3]
        assert session.query("SELECT task, op, value, other FROM events").rows() == [(None,) * 4]


def test_the_event_log_reads_line_by_line(tmp_path):
    make_run(tmp_path / "a", "a", [CONTENDED], [RELOCK])
    with open_session([tmp_path]) as session:
        rows = session.query("SELECT time_ns, event, site, duration_ns, other FROM event_log").rows()
    assert rows == [
        (0, "map_asked", None, 20, None),
        (0, "lock_wait", "map", 5, 4),
        (5, "lock_hold", "map", 10, None),
        (15, "lock_wait", "map", 1, 3),
        (16, "lock_hold", "map", 2, None),
        (20, "hit", None, 0, None),
        (30, "unmap", None, 5, None),
        (30, "lock_hold", "unmap", 3, None),
    ]


def test_holds_of_the_log_add_up_to_the_totals(tmp_path):
    make_plausible_run(tmp_path / "a", "a", contention=0.4, flush_every=100)
    with open_session([tmp_path]) as session:
        log = session.query(
            "SELECT site, count(*), sum(hold_ns), max(hold_ns) FROM lock_holds GROUP BY 1 ORDER BY 1"
        )
        totals = session.query("SELECT site, acquisitions, hold_ns, hold_max_ns FROM lock_totals ORDER BY 1")
    assert log.rows() == totals.rows()


def test_sums_are_plain_integers_and_floats(tmp_path):
    make_run(tmp_path / "a", "a", [CONTENDED])
    with open_session([tmp_path]) as session:
        frame = session.query("SELECT sum(done_ns) AS s, 1.5 AS d, sum(done_ns) / 2 AS h FROM operations")
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "Float64", "Float64"]
    assert frame.rows() == [(35, 1.5, 17.5)]


def test_equal_labels_are_told_apart_by_what_differs(tmp_path):
    for number, changes in enumerate([{"seed": 1}, {"seed": 2}, {"seed": 2}]):
        make_run(tmp_path / str(number), "pool", **changes, id=f"{number:016x}")
    make_run(tmp_path / "other", "kmap_local")
    with open_session([tmp_path]) as session:
        names = session.query("SELECT run FROM runs ORDER BY run")["run"].to_list()
    assert names == ["pool, seed 1", "pool, seed 2", "pool, seed 2 #2", "kmap_local"]


def test_runs_sort_in_the_order_given_and_count_once(tmp_path):
    second = make_run(tmp_path / "runs" / "b", "zebra")
    first = make_run(tmp_path / "runs" / "a", "ape")
    with open_session([second, tmp_path / "runs", first]) as session:
        assert session.query("SELECT run FROM runs ORDER BY run")["run"].to_list() == ["zebra", "ape"]


def test_unusual_names_are_taken_literally(tmp_path):
    label = 'it\'s <b> "50 %" 表 {x} $y \\'
    make_run(tmp_path / "a*[1]?'b" / "run", label, [CONTENDED])
    make_run(tmp_path / "ab1" / "run", "other", [CONTENDED, CONTENDED])
    with open_session([tmp_path / "a*[1]?'b"]) as session:
        assert session.query("SELECT run, count(*) FROM operations GROUP BY run").rows() == [(label, 1)]


def test_a_run_being_written_is_not_a_run(tmp_path):
    make_run(tmp_path / "a", "a")
    make_run(tmp_path / ".b.1234.partial", "b")
    with open_session([tmp_path]) as session:
        assert session.query("SELECT run FROM runs")["run"].to_list() == ["a"]


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(InputError, match="found no such directory"):
        open_session([tmp_path / "missing"])
    with pytest.raises(InputError, match=r"found no manifest.json in it"):
        open_session([tmp_path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not the manifest of a run: manifest:"),
        ('{"format_version": 99}', "run format 99 is newer than 3"),
        (json.dumps(manifest_dict("a")), "not the manifest of a run: totals: Field required"),
    ],
)
def test_a_broken_manifest_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=message):
        open_session([tmp_path / "a"])


def test_a_promised_table_that_is_missing_is_named(tmp_path):
    make_run(tmp_path / "a", "a")
    (tmp_path / "a" / "events.parquet").unlink()
    with pytest.raises(InputError, match=r"events.parquet: expected a table of the run's log"):
        open_session([tmp_path])


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nix FROM runs", "FROM nix", "", "SELECT $a"])
def test_mistakes_in_sql_are_one_line_with_the_views(sql):
    with open_session([]) as session, pytest.raises(UsageError) as caught:
        session.query(sql)
    assert "\n" not in str(caught.value)
    if sql:
        assert "views: runs, cpu_time" in str(caught.value)


def test_sums_of_a_whole_log_are_made_when_first_mentioned(tmp_path):
    make_run(tmp_path / "a", "a", [CONTENDED])
    assert find_kept_views("FROM runs") == set()
    assert find_kept_views("FROM quantiles('hold_histogram')") == {"hold_histogram"}
    assert find_kept_views("FROM mean_levels('spinning', 10)") == {"spinning"}
    assert find_kept_views("SELECT sleeps FROM runs") == set()
    kept = "SELECT table_name FROM duckdb_tables() WHERE temporary"
    with open_session([tmp_path]) as session:
        session.query("FROM runs")
        assert session.query(kept).is_empty()
        session.query("SELECT sum(operations) FROM Task_Totals")
        assert session.query(kept).rows() == [("task_totals",)]
        assert session.query("SELECT operations, map_ns FROM task_totals").rows() == [(1, 20)]


def test_what_a_long_log_has_is_not_copied_but_read_where_it_is(tmp_path, monkeypatch):
    make_run(tmp_path / "a", "a", [CONTENDED], [RELOCK])
    monkeypatch.setattr("pipeline.sql.session.MOST_KEPT_ROWS", 1)
    with open_session([tmp_path]) as session:
        assert session.query("SELECT level FROM spinning")["level"].to_list() == [1, 0, 1, 0]
        assert session.query("SELECT table_name FROM duckdb_tables() WHERE temporary").is_empty()


def test_every_macro_has_its_documented_columns():
    with open_session([]) as session:
        for macro in MACROS.values():
            assert session.query(macro.example).columns == [name for name, _ in macro.columns], macro.name


def test_a_figure_of_a_manifest_that_fits_no_column_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["machine"]["cpus"] = 1 << 31
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=f"^{run}: a figure in a run's manifest cannot be read: .*too large"):
        open_session([run])


@pytest.mark.parametrize("part", ["data", "footer"])
def test_a_damaged_table_of_a_log_is_named(tmp_path: Path, part: str) -> None:
    sound, damaged = (make_run(tmp_path / name, operations=[CONTENDED]) for name in ("sound", "damaged"))
    table = damaged / "operations.parquet"
    content = table.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    begin, end = (4, footer) if part == "data" else (footer, len(content) - 8)
    table.write_bytes(content[:begin] + b"\xff" * (end - begin) + content[end:])
    said = f"^{damaged}: a table of a run's log cannot be read: .*; repeat the run"
    with pytest.raises(InputError, match=said), open_session([sound, damaged]) as session:
        session.query("SELECT sum(map_hold_ns) FROM operations")


@pytest.mark.parametrize("safe", [False, True])
def test_a_damage_about_which_the_error_names_no_file_is_named(tmp_path: Path, safe: bool) -> None:
    sound, damaged = (make_run(tmp_path / name, operations=[CONTENDED]) for name in ("sound", "damaged"))
    table = damaged / "operations.parquet"
    content = table.read_bytes()
    # The schema says that `done_ns` has 4 bytes, so its statistics, of 8 bytes, cannot be.
    element = content.rindex(b"\x15\x04%\x00\x18\x07done_ns")
    table.write_bytes(content[:element] + b"\x15\x02" + content[element + 2 :])
    with (
        pytest.raises(InputError, match=f"^{damaged}: a table of a run's log cannot be read: "),
        open_session([sound, damaged], safe=safe) as session,
    ):
        session.query("SELECT sum(done_ns) FROM operations")


def test_a_mistake_in_a_statement_is_not_looked_for_in_the_logs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", operations=[CONTENDED])
    with open_session([run]) as session:
        (run / "operations.parquet").unlink()
        with pytest.raises(UsageError, match="nothing"):
            session.query("SELECT nothing FROM lock_totals")
        with pytest.raises(InputError, match="cannot be read"):
            session.query("SELECT error('of the data, perhaps')")
