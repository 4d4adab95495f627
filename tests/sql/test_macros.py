"""The macros that several queries share, against the plain way of saying the same."""

from __future__ import annotations

import random

import pytest

from pipeline.sql.session import open_session
from tests.sql.handmade import make_run


@pytest.fixture
def session(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name, name, [{"done_ns": 100}])
    with open_session([tmp_path]) as opened:
        yield opened


def test_quantiles_are_those_of_the_sorted_values(session):
    random.seed(7)
    values = [int(random.lognormvariate(5, 3)) - 5 for _ in range(2_000)]
    given = ", ".join(f"('a', NULL, {value}, 1)" for value in values)
    session.run(f"CREATE TABLE given AS SELECT * FROM (VALUES {given}) AS t (run, part, value, n)")
    session.run("CREATE VIEW counted AS SELECT run, part, value, sum(n) AS n FROM given GROUP BY ALL")
    row = session.query("FROM quantiles('counted')").row(0, named=True)
    values.sort()
    assert [row[name] for name in ("least", "p50", "p90", "p99", "most")] == [
        values[0], values[999], values[1_799], values[1_979], values[-1],
    ]  # fmt: skip
    assert (row["n"], row["mean"]) == (2_000, pytest.approx(sum(values) / 2_000))


def test_of_each_octave_the_first_value_is_kept_and_of_the_curve_the_last(session):
    session.run(
        "CREATE VIEW given AS SELECT * FROM "
        "(VALUES ('a', 'map', 4, 10), ('a', 'map', 5, 1), ('a', 'map', 9, 2), ('a', 'map', 15, 3)) "
        "AS t (run, part, value, n)"
    )
    rows = session.query("SELECT value, at_least, total FROM tail('given', 1) ORDER BY value").rows()
    assert rows == [(4, 16, 16), (9, 5, 16), (15, 3, 16)]


def test_levels_of_each_run_begin_at_nothing_and_come_in_order_of_time(session):
    session.run(
        "CREATE VIEW given AS SELECT CAST(run AS run_name) AS run, time_ns, change FROM "
        "(VALUES ('b', 30, -1), ('a', 5, 1), ('a', 9, -1), ('b', 10, 1), ('a', 5, 1), ('a', 12, -1), "
        "('a', 9, 1), ('a', 9, -1)) AS t (run, time_ns, change)"
    )
    assert session.query("SELECT run, time_ns, until_ns, level, before FROM levels('given')").rows() == [
        ("a", 5, 9, 2, 0),
        ("a", 9, 12, 1, 2),
        ("a", 12, None, 0, 1),
        ("b", 10, 30, 1, 0),
        ("b", 30, None, 0, 1),
    ]
