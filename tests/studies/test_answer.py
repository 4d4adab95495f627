"""The sentence about settings of a study without words of its own."""

from __future__ import annotations

from dataclasses import replace

from pipeline.studies.answer import fill
from pipeline.studies.definition import Outcome, Words
from pipeline.studies.outcome import Setting
from tests.studies.made import study


def say(outcome: Outcome, *settings: Setting) -> str:
    return fill(replace(study("pool_size"), words=Words(text="And so on.")), outcome, settings, {})


def test_settings_that_do_not_tell_are_named_beside_those_that_fail():
    found = [Setting("one CPU", 6, 6), Setting("4 CPUs", 0, 6), Setting("a {brace}", 3, 6)]
    assert say("depends", *found) == (
        "It holds in 1 of 3 settings. It does not hold in: 4 CPUs. "
        "6 replications are inconclusive in: a {brace}. And so on."
    )
    assert say("cannot tell", found[0], found[2]) == (
        "It holds in 1 of 2 settings. 6 replications are inconclusive in: a {brace}. And so on."
    )
    assert say("holds", found[0]) == "And so on."


def test_a_single_setting_is_not_named_but_its_replications_are_counted():
    assert say("cannot tell", Setting("", 4, 6)) == (
        "It holds in 4 of 6 replications, which is inconclusive. And so on."
    )
