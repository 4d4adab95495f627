"""What tools measured of locks stands beside simulated runs, in the same columns and with what it lacks."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.import_trace import import_trace
from pipeline.importing.locks.read import read_locks
from pipeline.report.report import report
from pipeline.schema.locks import FIGURE_NAMES
from pipeline.sql.database import write_database
from pipeline.sql.library import load_query, queries, run_query
from pipeline.sql.lock_tables import lock_stat_text, lockmeter_text
from pipeline.sql.session import Session, open_session
from tests.cli.command import refusal
from tests.importing.recorded import SAMPLES
from tests.sql.handmade import make_run

LOCKS = SAMPLES / "locks"
LOCK_STAT = LOCKS / "lock_stat.txt"
ROWS_OF_2002 = Path("pipeline/studies/lockmeter/lockmeter_2002.csv")
SITES = [
    {"site": "map", "acquisitions": 4, "contended": 2, "hold_ns": 10_000, "hold_max_ns": 4_000,
     "wait_ns": 3_000, "wait_max_ns": 2_000},
    {"site": "unmap", "acquisitions": 6, "contended": 0, "hold_ns": 6_000, "hold_max_ns": 5_000,
     "wait_ns": 0, "wait_max_ns": 0},
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    make_run(tmp_path / "run", "pool", totals={"wall_ns": 100_000, "locks": SITES}, events="none")
    return tmp_path / "run"


def ask(session: Session, sql: str) -> list[tuple]:
    return session.query(sql).rows()


def test_a_runs_lock_and_a_measured_one_have_the_same_columns(run) -> None:
    with open_session([run, ROWS_OF_2002], recordings=True) as session:
        rows = ask(
            session,
            "SELECT run, provenance, site, acquisitions, contended, con_percent, hold_ns, hold_mean_ns, "
            "hold_max_ns, wait_ns, util_percent, wall_ns, cpus, derived FROM locks WHERE lock = 'kmap_lock'",
        )
    assert rows[:3] == [
        ("pool", "simulated", "all", 10, 2, 20, 16_000, 1_600, 5_000, 3_000, 16, 100_000, 2, None),
        ("pool", "simulated", "map", 4, 2, 50, 10_000, 2_500, 4_000, 3_000, 10, 100_000, 2, None),
        ("pool", "simulated", "unmap", 6, 0, 0, 6_000, 1_000, 5_000, 0, 6, 100_000, 2, None),
    ]
    (row,) = (row for row in rows if row[0] == "lockmeter_2002 A" and row[2] == "unmap")
    assert row == (
        "lockmeter_2002 A", "measured", "unmap", 1_275_907, 792_338, 62.1, 5_200 * 1_275_907, 5_200, 982_000,
        152_000 * 792_338, 16, 40 * 10**9, 16, "contended, hold_ns, wait_ns",
    )  # fmt: skip


def test_each_figure_says_whether_it_was_measured(run) -> None:
    with open_session([run, LOCKS / "contention.perf-script.txt"], recordings=True) as session:
        bases = dict(
            ask(
                session,
                "SELECT figure, basis FROM lock_figures WHERE lock = '0xffff8885d57de4e8' AND site = 'all'",
            )
        )
        of_run = ask(session, "SELECT DISTINCT basis FROM lock_figures WHERE run = 'pool' ORDER BY basis")
        absent = ask(session, "SELECT count(*) FROM lock_figures WHERE (value IS NULL) != (basis = 'absent')")
    assert bases.keys() == {*FIGURE_NAMES}
    assert {name for name, basis in bases.items() if basis == "measured"} == {
        "contended", "wait_ns", "wait_min_ns", "wait_max_ns",
    }  # fmt: skip
    assert {name for name, basis in bases.items() if basis == "derived"} == {"wait_mean_ns", "wall_ns"}
    assert bases["acquisitions"] == bases["hold_ns"] == "absent"
    assert of_run == [("absent",), ("simulated",)]
    assert absent == [(0,)]


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_query_answers_beside_measured_locks(run, name) -> None:
    with open_session([run, LOCK_STAT], recordings=True) as session:
        frame = run_query(session, load_query(name))
    of_locks = {"lock_comparison", "lock_stat", "lockmeter", "measured_sources"}
    assert frame.columns == [column.name for column in load_query(name).columns]
    assert ("lock_stat" in frame["run"].to_list()) == (name in of_locks)


def test_the_locks_with_most_waiting_come_first_and_a_name_chooses(run) -> None:
    with open_session([run, LOCK_STAT], recordings=True) as session:
        top = run_query(session, load_query("lock_stat"), {"top": 2})
        named = run_query(session, load_query("lock_comparison"), {"name": "%d_lockref%"})
    measured = [row for row in top.to_dicts() if row["run"] == "lock_stat"]
    assert [row["lock"] for row in measured] == ["&mm->mmap_sem-R", "&(&dentry->d_lockref.lock)->rlock"]
    assert (measured[0]["waittime_max"], measured[0]["holdtime_min"]) == (299_502.61, 0.1)
    assert {*named["lock"]} == {"kmap_lock", "&(&dentry->d_lockref.lock)->rlock"}


def test_both_forms_are_read_back_as_they_were_written(run, tmp_path) -> None:
    with open_session([run, LOCK_STAT], recordings=True) as session:
        for form, query in ((lockmeter_text, "lockmeter"), (lock_stat_text, "lock_stat")):
            (tmp_path / f"{query}.txt").write_text(
                form(run_query(session, load_query(query))), encoding="utf-8"
            )
    simulated, measured = read_locks(tmp_path / "lockmeter.txt")
    assert (simulated.title, measured.title) == ("pool", "lock_stat")
    figures = {row.site: row.figures for row in simulated.rows}
    assert figures["map"] == {
        "acquisitions": 4, "contended": 2, "con_percent": 50, "hold_ns": 10_000, "hold_mean_ns": 2_500,
        "hold_max_ns": 4_000, "wait_ns": 3_000, "wait_mean_ns": 1_500, "wait_max_ns": 2_000,
        "util_percent": 10, "cpu_percent": 1.5,
    }  # fmt: skip
    (table,) = read_locks(tmp_path / "lock_stat.txt")
    again = {(row.lock, row.site): row.figures for row in table.rows}
    for row in read_locks(LOCK_STAT)[0].rows:
        assert again[row.lock, row.site] == row.figures
    assert again["pool", "all"]["hold_mean_ns"] == 1_600


def test_files_of_one_name_are_told_apart(tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "locks.txt").write_bytes(LOCK_STAT.read_bytes())
    with open_session([tmp_path / "a/locks.txt", tmp_path / "b/locks.txt"], recordings=True) as session:
        rows = ask(session, "SELECT run, file FROM lock_sources")
    assert len({run for run, _ in rows}) == len({file for _, file in rows}) == 2


def test_what_measured_locks_lack_is_said_and_kept(tmp_path, run, capsys) -> None:
    damaged = tmp_path / "damaged.txt"
    damaged.write_text((LOCKS / "contention.perf-lock.txt").read_text().replace("3.22 ms", "3,22 ms"))
    with open_session([run, damaged], recordings=True) as session:
        rows = ask(session, "SELECT recorder, locks, lacking, notes FROM lock_sources")
    lacking = "1 lines that could not be read and were skipped"
    assert rows == [("perf lock contention", 63, lacking, "bad line 3: not a line of this format")]
    assert capsys.readouterr().err == f"{damaged}: missing: {lacking}\n"


def test_a_database_has_measured_locks_too(run, tmp_path) -> None:
    assert write_database([run, LOCK_STAT], tmp_path / "x.duckdb") == 2
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as database:
        (row,) = database.execute("FROM lockmeter(top := 1) WHERE run = 'lock_stat'").fetchall()
    assert row[1] == "&mm->mmap_sem-R"


def test_measured_locks_are_no_runs(run) -> None:
    with pytest.raises(InputError, match="not a trace and cannot be replayed; 'pipeline sql --runs"):
        open_session([run, LOCK_STAT])
    with open_session([run, LOCK_STAT], recordings=True) as session:
        assert ask(session, "SELECT run FROM runs") == [("pool",)]


@pytest.mark.parametrize("name", ["lock_stat.txt", "lockmeter.txt", "contention.perf-lock.txt",
                                  "contention.perf-script.txt", "contention.tracefs.txt"])  # fmt: skip
@pytest.mark.parametrize(
    "words",
    [
        ["replay", "{}", "--allocator", "global_pool", "--machine", "numaq16"],
        ["doctor", "{}"],
        ["transform", "{}", "stretch=2", "-o", "new.parquet"],
        ["import", "{}", "-o", "new.parquet"],
    ],
)
def test_who_takes_measured_locks_for_a_trace_is_told_what_they_are_for(tmp_path, words, name) -> None:
    place = (LOCKS / name).resolve()
    said = refusal(*(word.format(place) for word in words), cwd=tmp_path, status=3)
    assert f"not a trace and cannot be replayed; 'pipeline sql --runs {place}'" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b"hello\n",
            "the formats of lock statistics are /proc/lock_stat, lockmeter's lockstat",
        ),
        (b"", "this is empty"),
        (b"PERFILE2....", "this is in perf's binary format; run 'perf script"),
        (
            b"                Name   acquired  contended     avg wait\n",
            "this is the output of perf lock report",
        ),
        (b"lock_stat version 0.4\n", "expected the output of /proc/lock_stat, found 0 lines of locks"),
    ],
)
def test_a_file_that_is_none_of_them_is_named(tmp_path, text, said) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(text)
    with pytest.raises(InputError, match=re.escape(said)):
        open_session([path], recordings=True)


def test_a_recording_of_mappings_and_locks_is_a_trace_and_has_locks(tmp_path) -> None:
    excerpt = (SAMPLES / "excerpt.perf-script.txt").read_text()
    last = excerpt.splitlines()[-1]
    time = re.findall(r"([0-9]+)\.[0-9]+: ", last)[0]
    waits = "".join(
        f"bash 9/9 [000] {int(time) + 1}.00000{i}000: lock:contention_{event}: 0xa1 ({rest})\n"
        for i, event, rest in ((1, "begin", "flags=SPIN"), (3, "end", "ret=0"))
    )
    both = tmp_path / "both.txt"
    both.write_text(excerpt + waits)
    plain, mixed = tmp_path / "plain.parquet", tmp_path / "mixed.parquet"
    operations = import_trace(SAMPLES / "excerpt.perf-script.txt", plain).rows_out
    assert import_trace(both, mixed).rows_out == operations
    with open_session([both], recordings=True) as session:
        assert ask(session, "SELECT lock, contended, wait_ns FROM locks") == [("0xa1", 1, 2_000)]


# --- reports ---


def test_a_report_puts_measured_locks_beside_the_runs(run, tmp_path) -> None:
    text = report([run, LOCK_STAT], tmp_path / "r.md").read_text()
    section = text[text.index("### The pool's lock compared with locks measured on a real machine") :]
    assert "| pool | simulated | kmap_lock | all | spinlock | 10 | 2 | 1.6 µs |" in section
    assert (
        "| lock_stat | measured | &amp;mm-&gt;mmap_sem-R | all | – | 34,316,685 | 100 | 2.77 µs |" in section
    )
    assert "### Sources of the measured locks" in section
    page = report([run, LOCK_STAT], tmp_path / "r.html").read_text()
    assert "lock_stat (measured locks)" in page


def test_a_report_of_runs_alone_says_nothing_of_measured_locks(run, tmp_path) -> None:
    assert "measured locks" not in report([run], tmp_path / "r.md").read_text()
    with pytest.raises(UsageError, match="measured-locks: expected measured locks, found only runs"):
        report([run], tmp_path / "x.md", item="measured-locks")
    assert not (tmp_path / "x.md").exists()


def test_a_report_of_measured_locks_alone_wants_a_run(tmp_path) -> None:
    with pytest.raises(UsageError, match="expected at least one run directory, found none"):
        report([LOCK_STAT], tmp_path / "r.md")
