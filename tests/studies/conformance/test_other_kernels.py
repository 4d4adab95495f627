"""The pool agrees with recordings of many forms, which a model of the kernel generates."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.importing.kmap_pool.recordings import read_pool_events
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.lockstep import verify
from tests.machine.runs import mutate_allocator
from tests.studies.conformance.kernel_model import Kernel, crowd, text_line, write_parquet

Events = list[dict[str, Any]]
Checked = Callable[..., Agreement]


@pytest.fixture
def hold(tmp_path: Path) -> Checked:
    """Write events as a recording and compare the pool with it."""

    def check(events: Events, slots: int, start: str = "found", allocator: str = "global_pool") -> Agreement:
        path = write_parquet(events, tmp_path / "model.kmap.parquet")
        return held(path, slots, start, allocator)

    return check


def held(path: Path, slots: int, start: str = "found", allocator: str = "global_pool") -> Agreement:
    options = {"slots": str(slots), "flush_if_any": "true"}
    return verify(path, allocator=allocator, options=options, start=start)


def recorded(seed: int, flushes: bool = False) -> Kernel:
    """A pool of 8 to 64 slots, used by half as many tasks as it has slots, or by twice as many."""
    draw = random.Random(seed)
    kernel = Kernel(draw.choice([8, 16, 64]), seed)
    tasks = draw.choice([kernel.slots // 2, kernel.slots + 3, kernel.slots * 2])
    pages = kernel.slots * draw.choice([1, 3])
    return kernel.run(crowd(kernel, tasks, draw.choice([5, 15]), pages, flushes=flushes))


def number(events: Events, ev: str) -> int:
    return sum(event["ev"] == ev for event in events)


@pytest.mark.parametrize("flushes", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_any_schedule_agrees_from_a_fresh_pool_and_from_the_middle(
    hold: Checked, seed: int, flushes: bool
) -> None:
    kernel = recorded(seed, flushes)
    found = hold(kernel.events, kernel.slots)
    assert found.agrees, found.text()
    assert found.start == "fresh pool"
    assert found.compared["slept or mapped"] == number(kernel.events, "km") + number(kernel.events, "slp")
    draw = random.Random(seed)
    for _ in range(3):
        begin = draw.randrange(len(kernel.events) // 2)
        part = kernel.events[begin : draw.randrange(begin + 50, len(kernel.events))]
        found = hold(part, kernel.slots)
        assert found.agrees, f"events {part[0]['seq']} to {part[-1]['seq']}: {found.text()}"


@pytest.mark.parametrize("slots", [128, 512, 1024])
def test_thousands_of_sleeps_in_pools_of_every_size_agree(hold: Checked, slots: int) -> None:
    kernel = Kernel(slots, seed=slots)
    kernel.run(crowd(kernel, slots * 2, 40, slots * 12), stop_after=40_000)
    assert number(kernel.events, "slp") > 1000
    found = hold(kernel.events, slots)
    assert found.agrees, found.text()


def test_a_recording_that_begins_with_sleepers_says_how_many_went_on(hold: Checked) -> None:
    kernel = Kernel(16, seed=5)
    kernel.run(crowd(kernel, 60, 10, 200))
    begin = next(k for k, event in enumerate(kernel.events) if k > 800 and event["ev"] == "slp") + 1
    asleep = {e["pid"] for e in kernel.events[:begin] if e["ev"] == "slp"}
    found = hold(kernel.events[begin:], 16)
    assert found.agrees, found.text()
    assert 0 < found.compared["asleep since before the recording"] <= len(asleep)


def test_a_page_that_another_task_mapped_during_the_sleep_is_a_hit(hold: Checked) -> None:
    kernel = Kernel(8, seed=2)
    kernel.run(crowd(kernel, 40, 12, 24))
    after_wake = {}
    shared = 0
    for event in kernel.events:
        if event["ev"] in {"wak", "spa", "km"}:
            shared += event["ev"] == "km" and after_wake.get(event["pid"]) == "wak"
            after_wake[event["pid"]] = event["ev"]
    assert shared > 10
    found = hold(kernel.events, 8)
    assert found.agrees, found.text()


def test_nested_mappings_agree(hold: Checked) -> None:
    kernel = Kernel(64, seed=1)
    kernel.run(crowd(kernel, 24, 20, 300, nest=2))
    found = hold(kernel.events, 64)
    assert found.agrees, found.text()


def test_another_task_may_undo_a_mapping_and_a_pid_may_be_used_again(hold: Checked) -> None:
    kernel = Kernel(8, seed=3)

    def handing_over() -> Iterator[None]:
        for page in range(50):
            yield from kernel.map(1, page)
            yield from kernel.unmap(2, page)

    kernel.cpu_of[2] = 1
    kernel.run({1: handing_over()})
    kernel.run(crowd(kernel, 6, 10, 30))
    kernel.run(crowd(kernel, 6, 10, 30))
    found = hold(kernel.events, 8)
    assert found.agrees, found.text()


# What a kernel might do wrong, told as a change of the recording; the difference that must show it, where.
def _slot(events: Events) -> int:
    k = next(k for k, e in enumerate(events) if k > 300 and e["ev"] == "km")
    events[k]["nr"] ^= 1
    return events[k]["seq"]


def _count(events: Events) -> int:
    k = next(k for k, e in enumerate(events) if k > 300 and e["ev"] == "km")
    events[k]["cnt"] += 1
    return events[k]["seq"]


def _no_flush(events: Events) -> int:
    k = next(k for k, e in enumerate(events) if k > 300 and e["ev"] == "ftlb")
    pid = events.pop(k)["pid"]
    return next(e["seq"] for e in events[k:] if e["pid"] == pid and e["ev"] in {"km", "slp"})


def _order(events: Events) -> int:
    def evicted(k: int) -> bool:
        return events[k]["ev"] == "spa" and events[k]["vaddr"] == 0

    k = next(k for k in range(300, len(events)) if evicted(k) and evicted(k + 1))
    events[k]["page"], events[k + 1]["page"] = events[k + 1]["page"], events[k]["page"]
    pid = events[k]["pid"]
    return next(e["seq"] for e in events[k:] if e["pid"] == pid and e["ev"] in {"km", "slp"})


def _extra_scan(events: Events) -> int:
    def takes_at_once(k: int) -> bool:
        return events[k]["ev"] == "spa" and bool(events[k]["vaddr"]) and events[k - 1]["ev"] == "ke"

    k = next(k for k in range(300, len(events)) if takes_at_once(k))
    events.insert(k, events[k] | {"ev": "fz", "page": None, "vaddr": None})
    return next(e["seq"] for e in events[k:] if e["ev"] == "km")


def _woken_by_nobody(events: Events) -> int:
    latest: dict[int, tuple[str, int | None]] = {}
    for k, event in enumerate(events):
        latest[event["pid"]] = event["ev"], event["cnt"]
        # No unmap may have its wake-up still to make.
        if k > 300 and event["ev"] == "slp" and ("ku", 1) not in latest.values():
            again = [event | {"ev": "wak"}, event | {"ev": "fz", "page": None}, dict(event)]
            events[k + 1 : k + 1] = again
            return int(event["seq"])
    raise AssertionError("no such sleep was recorded")


FAULTS = {
    "another slot": (_slot, "slot"),
    "another count": (_count, "use count"),
    "no flush": (_no_flush, "TLB flushes"),
    "another order of eviction": (_order, "pages evicted"),
    "one scan more": (_extra_scan, "scans"),
    "woken by nobody": (_woken_by_nobody, "wake-up"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_kernel_did_otherwise_is_found_where_it_happened(hold: Checked, fault: str) -> None:
    kernel = Kernel(16, seed=4)
    kernel.run(crowd(kernel, 40, 20, 100))
    change, shows = FAULTS[fault]
    seq = change(kernel.events)
    found = hold([event | {"seq": event["seq"] * 8 + k % 8} for k, event in enumerate(kernel.events)], 16)
    assert shows in {difference.what for difference in found.differences}, found.text()
    first = min(difference.seq for difference in found.differences if difference.what == shows)
    assert first // 8 == seq, found.text()


@pytest.mark.parametrize(
    ("flags", "decimal"), [("d.Z.", False), ("d.Z..", True), ("", False)], ids=["5.10", "6.1", "none"]
)
def test_the_text_that_kernels_print_reads_as_the_parquet_form(
    hold: Checked, tmp_path: Path, flags: str, decimal: bool
) -> None:
    kernel = recorded(3)
    text = tmp_path / "trace.txt"
    noise = (
        "          <idle>-0       [000] d..2.  19348: sched_switch: prev_comm=a ==> next_comm=b next_pid=1\n"
    )
    head = "# tracer: nop\n# entries-in-buffer/entries-written: 9/9   #P:4\n"
    lines = [text_line(event, flags, decimal, "kworker/u8:1-ev") + noise for event in kernel.events]
    text.write_text(head + "".join(lines), encoding="utf-8")
    by_text, by_parquet = held(text, kernel.slots), hold(kernel.events, kernel.slots)
    assert by_text.agrees, by_text.text()
    assert by_text.compared == by_parquet.compared
    assert read_pool_events(text).time.tolist() == [event["time_ns"] for event in kernel.events]


def test_text_that_is_cut_within_a_line_ends_before_that_line(tmp_path: Path) -> None:
    kernel = recorded(3)
    whole = "".join(text_line(event, "d.Z..") for event in kernel.events)
    text = tmp_path / "trace.txt"
    text.write_text(whole[: whole.rindex(" nr=") + 4], encoding="utf-8")
    assert held(text, kernel.slots).agrees


def test_a_single_event_without_a_field_loses_its_own_comparison_alone(hold: Checked) -> None:
    kernel = recorded(3)
    maps = number(kernel.events, "km")
    event = next(event for event in kernel.events if event["ev"] == "km")
    event["nr"] = event["vaddr"] = event["cnt"] = None
    found = hold(kernel.events, kernel.slots)
    assert found.agrees, found.text()
    # Its slot is the one whose address its page was given.
    assert found.lost == {"use count": "1 km lack cnt"}
    assert found.compared["use count"] == 2 * maps - 1


def test_behind_lost_events_the_pool_is_taken_up_anew(tmp_path: Path) -> None:
    kernel = Kernel(64, seed=8)
    kernel.run(crowd(kernel, 90, 40, 300))
    events = kernel.events
    cpu = events[4000]["cpu"]
    # A buffer is overrun for a while: that CPU's events are missing, those of the others are there.
    lost = [k for k in range(4000, 4600) if events[k]["cpu"] == cpu]
    lines = [text_line(event, "d.Z..") for event in events]
    for k in lost:
        lines[k] = ""
    back = next(k for k in range(4600, len(events)) if events[k]["cpu"] == cpu)
    lines[back] = f"CPU:{cpu} [LOST {len(lost)} EVENTS]\n" + lines[back]
    text = tmp_path / "lost.txt"
    text.write_text("# tracer: nop\n" + "".join(lines), encoding="utf-8")
    found = held(text, 64)
    assert found.agrees, found.text()
    assert (
        f"{len(lost)} events were lost by the recorder; the pool's state was inferred again after 1 gap"
        in found.notes
    )


def test_losses_of_two_cpus_that_overlap_are_one_gap(tmp_path: Path) -> None:
    kernel = Kernel(32, seed=6)
    kernel.run(crowd(kernel, 40, 30, 200))
    events = kernel.events
    lines = [text_line(event, "d.Z..") for event in events]
    for cpu, begin, end in ((0, 2000, 2300), (1, 2200, 2250), (2, 1900, 2290)):
        lost = [k for k in range(begin, end) if events[k]["cpu"] == cpu]
        for k in lost:
            lines[k] = ""
        back = next(k for k in range(end, len(events)) if events[k]["cpu"] == cpu)
        lines[back] = f"CPU:{cpu} [LOST {len(lost)} EVENTS]\n" + lines[back]
    text = tmp_path / "lost.txt"
    text.write_text("".join(lines), encoding="utf-8")
    found = held(text, 32)
    assert found.agrees, found.text()


def test_a_part_without_any_turn_is_passed_over(tmp_path: Path) -> None:
    kernel = Kernel(8, seed=1)
    kernel.run(crowd(kernel, 4, 3, 10))
    lines = [text_line(event, "d.Z..") for event in kernel.events]
    text = tmp_path / "lost.txt"
    text.write_text(lines[0] + "CPU:7 [LOST EVENTS]\n" + "".join(lines[1:]), encoding="utf-8")
    assert held(text, 8).agrees


def test_what_was_recorded_before_the_last_buffer_begins_is_left_out(tmp_path: Path) -> None:
    kernel = Kernel(64, seed=9)
    kernel.run(crowd(kernel, 90, 20, 300))
    begins = {0: 0, 1: 700, 2: 1500, 3: 900}
    lines = ["# entries-in-buffer/entries-written: 5000/9000   #P:4\n"]
    for k, event in enumerate(kernel.events):
        if k < begins[event["cpu"]]:
            continue
        if begins.pop(event["cpu"], None):
            lines.append(f"##### CPU {event['cpu']} buffer started ####\n")
        begins.setdefault(event["cpu"], 0)
        lines.append(text_line(event, "d.Z.."))
    text = tmp_path / "late.txt"
    text.write_text("".join(lines), encoding="utf-8")
    found = held(text, 64)
    assert found.agrees, found.text()
    assert "slots adopted" in found.start
    assert found.notes == ["4,000 events were lost by the recorder"]


def test_events_out_of_their_order_are_pointed_at(hold: Checked) -> None:
    kernel = Kernel(16, seed=4)
    kernel.run(crowd(kernel, 40, 20, 100))
    events = kernel.events
    # An unmap by another CPU, whose clock is behind, lands within a scan.
    inside = next(k for k, e in enumerate(events) if k > 300 and e["ev"] == "ftlb")
    later = next(k for k in range(inside, len(events)) if events[k]["ev"] == "ku")
    events.insert(inside, events.pop(later))
    found = hold([event | {"seq": k} for k, event in enumerate(events)], 16)
    assert not found.agrees
    assert any("in the order in which they occurred" in note for note in found.notes), found.text()


def test_scans_outside_of_a_mapping_need_a_design_that_can_make_them(hold: Checked, tmp_path: Path) -> None:
    kernel = recorded(1, flushes=True)
    assert hold(kernel.events, kernel.slots).compared["scans outside of any mapping"] > 0
    copy = mutate_allocator(tmp_path, "cannot", {"def flush_unused": "def no"}, "global_pool")
    with pytest.raises(UsageError, match="does not define flush_unused"):
        hold(kernel.events, kernel.slots, allocator=str(copy.path))
