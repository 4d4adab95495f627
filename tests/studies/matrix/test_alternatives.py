"""What the order of designs depends on: reversed pairs are found, and others are not."""

from __future__ import annotations

from pipeline.machine.profile import load_profile
from pipeline.studies.matrix.alternatives import ALTERNATIVES, Turn, _compare, find_turns, tabulate_turns

NAMES = [alternative.name for alternative in ALTERNATIVES]


def test_a_pair_turns_only_if_both_orders_are_clear() -> None:
    before = {"a": [1.0, 1.1, 1.0], "b": [2.0, 2.2, 2.1], "c": [2.0, 2.1, 2.2]}
    after = {"a": [2.0, 2.1, 2.2], "b": [1.0, 1.1, 1.0], "c": [2.1, 2.0, 2.1]}
    turn = _compare("m", "otherwise", before, after)
    assert (turn.turned, turn.pairs) == ([("a", "b")], 3)
    assert turn.moved == "a: 1.03 to 2.10 us"


def test_too_little_is_no_turn() -> None:
    # By four per cent, however sure.
    turn = _compare("m", "x", {"a": [1.0, 1.0], "b": [1.04, 1.04]}, {"a": [1.04, 1.04], "b": [1.0, 1.0]})
    assert not turn.turned


def test_an_alternative_that_is_what_the_machine_does_is_left_out() -> None:
    changes = {a.name: a.changes(load_profile("numaq16")) for a in ALTERNATIVES}
    assert not changes["flushes of several CPUs queue"]
    assert changes["flushes of several CPUs do not queue"] == {"flushes_queue": 0}


def test_replays_find_what_depends_on_an_alternative() -> None:
    turns = find_turns(["global_pool", "epoch_pool"], ["modern-x86-64"], replications=3, operations=16_000)
    # Nor is there a process that could end in either design.
    assert [turn.alternative for turn in turns] == [
        name
        for name in NAMES
        if name
        not in (
            "a switch keeps the TLB (PCID)",
            "flushes of several CPUs do not queue",
            "a process ends after 40 maps",
        )
    ]
    without = next(turn for turn in turns if "no PCID" in turn.alternative)
    assert without.moved.startswith("epoch_pool")
    # Every pair is listed, turned or not.
    assert {turn.pairs for turn in turns} == {1}


def test_the_table_names_some_of_the_pairs() -> None:
    turn = Turn("m", "otherwise", 10, [("a", "b"), ("a", "c"), ("b", "c"), ("d", "a")], "a: 1.00 to 2.00 us")
    (row,) = tabulate_turns([turn]).rows
    assert row == ["m", "otherwise", "4 of 10", "a < b, a < c, b < c and 1 more", "a: 1.00 to 2.00 us"]
