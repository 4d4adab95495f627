"""Ranges of prices: stated in a profile with a source, or by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.machine.catalogue import profile_path, shipped_profiles
from pipeline.machine.profile import Profile, describe_profile, load_profile

STATED = 'low = 200\nhigh = 500\nrange_source = "invlpg 0.2-0.5 us"\n'


def changed(tmp_path: Path, old: str, new: str) -> Profile:
    text = profile_path("numaq16").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (tmp_path / "mine.toml").write_text(text.replace(old, new), encoding="utf-8")
    return load_profile(str(tmp_path / "mine.toml"))


def test_a_price_has_the_range_that_its_profile_states_or_a_factor_of_two_each_way():
    ranges = load_profile("numaq16").ranges()
    stated, assumed, fitted = (ranges[name] for name in ("invalidate_ns", "probe_ns", "hold_per_spinner_ns"))
    assert (stated.low, stated.value, stated.high, stated.stated) == (200, 300, 500, True)
    assert (assumed.low, assumed.value, assumed.high) == (30, 60, 120)
    assert assumed.source == "assumed: a factor of 2 each way"
    assert (fitted.low, fitted.high) == (550, 2200)
    assert fitted.source == "a factor of 2 each way: its source states no range"


def test_what_is_zero_or_no_price_has_no_range_and_a_percentage_stays_one():
    ranges = load_profile("smp8-2002").ranges()
    assert not {"broadcast_ns", "flushes_queue", "starvation_passes", "flush_range_slots"} & ranges.keys()
    assert (ranges["barging_percent"].low, ranges["barging_percent"].high) == (50, 100)
    text = describe_profile("smp8-2002")
    assert "    range: 200 to 500 ns, invlpg 0.2-0.5 us\n" in text
    assert "    range: none: 0 stays 0 by any factor\n" in text
    assert "    range: none: a property of the machine, not a cost\n" in text


@pytest.mark.parametrize("name", shipped_profiles())
def test_the_range_of_every_shipped_price_holds_its_value(name):
    for found in load_profile(name).ranges().values():
        assert 1 <= found.low <= found.value <= found.high
        assert found.low < found.high, found.cost


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (STATED.replace("200", "600"), "found low 600, value 300, high 500"),
        (STATED.replace("500", "250"), "found low 200, value 300, high 250"),
        (STATED.replace("200", "0"), "expects 1 <= low <= value"),
        ("low = 200\n", "found no high and no range_source"),
        (STATED.replace("low = 200", 'low = "little"'), "key costs.invalidate_ns.low: "),
    ],
)
def test_a_bad_range_is_refused_with_file_and_key(tmp_path, new, said):
    with pytest.raises(InputError, match=r"mine\.toml: .*costs\.invalidate_ns") as caught:
        changed(tmp_path, STATED, new)
    assert said in str(caught.value)


def test_a_range_of_what_is_no_price_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"costs\.flushes_queue: is a property of the machine"):
        old = "[costs.flushes_queue]\nvalue = 1\n"
        changed(tmp_path, old, f'{old}low = 1\nhigh = 1\nrange_source = "a guess"\n')


def test_a_range_is_no_part_of_what_a_machine_does(tmp_path):
    with_range, without = load_profile("numaq16"), changed(tmp_path, STATED, "")
    assert without.ranges()["invalidate_ns"].high == 600
    assert with_range.document_costs() == without.document_costs()
    assert with_range.record() == without.record()
