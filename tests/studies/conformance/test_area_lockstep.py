"""Designs for areas agree with a model of the kernel's vmalloc in every event; broken copies are detected."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.allocators.registry import load_allocator
from pipeline.cli import run
from pipeline.errors import InputError, UsageError
from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.importing.text.blocks import open_text
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.area_design import AreaDesign
from pipeline.studies.conformance.area_lockstep import verify_areas
from pipeline.studies.conformance.area_notes import ADDRESS, ASKED, COLLECTED, LAZY, RANGE, RETURNING, WIDENED
from pipeline.studies.conformance.area_page import MANY_CPUS, RECORDING, write_areas
from tests.machine.runs import mutate_allocator
from tests.studies.conformance.vmalloc_model import Kernel

LIMIT = 2000
DESIGNS = {"vmap_lazy": {"drain": "worker"}, "vmap_nodes": {}}
_STEPS = 2500


@cache
def recorded(seed: int, after: int = 0, late: float = 0.02, aliases: float = 0.0, limit: int = LIMIT) -> str:
    """Text of a recording that begins `after` steps of the kernel."""
    kernel = Kernel(seed, limit=limit, late=late, aliases=aliases)
    kernel.run(after)
    kernel.lines.clear()
    kernel.run(_STEPS)
    return kernel.text()


@cache
def strained(seed: int, cpus: int, late: float = 0.0) -> str:
    """Text of a recording in which CPUs free while purges go from list to list, caused by several things."""
    kernel = Kernel(seed, cpus=cpus, limit=LIMIT, late=late, aliases=0.001, work=0.8, spread=True)
    kernel.run(4000)
    return kernel.text()


def held_against(folder: Path, text: str, design: str = "vmap_lazy", **options: str) -> Agreement:
    (folder / "vmalloc.txt").write_text(text, encoding="utf-8")
    given = {"lazy_pages": str(LIMIT)} | DESIGNS.get(design, {}) | options
    return verify_areas(folder / "vmalloc.txt", allocator=design, options=given)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("seed", range(3))
def test_a_design_does_what_the_kernel_did(design: str, seed: int, tmp_path: Path) -> None:
    found = held_against(tmp_path, recorded(seed), design)
    assert found.agrees, found.text()
    assert found.start == "nothing lazy at the start"
    assert not found.lost
    text = recorded(seed)
    frees = text.count("free_vmap_area_noflush")
    compared = found.compared[LAZY] + found.compared[RETURNING]
    cut_off = re.search(r"note: (\d+) frees? at the end not compared", found.text())
    assert compared + (int(cut_off[1]) if cut_off else 0) == frees
    assert found.compared[COLLECTED] == found.compared[RANGE] == text.count("purge_vmap_area_lazy") > 3


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_does_what_the_recorded_kernel_did(design: str) -> None:
    found = verify_areas(recording_path(RECORDING), allocator=design, options=DESIGNS[design])
    assert found.agrees, found.text()
    assert found.compared[ADDRESS] == 3_390
    assert found.compared[LAZY] == 3_396 - 17
    assert found.compared[COLLECTED] == found.compared[RANGE] == 2


def test_an_area_whose_free_was_lost_blocks_no_later_map(tmp_path: Path) -> None:
    """Of the recorded kernel with eight CPUs, each 70th event is lost; many of them are frees."""
    with open_text(recording_path(MANY_CPUS)) as text:
        lines = text.read().decode().splitlines(keepends=True)
    lines[69::70] = ["CPU:3 [LOST 1 EVENTS]\n"] * len(lines[69::70])
    (tmp_path / "holes.txt").write_text("".join(lines), encoding="utf-8")
    found = verify_areas(tmp_path / "holes.txt", allocator="vmap_nodes")
    assert found.agrees, found.text()
    assert found.compared[ADDRESS] > 4_000
    assert any("parts without a gap" in note for note in found.notes)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_does_what_the_recorded_kernel_with_eight_cpus_did(design: str) -> None:
    found = verify_areas(recording_path(MANY_CPUS), allocator=design, options=DESIGNS[design])
    assert found.agrees, found.text()
    assert found.compared[ADDRESS] == 4_731
    assert found.compared[LAZY] + found.compared[RETURNING] == 4_709 - 9
    assert found.compared[COLLECTED] == 100 - 6
    assert found.compared[RANGE] == 100 - 3
    assert found.compared["purges not caused by the counter"] == 95
    assert any("left by a purge that collected later ones" in note for note in found.notes)


def test_the_page_states_the_counts_and_the_difference_of_a_purge_by_the_unmap() -> None:
    text = write_areas()
    assert (
        f"| {RECORDING}, vmap_nodes | {MANY_CPUS}, vmap_lazy drain=worker | {MANY_CPUS}, vmap_nodes |" in text
    )
    assert "| **differences** | **0** | **0** | **0** | **0** |" in text
    assert "difference is: event 1," in text


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("after", [500, 900])
def test_a_recording_that_begins_in_the_middle_says_what_it_cannot_tell(
    design: str, after: int, tmp_path: Path
) -> None:
    found = held_against(tmp_path, recorded(7, after, late=0.0), design)
    assert found.agrees, found.text()
    assert "pages lazy at the start" in found.start
    assert found.lost[COLLECTED].startswith("cannot tell for ")
    assert found.lost[RANGE].startswith("cannot tell for ")
    assert found.lost[LAZY].startswith("cannot tell for ")
    assert found.compared[COLLECTED] > 1


def test_purges_of_other_causes_are_followed(tmp_path: Path) -> None:
    found = held_against(tmp_path, recorded(1, aliases=0.004))
    assert found.agrees, found.text()
    assert found.compared["purges not caused by the counter"]
    assert found.compared[WIDENED]


@pytest.mark.parametrize("seed", [1, 2])
def test_lists_collected_at_different_moments_are_found(seed: int, tmp_path: Path) -> None:
    kernel = Kernel(seed, limit=LIMIT, late=0.005, work=0.8, spread=True)
    kernel.run(4000)
    found = held_against(tmp_path, kernel.text())
    assert found.agrees, found.text()
    assert any("left by a purge" in note for note in found.notes)


@pytest.mark.parametrize("cpus", [4, 8, 16])
@pytest.mark.parametrize("seed", [0, 1])
def test_frees_on_many_cpus_during_a_purge_are_told_apart(cpus: int, seed: int, tmp_path: Path) -> None:
    text = strained(seed, cpus)
    found = held_against(tmp_path, text, "vmap_nodes", nodes=str(cpus))
    assert found.agrees, found.text()
    assert found.compared[COLLECTED] == text.count("purge_vmap_area_lazy") > 10
    assert not found.lost


def test_a_recording_of_more_cpus_than_a_machine_has_is_followed(tmp_path: Path) -> None:
    found = held_against(tmp_path, strained(0, 150), "vmap_nodes")
    assert found.agrees, found.text()
    assert found.compared[COLLECTED] == 4


@pytest.mark.parametrize(("cpus", "bits"), [(8, 4), (64, 7), (200, 8)])
def test_the_limit_is_that_for_the_recorded_cpus(cpus: int, bits: int) -> None:
    design = AreaDesign(load_allocator("vmap_lazy"), {"drain": "worker"}, cpus, 70_000)
    assert design.place(0, bits * 8192, 0)
    assert design.place(bits * 8192, 1, cpus - 1)
    assert not design.unmap(0, bits * 8192, 0)[0]
    assert design.unmap(bits * 8192, 1, cpus - 1)[0]


def test_a_purge_that_the_recording_does_not_explain_is_counted_and_not_a_difference(tmp_path: Path) -> None:
    text = strained(2, 16, late=0.02)
    found = held_against(tmp_path, text, "vmap_nodes", nodes="16")
    assert found.agrees, found.text()
    for what in (COLLECTED, RANGE):
        assert found.lost[what].startswith("cannot tell for 1 purge: frees were in progress on several CPUs")
        assert found.compared[what] == text.count("purge_vmap_area_lazy") - 1


def test_purges_before_the_first_free_returned_areas_of_unknown_length(tmp_path: Path) -> None:
    kernel = Kernel(3, limit=LIMIT, late=0.0)
    kernel.run(900)
    kernel.lines.clear()
    kernel._begin_purge("")
    while kernel.purge:
        kernel.purge.pop(0)()
    kernel.run(_STEPS)
    found = held_against(tmp_path, kernel.text())
    assert found.agrees, found.text()
    assert found.start.endswith("areas of unknown length purged before the first free")
    assert found.lost[COLLECTED].startswith("cannot tell for 2 purges: the number of areas")
    assert found.compared[COLLECTED] == kernel.text().count("purge_vmap_area_lazy") - 2


def test_events_that_come_late_are_put_in_order(tmp_path: Path) -> None:
    assert " took effect before one recorded earlier" in held_against(tmp_path, recorded(0)).text()


def test_lost_events_begin_another_part(tmp_path: Path) -> None:
    lines = recorded(2, late=0.0).splitlines(keepends=True)
    frees = [number for number, line in enumerate(lines) if "free_vmap" in line]
    del lines[frees[300] : frees[300] + 9]
    text = "".join(lines).replace(f"{len(lines) + 6}/", f"{len(lines) - 3}/")
    found = held_against(tmp_path, text)
    assert found.agrees, found.text()
    assert any("events are missing" in note and "2 parts" in note for note in found.notes)


@cache
def joined(seed: int, after: int = 0, **given: Any) -> str:
    """Text of a recording of a kernel that joins lazy areas."""
    kernel = Kernel(seed, limit=LIMIT, joins=True, **{"late": 0.0} | given)
    kernel.run(after)
    kernel.lines.clear()
    kernel.run(_STEPS)
    return kernel.text()


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("after", [0, 700])
def test_a_kernel_that_joins_lazy_areas_counts_the_joined_ones(
    design: str, seed: int, after: int, tmp_path: Path
) -> None:
    text = joined(seed, after)
    found = held_against(tmp_path, text, design)
    assert found.agrees, found.text()
    assert any("joins lazy areas" in note for note in found.notes)
    # The first purge after a beginning in the middle returned areas of unknown number.
    assert found.compared[COLLECTED] == text.count("purge_vmap_area_lazy") - bool(after) > 4


def test_a_number_of_joined_areas_that_is_wrong_is_a_difference(tmp_path: Path) -> None:
    """Of the last purge, whose pages are shown by a later free, the number is one too large."""
    before, _, number = joined(1).rpartition("num_purged=")
    count, _, rest = number.partition("\n")
    assert "free_vmap_area" in rest
    found = held_against(tmp_path, f"{before}num_purged={int(count) + 1}\n{rest}")
    assert [(one.what, one.kernel, one.allocator) for one in found.differences] == [
        (COLLECTED, str(int(count) + 1), count)
    ]


def test_joining_is_no_excuse_for_a_broken_design(tmp_path: Path) -> None:
    found = held_against(tmp_path, joined(0), drain="caller")
    assert {LAZY, COLLECTED, RANGE} <= {difference.what for difference in found.differences}


def test_differences_beside_missing_events_are_no_verdict(tmp_path: Path) -> None:
    """Of one CPU, the events of a while are lost, as in a buffer that overflowed."""
    lines = recorded(2, late=0.0).splitlines(keepends=True)
    gone = [number for number, line in enumerate(lines) if "[001]" in line][200:300]
    lines[gone[0]] = "CPU:1 [LOST 100 EVENTS]\n"
    for number in reversed(gone[1:]):
        del lines[number]
    assert held_against(tmp_path, "".join(lines)).agrees
    found = held_against(tmp_path, "".join(lines), drain="caller")
    assert found.text().endswith(
        " differences\ncannot tell whether the design differs, because events are missing; make a recording "
        "without losses, with a larger buffer\n"
    )
    assert "cannot tell whether" not in held_against(tmp_path, recorded(2), drain="caller").text()


def test_the_limit_of_a_text_without_cpus_is_the_recorded_one(tmp_path: Path) -> None:
    text = re.sub(
        r"(?m)^ *\S+-(\d+) \[\d+\] \.+ (\S+) (\w+:)", r"worker \1/\1 \2 vmalloc:\3", recorded(0, late=0.0)
    )
    path = tmp_path / "vmalloc.txt"
    path.write_text("".join(line for line in text.splitlines(keepends=True) if line[0] != "#"))
    found = verify_areas(path, allocator="vmap_lazy", options=DESIGNS["vmap_lazy"])
    assert found.agrees, found.text()
    assert found.compared[COLLECTED] > 1
    assert f"the text has no CPU numbers, so lazy_pages is the kernel's limit ({LIMIT:,})" in found.notes


def test_a_purge_by_the_unmap_differs_from_a_kernel_with_a_worker(tmp_path: Path) -> None:
    found = held_against(tmp_path, recorded(0), drain="caller")
    (asked, *_) = (one for one in found.differences if one.what == ASKED)
    assert (asked.kernel, asked.allocator) == ("yes", "no")
    assert {LAZY, COLLECTED, RANGE} <= {difference.what for difference in found.differences}


def test_an_address_mapped_before_its_purge_is_a_difference(tmp_path: Path) -> None:
    """The kernel of this recording maps an area again that no purge has collected."""
    lines = recorded(0).splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if "free_vmap" in line)
    address = int(lines[first].partition("va_start=")[2].split()[0], 16)
    again = re.sub(
        r"free_vmap.*",
        f"alloc_vmap_area: va_start: {address} size=8192 align=1 vstart=0x0 vend=0x1 failed=0",
        lines[first],
    )
    lines.insert(first + 1, again)
    found = held_against(tmp_path, "".join(lines))
    assert found.differences[0].what == ADDRESS
    assert found.differences[0].seq == first - 3 + 1
    assert "has an area there" in found.differences[0].line()


# Each a single mistake in an otherwise faithful copy, and what must give it away.
BROKEN = {
    "the range ends too early": (
        "vmap_lazy",
        "flush_range(d, first, end - first)",
        "flush_range(d, first, end - first - 1)",
        RANGE,
    ),
    "the purge is forgotten": (
        "vmap_lazy",
        "if too_many or a.pool[0].short == 1:",
        "if a.pool[0].short == 1:",
        ASKED,
    ),
    "one area is not counted": (
        "vmap_lazy",
        "scan(d, walked, areas)",
        "scan(d, walked, areas - 1)",
        COLLECTED,
    ),
    "a page stays counted": ("vmap_lazy", "a.pool[0].lazy -= r.mark", "a.pool[0].lazy -= r.mark - 1", LAZY),
    "the last list is not collected": (
        "vmap_nodes",
        "        a.pool[1 + node].purge_head = a.pool[1 + node].lazy_head\n"
        "        a.pool[1 + node].lazy_head = 0\n",
        "        if node < _nodes(a, d) - 1:\n"
        "            a.pool[1 + node].purge_head = a.pool[1 + node].lazy_head\n"
        "            a.pool[1 + node].lazy_head = 0\n",
        COLLECTED,
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_copy_is_caught(mistake: str, tmp_path: Path) -> None:
    design, right, wrong, shows = BROKEN[mistake]
    copy = str(mutate_allocator(tmp_path, re.sub(r"[^a-z]", "_", mistake), {right: wrong}, design).path)
    for text in (recorded(0), strained(0, 8)):
        found = held_against(tmp_path, text, copy, **DESIGNS[design])
        assert shows in {difference.what for difference in found.differences}, found.text()
    found = verify_areas(recording_path(MANY_CPUS), allocator=copy, options=DESIGNS[design])
    assert shows in {difference.what for difference in found.differences}, found.text()


def test_a_threshold_that_is_off_by_one_is_caught(tmp_path: Path) -> None:
    """The kernel's counter has its limit, and one page more, as values."""
    values = {int(value) for value in re.findall(r"nr_lazy=(\d+)", recorded(0))}
    exact = next(value for value in sorted(values) if value > LIMIT)
    for limit, more, kernel, design in ((exact - 1, 1, "yes", "no"), (exact, -1, "no", "yes")):
        found = held_against(tmp_path, recorded(0, limit=limit), lazy_pages=str(limit + more))
        assert (ASKED, kernel, design) in {(one.what, one.kernel, one.allocator) for one in found.differences}
        assert held_against(tmp_path, recorded(0, limit=limit), lazy_pages=str(limit)).agrees


def test_the_command_chooses_by_the_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "v.txt").write_text(recorded(0), encoding="utf-8")
    command = ["study", "kernel", str(tmp_path / "v.txt"), "-a", "vmap_lazy", "-s", "lazy_pages=2000"]
    assert run(command) == 0
    assert capsys.readouterr().out.endswith("no differences\n")
    assert run([*command, "-s", "drain=caller"]) == 5
    assert ": purge asked for: kernel yes, design no" in capsys.readouterr().out
    assert run([*command, "--free"]) == 2
    assert "--free, --machine and --start are for a pool" in capsys.readouterr().err


def test_other_designs_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"global_pool cannot follow .* use vmap_lazy or vmap_nodes"):
        verify_areas(tmp_path / "v.txt", allocator="global_pool")
    with pytest.raises(UsageError, match="guard_pages follows from the recording"):
        verify_areas(tmp_path / "v.txt", allocator="vmap_lazy", options={"guard_pages": "1"})


def test_areas_too_large_for_a_design_are_refused(tmp_path: Path) -> None:
    text = recorded(0).replace("size=8192", "size=34359738368", 1)
    with pytest.raises(InputError, match=r"take 8,[0-9,]+ pages of address space"):
        held_against(tmp_path, text)


@pytest.mark.parametrize("event", ["alloc_vmap_area", "free_vmap_area_noflush", "purge_vmap_area_lazy"])
def test_a_recording_without_one_of_the_events_is_refused(event: str, tmp_path: Path) -> None:
    lines = [line for line in recorded(0).splitlines(keepends=True) if event not in line]
    with pytest.raises(InputError, match=f"has no {event}; record all three events"):
        held_against(tmp_path, "".join(lines))


def test_an_area_without_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allocates an area of 0 pages"):
        held_against(tmp_path, recorded(0).replace("size=8192", "size=0", 1))


def test_a_number_of_areas_that_cannot_be_is_a_difference(tmp_path: Path) -> None:
    text = bytes(open_text(recording_path(RECORDING)).read(1 << 24)).decode()
    assert text.count("num_purged=838") == 1
    found = held_against(tmp_path, text.replace("num_purged=838", "num_purged=99999"), lazy_pages="0")
    assert found.differences[0].what == COLLECTED
    assert found.differences[0].kernel == "99,999"
