"""The table of costs: what follows from it, and what a profile need not name."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.allocators.api import counts, effects
from pipeline.allocators.api.contract import Shape, parse_options
from pipeline.allocators.api.protocols import StepCost, StepRecord, StepSpecials
from pipeline.allocators.registry import load_allocator
from pipeline.errors import InputError
from pipeline.machine.catalogue import profile_path
from pipeline.machine.costs import COST_KINDS, CostKind, counts_source, step_record_source
from pipeline.machine.engine.records import COSTS, STEP_COST
from pipeline.machine.machine_state import build_allocator
from pipeline.machine.profile import load_profile

STEP_FIELDS = STEP_COST.names or ()


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


def test_every_price_of_a_step_is_for_something_that_is_counted() -> None:
    per = [kind.per for kind in COST_KINDS.values() if kind.per]
    counting = {name for name, f in vars(counts).items() if getattr(f, "__module__", "") == counts.__name__}
    assert len(set(per)) == len(per)
    assert set(per) == counting
    assert set(COSTS.names or ()) == {*COST_KINDS, "arbitration"}


def composed_functions(source: str) -> dict[str, Any]:
    """What the source of a module that is written from the table defines."""
    functions: dict[str, Any] = {}
    exec(source, functions)
    return functions


def step_record() -> Any:
    """A record of a step in which every field has another value."""
    record = np.zeros(1, STEP_COST).view(np.recarray)
    for value, name in enumerate(STEP_FIELDS, start=2):
        record[name] = value
    record.special = 1
    return record[0]


def test_a_step_begins_with_nothing_recorded_and_its_inputs_untouched() -> None:
    before, d = step_record(), step_record()
    composed_functions(step_record_source())["reset"](d)
    recorded = StepRecord.__annotations__ | StepSpecials.__annotations__
    for name in STEP_FIELDS:
        begun = -1 if name == "finding" else 0
        assert d[name] == (begun if name in recorded else before[name]), name


@pytest.mark.parametrize(
    "kind", [kind for kind in COST_KINDS.values() if kind.per], ids=lambda kind: kind.name
)
def test_counting_adds_the_price_and_what_the_engine_reads_of_the_count(kind: CostKind) -> None:
    before, d = step_record(), step_record()
    composed_functions(counts_source())[kind.per](d, 3)
    total = {"critical": "work_ns", "scan": "scan_ns", "flush": "flush_ns"}[kind.booked]
    changed = {name: int(d[name] - before[name]) for name in STEP_FIELDS if d[name] != before[name]}
    counted = {kind.per: 3} if kind.per in STEP_FIELDS else {}
    assert changed == {total: 3 * before[kind.name]} | counted


def effects_with_arguments() -> dict[str, list[Any]]:
    """Arguments after `a` and `d` of every function of `effects` that records something."""
    others = {"this_cpu", "all_cpus", "may_hold_since", "forget_outside"}
    functions = {n: f for n, f in vars(effects).items() if getattr(f, "__module__", "") == effects.__name__}
    named = {name: inspect.signature(function).parameters for name, function in functions.items()}
    return {
        name: [1 for parameter in parameters if parameter not in ("a", "d")]
        for name, parameters in named.items()
        if name not in others
    }


@pytest.mark.parametrize(("name", "arguments"), effects_with_arguments().items())
def test_an_effect_that_few_steps_have_says_so_to_the_next_reset(name: str, arguments: list[Any]) -> None:
    allocator = load_allocator("lockless_pool")
    a = build_allocator(allocator, parse_options(allocator.options, {}, "lockless_pool"), Shape(2, 1, 1, 1))
    d = SimpleNamespace(**dict.fromkeys((*STEP_FIELDS, *StepCost.__annotations__), 0))
    d.atomic_ns = 5
    before = dict(vars(d))
    function = getattr(effects, name)
    function(*([a] if "a" in inspect.signature(function).parameters else []), d, *arguments)
    changed = {field for field, value in vars(d).items() if value != before[field]}
    assert changed
    assert ("special" in changed) == bool(changed & set(StepSpecials.__annotations__))
