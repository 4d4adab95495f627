"""Options without effect: what a design says of them holds in the replay, and the user is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import load_allocator, resolve_allocator, shipped_allocators
from pipeline.runs.options import note_idle_options
from tests.runs.made import generated, replayed

# Design, settings under which an option has no effect, CPUs, and two values of each such option.
FEW = {"slots_per_cpu": "2"}
SMALL = {"slots": "16"}
POOL = {"slots": ("64", "512"), "flush_if_any": ("true", "false"), "wake": ("all", "one")}
CASES = [
    ("percpu_pinned", FEW, 2, POOL),
    ("percpu_pinned", FEW | {"overflow": "global", "slots": "4"}, 2, {"wait_pinned": ("true", "false")}),
    ("atomic", {}, 2, POOL),
    ("series_pool", SMALL | {"series": "1"}, 2, {"scan": ("all", "own")}),
    ("lockless_pool", SMALL, 1, {"counts_per_line": ("1", "16")}),
    ("global_pool_invlpg", SMALL, 1, {"flush_if_any": ("true", "false")}),
    ("deferred_flush", SMALL, 2, {"batch": ("16", "20")}),
    ("split_pool", SMALL, 2, {"batch": ("8", "16")}),
]


def idle(design: str, options: dict[str, str], cpus: int) -> dict[str, str]:
    allocator = load_allocator(design)
    return allocator.idle_options(parse_options(allocator.options, options, design), cpus)


@pytest.mark.parametrize(("design", "settings", "cpus", "values"), CASES)
def test_an_option_that_is_said_to_have_no_effect_changes_nothing(
    tmp_path: Path, design: str, settings: dict[str, str], cpus: int, values: dict[str, tuple[str, str]]
) -> None:
    def totals(more: dict[str, str]) -> object:
        run = replayed(
            trace,
            tmp_path / "runs",
            design,
            options=settings | more,
            cpus=cpus,
            events="none",
            compiled=False,
        )
        return run.manifest.totals

    trace = generated(tmp_path, "fault_storm", 300)
    for name, pair in values.items():
        assert name in idle(design, settings | {name: pair[1]}, cpus)
        assert totals({name: pair[0]}) == totals({name: pair[1]})


def test_every_option_that_a_design_calls_idle_is_tried() -> None:
    tried = {(design, name) for design, _, _, values in CASES for name in values}
    called = {(d, name) for d in shipped_allocators() for cpus in (1, 2) for name in idle(d, {}, cpus)}
    assert called <= tried


@pytest.mark.parametrize(
    ("design", "given", "cpus", "notes"),
    [
        (
            "percpu_pinned",
            {"slots": "9"},
            2,
            ["slots of percpu_pinned has no effect: it requires overflow=global"],
        ),
        ("percpu_pinned", {"slots": "9", "overflow": "global"}, 2, []),
        ("split_pool", {}, 2, []),
        (
            "split_pool",
            {"batch": "8", "slots": "16"},
            2,
            ["batch of split_pool has no effect: it requires a value below 8"],
        ),
        (
            "page_fault=percpu_pinned,default=global_pool",
            {"percpu_pinned.wake": "one", "global_pool.wake": "one"},
            2,
            ["wake of percpu_pinned has no effect"],
        ),
        ("lockless_pool", {"counts_per_line": "4"}, 1, ["requires more than one CPU"]),
        ("lockless_pool", {"counts_per_line": "4"}, 2, []),
    ],
)
def test_only_options_that_are_given_are_noted(
    design: str, given: dict[str, str], cpus: int, notes: list[str]
) -> None:
    allocator = resolve_allocator(design)
    found = note_idle_options(allocator, parse_options(allocator.options, given, allocator.name), given, cpus)
    assert len(found) == len(notes)
    assert all(part in note for part, note in zip(notes, found, strict=True))
