from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.workload.read_spec import read_workload, shipped_workloads
from tests.workload.specs import SPEC, named


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tasks = 7", "tasks 7", r"test\.toml:3: expected TOML, found a syntax error: Expected '='"),
        ("tasks = 7", "tsks = 7", r"found unknown key 'tsks' \(did you mean 'tasks'\?\); known: .*oper"),
        ("skew = 1.0", "skw = 1.0", r"page_sets\.cache: found unknown key 'skw' \(did you mean 'skew'"),
        ("tasks = 7", "tasks = 0", r"tasks: expected greater than or equal to 1, found 0"),
        ("tasks = 7", 'tasks = "7"', r"tasks: expected a valid integer, found '7'"),
        ("tasks = 7", "tasks = true", r"tasks: expected a valid integer, found True"),
        ("tasks = 7", "", r"tasks: this key is required; add it"),
        ("pages = 100", "pages = -3", r"page_sets\.cache\.pages: expected .* 1, found -3"),
        ("skew = 1.0", "skew = 7.5", r"page_sets\.cache\.skew: expected less than or equal to 5, found 7\.5"),
        ("pages = 100", "pages = 20_000_000", r"\.cache: a skewed page set can have at most 16777216 pages"),
        ('sharing = "process"', 'sharing = "proces"', r"expected 'all', 'process' or 'task', found 'proces'"),
        ("ns = 9_000", "ns = -1", r"kinds\.copy_to_user\.block\.time\.ns: expected .* 0, found -1"),
        ("ns = 9_000", "ns = 70_368_744_177_664", r"block\.time\.ns: expected less than 70368744177664"),
        ("ns = 9_000", "ms = 9", r"kinds\.copy_to_user\.block\.time: found unknown key 'ms'.*: dist, ns"),
        ('"lognormal"', '"lognorml"', r"hold: dist: found unknown 'lognorml' \(did you mean 'lognormal'"),
        ("hold = { dist = \"exponential\", mean_ns = 1_000 }", "hold = 5", r"hold: expected .*found 5"),
        ("high_ns = 50_000", "high_ns = 50_000, low_ns = 60_000", r"test\.toml:6: expected TOML"),
        ("low_ns = 0", "low_ns = 60_000", r"start: low_ns \(60000\) is greater than high_ns \(50000\)"),
        ("share = 0.25", "share = 0.35", r"shares of all kinds sum to 1\.1, but must sum to 1"),
        ('page_set = "tables"', 'page_set = "tabels"', r"page_set: found 'tabels', expected one of: cache, "),
        ("[kinds.page_fault]", "[kinds.page_falt]", r"kinds: found unknown key 'page_falt' \(did you mean"),
        ("page_fault = 0.2", "directory = 0.2", r"nested: the file has no \[kinds\.directory\]; add it"),
        ("page_fault = 0.2", "copy_to_user = 0.2", r"a kind contains itself through 'copy_to_user'"),
        ("page_fault = 0.2", "page_fault = 1.2", r"nested\.page_fault: expected .* 1, found 1\.2"),
        ("page_fault = 0.2", "page_fault = 0.7, other = 0.7", r"`nested` sum to more than 1"),
        ("weights = [1, 3]", "weights = [1]", r"bytes: one weight for each value is required"),
        ("bytes = {", "pages = 0\nbytes = {", r"kinds\.copy_to_user\.pages: expected .* 1, found 0"),
        ("bytes = {", "pages = 1.5\nbytes = {", r"kinds\.copy_to_user\.pages: expected .*, found 1\.5"),
        ("weights = [1, 3] }", "weights = [1, 3] }\npages = 1048577", r"pages: expected .* 1048576"),
        ("probability = 0.1", "probability = 1.1", r"block\.probability: expected .* 1, found 1\.1"),
        ("[page_sets.tables]", '[kinds.x]\n[page_sets.tables]', r"kinds: found unknown key 'x'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_spec_is_named_with_its_place_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert SPEC.count(old) >= 1
    with pytest.raises(InputError, match=said) as caught:
        named(tmp_path, SPEC.replace(old, new, 1))
    assert str(tmp_path / "test.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_workload_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'kernel_build'"):
        read_workload("kernel_biuld")


def test_a_path_that_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a workload spec, found no such file"):
        read_workload(tmp_path / "none.toml")


def test_bytes_that_are_no_text_are_reported_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"a = 1\n\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.toml:2: expected TOML in UTF-8"):
        read_workload(path)


def test_every_shipped_spec_has_one_line_of_description() -> None:
    known = shipped_workloads()
    assert {"kernel_build", "read_one_byte", "fault_storm", "laptop", "zipf_bench"} <= known.keys()
    for name in known:
        assert "\n" not in read_workload(name).workload.description
