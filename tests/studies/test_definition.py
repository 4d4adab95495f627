"""Reading the file of a study."""

from __future__ import annotations

import pytest

from pipeline.errors import InputError
from pipeline.studies.definition import read_study


def test_grids_of_a_study_share_what_stands_in_grid(tmp_path):
    path = tmp_path / "shared.toml"
    path.write_text(
        'claim = "c"\n[grid]\ntrace = "local"\nallocator = "global_pool"\nmachine = "numaq16"\n'
        "options.slots = 64\n[grids.pool]\ncpus = 4\n[grids.small]\noptions.slots = 8\n"
        '[sql]\ncondition = "SELECT true AS holds"\n'
    )
    pool, small = read_study(path).grids.values()
    assert (pool.machine, pool.options["slots"]) == (("numaq16",), (64,))
    assert (small.machine, small.options["slots"]) == (("numaq16",), (8,))
    path.write_text('claim = "c"\n[sql]\ncondition = "SELECT true AS holds"\n')
    with pytest.raises(
        InputError, match=r"expected a table \[grid\] or tables \[grids.NAME\], found neither"
    ):
        read_study(path)


def test_a_mistake_in_what_grids_share_is_told_where_it_stands(tmp_path):
    path = tmp_path / "mistaken.toml"
    path.write_text(
        'claim = "c"\n[grid]\ntrace = "local"\nallocator = "global_pool"\nmachin = "numaq16"\n'
        '[grids.pool]\nmachine = "numaq16"\n[sql]\ncondition = "SELECT true AS holds"\n'
    )
    with pytest.raises(InputError, match=r"mistaken.toml:2: unknown factor 'machin'"):
        read_study(path)
    path.write_text(path.read_text().replace("machin =", "cpus =").replace('"numaq16"\n[grids', "4\n[grids"))
    assert read_study(path).grids["pool"].cpus == (4,)
    path.write_text(path.read_text().replace("machine =", "machin ="))
    with pytest.raises(InputError, match=r"mistaken.toml:6: unknown factor 'machin'"):
        read_study(path)


def test_a_claim_over_several_lines_is_one_line(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text(
        'claim = """\nA claim\nthat wraps\n"""\nlabel = "x"\n[grid]\ntrace = "local"\n'
        'allocator = "global_pool"\nmachine = "numaq16"\n[sql]\ncondition = "SELECT true AS holds"\n'
    )
    assert read_study(path).heading == "(x) A claim that wraps"
