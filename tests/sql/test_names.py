"""Names of runs with quotes, HTML and Unicode in them come out of every query and form as text."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest

from pipeline.sql.library import load_query, queries, run_query
from pipeline.sql.lock_tables import FORMS
from pipeline.sql.output import format_frame
from pipeline.sql.session import open_session
from tests.sql.handmade import make_run
from tests.sql.test_lock_queries import EVENTS, FLUSHER, MACHINE, WAITER
from tests.sql.test_queries import EXPECTED, answer

NAME = 'it\'s <script>alert("50 %")</script> 表 é {x} $y \\'
SLEEP = {"event": "sleep", "time_ns": 62_000, "duration_ns": 25_000, "op": 1, "task": 1}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    make_run(directory / "it's 表*", NAME, [FLUSHER, WAITER], [*EVENTS, SLEEP], machine=MACHINE)
    with open_session([directory]) as opened:
        yield opened


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_query_gives_the_name_as_it_is(session, name):
    names = {*answer(session, name)["run"]}
    assert names == {NAME} if name in EXPECTED else names <= {NAME}


def test_every_form_writes_the_name_as_it_is(session):
    frame = run_query(session, load_query("lock_stat"))
    assert pl.read_csv(io.StringIO(format_frame(frame, "csv")))["run"].to_list() == [NAME] * 3
    assert [row["run"] for row in json.loads(format_frame(frame, "json"))] == [NAME] * 3
    for form in ("table", *FORMS):
        answer = run_query(session, load_query("lockmeter" if form == "lockmeter" else "lock_stat"))
        assert NAME in format_frame(answer, form), form
