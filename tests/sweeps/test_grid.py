"""Grids: which factors there are, and what a file or a command says of them."""

from __future__ import annotations

import tomllib

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.sweeps.grid import expand, grid_text, is_grid, make_grid, parse_values, read_grid

BASE = {"trace": "local", "allocator": "global_pool", "machine": "numaq16"}


def test_a_range_doubles_from_end_to_end():
    assert expand("128..1024") == (128, 256, 512, 1024)
    assert expand(["1..4", 6]) == (1, 2, 4, 6)
    assert expand(parse_values(["128..256,7", "x"])) == (128, 256, 7, "x")
    with pytest.raises(ValueError, match=r"3\.\.6 does"):
        expand("3..10")


def test_what_is_not_given_does_not_vary():
    axes = {axis.factors: axis.values for axis in make_grid(BASE).axes()}
    assert ("cpus",) not in axes
    assert axes["lowmem",] == (("none",),)
    assert axes["loop",] == (("closed",),)


def test_factors_that_vary_together_are_one_axis():
    grid = make_grid(BASE | {"together": [{"cpus": "1..4", "workload": {"tasks": [3, 5, 9]}}]})
    (axis,) = [axis for axis in grid.axes() if len(axis.factors) > 1]
    assert axis.factors == ("cpus", "workload.tasks")
    assert axis.values == ((1, 3), (2, 5), (4, 9))


@pytest.mark.parametrize(
    "change",
    [
        {
            "options": {"global_pool": {"slots": "128..4096"}},
            "cpus": [1, 4],
            "replications": 8,
            "jitter": "0.5%",
        },
        {"together": [{"cpus": [1, 2], "costs.switch_ns": [5, 6]}], "events": "full", "seed": 3},
        {"workload": {"page_sets.files.skew": [0.5, 1.0]}, "lowmem": ["none", "page_fault+other"]},
    ],
)
def test_a_grid_is_read_as_it_was_written(tmp_path, change):
    grid = make_grid(BASE | change)
    text = grid_text(grid)
    assert make_grid(tomllib.loads(text)) == grid
    assert text.count("# ") > len(change)
    (tmp_path / "grid.toml").write_text(text)
    assert read_grid(tmp_path / "grid.toml") == grid
    assert is_grid(tmp_path / "grid.toml")


def test_changes_replace_factors_and_single_values_within_tables(tmp_path):
    (tmp_path / "grid.toml").write_text(
        'trace = "local"\nallocator = "atomic"\nmachine = "numaq16"\n[costs]\nswitch_ns = 1\nwake_ns = 2\n'
    )
    grid = read_grid(tmp_path / "grid.toml", {"machine": ["smp4-2002"], "costs": {"wake_ns": [3, 4]}})
    assert grid.machine == ("smp4-2002",)
    assert grid.costs == {"switch_ns": (1,), "wake_ns": (3, 4)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machin": "x"}, "unknown factor 'machin' (did you mean 'machine'"),
        ({"allocator": []}, "factor allocator has no values, so the grid has no runs"),
        ({"options": {"slots": []}}, "factor options.slots has no value"),
        ({"cpus": "four"}, "factor cpus.0: expected a valid integer, found 'four'"),
        ({"replications": 0}, "factor replications: expected greater than or equal to 1, found 0"),
        ({"events": "some"}, "factor events: expected 'full', 'stretches' or 'none', found 'some'"),
        ({"jitter": "much"}, "jitter expects a percentage such as 0.5%, found 'much'"),
        ({"cpus": 1, "together": [{"cpus": [1]}]}, "factor cpus is given twice"),
        ({"together": [{"cpus": [1, 2], "jitter": [1]}]}, "found 2 of cpus, 1 of jitter"),
        ({"together": [{"cpu": [1, 2]}]}, "together: unknown factor 'cpu' (did you mean 'cpus'"),
    ],
)
def test_a_mistake_is_one_line(change, said):
    with pytest.raises(UsageError) as raised:
        make_grid(BASE | change)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    (tmp_path / "grid.toml").write_text("trace = [")
    with pytest.raises(InputError, match=r"grid\.toml:\d+: expected TOML, found a syntax error"):
        read_grid(tmp_path / "grid.toml")
    (tmp_path / "grid.toml").write_text("trac = 1")
    with pytest.raises(InputError, match=r"grid\.toml: unknown factor 'trac' \(did you mean 'trace'"):
        read_grid(tmp_path / "grid.toml")


def test_a_workload_is_no_grid(tmp_path):
    (tmp_path / "w.toml").write_text("tasks = 3\n")
    assert not is_grid(tmp_path / "w.toml")


def test_an_entry_of_together_without_a_factor_is_refused():
    with pytest.raises(UsageError, match="'together' has no factor"):
        make_grid(BASE | {"together": [{}]})
