"""A recording whose events lack a field loses the comparisons that need it, and no other."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError
from pipeline.importing.import_trace import import_trace
from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.lockstep import verify
from tests.machine.runs import mutate_allocator
from tests.studies.conformance.kernel_model import Kernel, crowd, text_line, write_parquet
from tests.studies.conformance.test_lockstep import BROKEN, REMEMBERS

# Fields by the events that have them, and kinds of events, with the comparisons that each alone takes away.
FIELDS: dict[str, set[str]] = {
    "ke page": set(),
    "spa page": {"pages evicted, in order"},
    "spa vaddr": set(),
    "km page": set(),
    "km vaddr": set(),
    "km nr": set(),
    "km cnt": {"use count"},
    "ku page": set(),
    "ku nr": {"slot unmapped"},
    "ku cnt": {"use count"},
    "slp page": set(),
    "wak page": set(),
}
KINDS: dict[str, set[str]] = {
    "ke": set(),
    "spa": {"pages evicted, in order"},
    "fz": {"scans"},
    "ftlb": {"TLB flushes"},
    "slp": set(),
    "wak": set(),
}
ALL = FIELDS | KINDS


def without(recording: pl.DataFrame, *things: str) -> pl.DataFrame:
    """The recording without fields ("ku page") or kinds of events ("ftlb")."""
    kind = pl.col("ev").cast(pl.String)
    for thing in things:
        event, _, name = thing.partition(" ")
        if not name:
            recording = recording.filter(kind != event)
        elif name in recording.columns:
            recording = recording.with_columns(pl.when(kind == event).then(None).otherwise(name).alias(name))
    return recording


def held(recording: pl.DataFrame, path: Path, slots: int = 512, allocator: str = "global_pool") -> Agreement:
    recording.write_parquet(path / "r.kmap.parquet")
    options = {"slots": str(slots), "flush_if_any": "true"}
    return verify(path / "r.kmap.parquet", allocator=allocator, options=options)


def shipped(name: str, after: int = 0) -> pl.DataFrame:
    """At most 120,000 events of a shipped recording, starting after number `after`."""
    return pl.read_parquet(recording_path(name)).filter(pl.col("seq") > after).head(120_000)


@pytest.mark.parametrize("thing", ALL)
@pytest.mark.parametrize("recording", ["kcsleep2", "wrap16"])
def test_what_one_field_or_kind_of_event_takes_away_is_all_that_is_lost(
    tmp_path: Path, recording: str, thing: str
) -> None:
    whole = held(shipped(recording), tmp_path)
    found = held(without(shipped(recording), thing), tmp_path)
    assert found.agrees, found.text()
    assert set(found.lost) == ALL[thing]
    for what, number in whole.compared.items():
        if what not in found.lost:
            assert found.compared[what] == number, what
        elif not thing.endswith(" cnt"):
            assert found.compared[what] == 0, what
    assert not found.lost or "not compared: " + next(iter(found.lost)) in found.text()


@pytest.mark.parametrize("thing", [thing for thing in ALL if thing != "spa"])
def test_a_recording_that_begins_in_the_middle_may_lack_it_too(tmp_path: Path, thing: str) -> None:
    found = held(without(shipped("kcsleep2", after=20_000), thing), tmp_path)
    assert found.agrees, found.text()
    assert "slots adopted" in found.start


@pytest.mark.parametrize("begins", [0, 1500])
@pytest.mark.parametrize("first", ALL)
def test_any_two_may_be_lacking(tmp_path: Path, first: str, begins: int) -> None:
    kernel = Kernel(64, seed=7)
    kernel.run(crowd(kernel, 90, 12, 200))
    recording = pl.read_parquet(write_parquet(kernel.events[begins:], tmp_path / "model.parquet"))
    for second in list(ALL)[list(ALL).index(first) + 1 :]:
        try:
            found = held(without(recording, first, second), tmp_path, slots=64)
        except InputError as error:
            # How a pool stood that was in use cannot be told without any event of a slot being taken.
            assert "spa" in (first, second), error
            assert begins or "fz" in (first, second), error
        else:
            assert found.agrees, f"{first}, {second}: {found.text()}"


def test_unmaps_that_tell_nothing_are_their_tasks_own(tmp_path: Path) -> None:
    lacking = ("ku page", "ku nr", "ku cnt")
    found = held(without(shipped("kcsleep2"), *lacking), tmp_path)
    assert found.agrees, found.text()
    assert found.compared["slot"] == 13_000
    assert found.notes == [
        "13,000 ku lack page and nr, which are assumed to be those of the task's latest mapping"
    ]
    # Of mappings from before the recording such an unmap tells nothing: it is followed from behind the last.
    found = held(without(shipped("kcsleep2", after=20_000), *lacking), tmp_path)
    assert found.agrees, found.text()
    assert any("turns with the lock were skipped" in note for note in found.notes)
    assert found.compared["slot"] > 9_000


def test_pages_may_have_no_name_at_all(tmp_path: Path) -> None:
    recording = without(shipped("kcsleep2", after=20_000), *(thing for thing in FIELDS if "page" in thing))
    found = held(recording, tmp_path)
    assert found.agrees, found.text()
    assert found.compared["pages evicted, count"] > 8_000


def test_slots_may_have_no_number_if_the_pool_was_unused(tmp_path: Path) -> None:
    lacking = ("km nr", "km vaddr", "ku nr", "spa vaddr")
    found = held(without(shipped("kcsleep2"), *lacking), tmp_path)
    assert found.agrees, found.text()
    assert found.compared["pages evicted, in order"] == 11_004
    with pytest.raises(InputError, match=r"was in use when the recording began.*without nr or vaddr with km"):
        held(without(shipped("kcsleep2", after=20_000), *lacking), tmp_path)


def test_columns_may_be_absent(tmp_path: Path) -> None:
    recording = shipped("kcsleep2").drop("cpu", "time_ns", "seq")
    found = held(recording, tmp_path)
    assert found.agrees, found.text()
    with pytest.raises(InputError, match="each event needs a time"):
        import_trace(tmp_path / "r.kmap.parquet", tmp_path / "t.parquet", "kernel-pool-kmap")


@pytest.mark.parametrize("thing", ["ku page", "ku nr", "km cnt", "spa page", "ke", "wak"])
@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_copy_is_caught_by_what_is_left(tmp_path: Path, mistake: str, thing: str) -> None:
    right, wrong, _ = BROKEN[mistake]
    copy = mutate_allocator(tmp_path, "broken", {right: wrong} | REMEMBERS, "global_pool")
    found = held(without(shipped("kcsleep2"), thing), tmp_path, allocator=str(copy.path))
    assert not found.agrees


@pytest.mark.parametrize("unused", [0, 1], ids=["clean", "unused"])
@pytest.mark.parametrize("flags", ["d.Z.", None], ids=["text of 5.10", "parquet"])
def test_a_start_behind_slots_that_were_used_is_taken_from_the_first_allocation(
    tmp_path: Path, flags: str | None, unused: int
) -> None:
    kernel = Kernel(64, seed=3)
    kernel.last = 13
    for slot in range(1, 14) if unused else ():
        kernel.count[slot], kernel.holds[slot], kernel.slot_of[900 + slot] = 1, 900 + slot, slot
    kernel.run(crowd(kernel, 40, 30, 300))
    for event in kernel.events:
        if event["ev"] == "ku":
            event["page"] = None
    if flags is None:
        path = write_parquet(kernel.events, tmp_path / "r.kmap.parquet")
    else:
        path = tmp_path / "r.txt"
        path.write_text("# tracer: nop\n" + "".join(text_line(event, flags) for event in kernel.events))
    found = verify(path, allocator="global_pool", options={"slots": "64", "flush_if_any": "true"})
    assert found.agrees, found.text()
    assert found.start == (
        f"pool in use at the start: cursor at 13, {13 * unused} slots adopted, 0 of them held"
    )
    assert found.notes == [f"{40 * 30:,} ku lack page, which is derived from the slot"]


def test_a_trace_is_the_same_whether_unmaps_tell_their_page_or_their_slot_does(tmp_path: Path) -> None:
    traces = []
    for things in ((), ("ku page",), ("ku page", "ku nr"), ("km page", "ku page")):
        without(shipped("kcsleep2"), *things).write_parquet(tmp_path / "r.kmap.parquet")
        result = import_trace(tmp_path / "r.kmap.parquet", tmp_path / "t.parquet", threads=True)
        assert ("ku events lack the page" in " ".join(result.metadata.notes)) == ("ku page" in things)
        traces.append(pl.read_parquet(tmp_path / "t.parquet"))
    assert all(trace.equals(traces[0]) for trace in traces[1:])


def test_text_of_5_10_makes_the_same_trace_with_ticks_and_with_seconds(tmp_path: Path) -> None:
    kernel = Kernel(16, seed=2)
    kernel.run(crowd(kernel, 12, 5, 60))
    for event in kernel.events:
        event["time_ns"] -= event["time_ns"] % 1000
    ticks = "".join(text_line(event, "d.Z.") for event in kernel.events)
    seconds = "".join(
        text_line(event | {"time_ns": f"{event['time_ns'] / 1e9:.6f}"}, "d.Z.") for event in kernel.events
    )
    made = []
    for name, text in (("ticks", ticks), ("seconds", seconds)):
        (tmp_path / f"{name}.txt").write_text(text)
        rate = 1.0 if name == "ticks" else None
        result = import_trace(tmp_path / f"{name}.txt", tmp_path / "t.parquet", tsc_ghz=rate)
        assert result.format == "kernel-pool-tracefs"
        made.append(pl.read_parquet(tmp_path / "t.parquet"))
    assert made[0].equals(made[1])


def test_no_event_that_tells_of_a_mapping_is_too_little(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no km \(mapped\)"):
        held(without(shipped("kcsleep2"), "km"), tmp_path)
    with pytest.raises(InputError, match="km, has neither page nor slot"):
        nothing = [*(thing for thing in FIELDS if "page" in thing), "km nr", "km vaddr", "spa vaddr"]
        held(without(shipped("kcsleep2"), *nothing), tmp_path)
