"""The table of costs: what follows from it, and what a profile need not name."""

import re
from pathlib import Path

import pytest

from pipeline.allocators.api.protocols import StepCost, StepInputs
from pipeline.errors import InputError
from pipeline.machine.costs import COST_KINDS, step_record_source
from pipeline.machine.engine.records import COSTS, STEP_COST
from pipeline.machine.profile import load_profile, profile_path


def without(directory: Path, *names: str) -> str:
    """Path of a copy of a shipped profile that does not name these costs."""
    text = profile_path("smp4-2002").read_text()
    for name in names:
        text = re.sub(rf"\[costs\.{name}\]\n(?:[^\[\n].*\n|\n)*", "", text)
    path = directory / "cheap.toml"
    path.write_text(text)
    return str(path)


def test_a_cost_with_a_default_need_not_be_named(tmp_path: Path) -> None:
    profile = load_profile(without(tmp_path, "track_switch_ns", "line_transfer_ns"))
    assert profile.costs["track_switch_ns"].value == 0
    assert profile.costs["line_transfer_ns"].value == profile.costs["shared_entry_ns"].value
    assert {"track_switch_ns", "line_transfer_ns"} <= set(profile.assumed)


def test_a_cost_without_a_default_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="costs lacks shared_entry_ns, walk_ns; give each"):
        load_profile(without(tmp_path, "walk_ns", "shared_entry_ns", "line_transfer_ns"))


def test_every_price_of_a_step_is_for_something_that_steps_record() -> None:
    per = [kind.per for kind in COST_KINDS.values() if kind.per]
    assert len(set(per)) == len(per)
    assert set(per) <= set(StepCost.__annotations__)
    assert set(COSTS.names) == {*COST_KINDS, "arbitration"}
    assert STEP_COST.names == (*StepInputs.__annotations__, *StepCost.__annotations__)


def test_a_step_begins_with_nothing_recorded_and_its_inputs_untouched() -> None:
    reset = dict(re.findall(r"^    d\.(\w+) = (-?\d+)$", step_record_source(), re.MULTILINE))
    assert reset == dict.fromkeys(StepCost.__annotations__, "0") | {"finding": "-1"}
