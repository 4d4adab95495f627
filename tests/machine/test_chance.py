"""A seed changes a run exactly where the machine is said to leave something to chance."""

from __future__ import annotations

import re
from typing import get_type_hints

import numpy as np
import pytest

from pipeline.cli.replay import replay
from pipeline.machine.catalogue import shipped_profiles
from pipeline.machine.chance import explain_idle_seed, list_chances
from pipeline.machine.profile import load_profile
from tests.machine.runs import rows, simulate


def contended_trace():
    chance = np.random.default_rng(1)
    return rows(
        300, task=chance.integers(0, 12, 300), page=chance.integers(0, 40, 300), think_ns=400, hold_ns=900
    )


@pytest.mark.parametrize("jitter_percent", [0.0, 1.0])
@pytest.mark.parametrize("name", shipped_profiles())
def test_seeds_differ_where_something_is_left_to_chance(name, jitter_percent):
    profile = load_profile(name)
    how = {"options": {"slots": "16"}, "jitter_percent": jitter_percent}
    found = {
        simulate("global_pool", profile, contended_trace(), seed=seed, **how).fingerprint
        for seed in (0, 1, 2)
    }
    chances = list_chances(profile.document_costs(), profile.cpus, jitter_percent)
    assert (len(found) > 1) == bool(chances)


def test_what_is_left_to_chance_is_named():
    def chances(name, cpus=None):
        profile = load_profile(name).with_cpus(cpus)
        return list_chances(profile.document_costs(), profile.cpus)

    assert chances("numaq16") == ["unfair locks", "device interrupts"]
    assert chances("numaq16", 1) == ["device interrupts"]
    assert chances("smp4-2002", 1) == []
    assert chances("modern-x86-64") == []


def test_why_a_seed_changes_nothing_is_said():
    costs = load_profile("modern-x86-64").document_costs()
    assert "because modern-x86-64 has fifo locks and no device interrupts" in explain_idle_seed(
        "modern-x86-64", costs, 16
    )


def test_the_help_of_replay_names_the_machines_on_which_a_seed_changes_anything():
    option = get_type_hints(replay, include_extras=True)["seed"].__metadata__[0]
    locks, interrupts = re.search(
        r"unfair locks \((.*?)\), device interrupts \((.*?)\)", option.help
    ).groups()
    chances = {name: list_chances(load_profile(name).document_costs(), 64) for name in shipped_profiles()}
    assert locks.split(", ") == [name for name, found in chances.items() if "unfair locks" in found]
    assert interrupts.split(", ") == [name for name, found in chances.items() if "device interrupts" in found]
