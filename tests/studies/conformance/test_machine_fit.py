"""Costs are measured in the events of a recording; other costs are inherited and named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.machine.profile import load_profile
from pipeline.studies.conformance.free_running import verify_free
from pipeline.studies.conformance.machine_fit import MachineFit, fit_machine
from tests.cli.command import answer
from tests.studies.conformance.kernel_model import BASE as ADDRESS
from tests.studies.conformance.kernel_model import PAGES, text_line, write_parquet
from tests.studies.conformance.test_lacking_fields import shipped, without

KERNEL = {"slots": "512", "flush_if_any": "true"}
HIT, ENTRY, LOOK, FREE, FLUSH, SWITCH = 3250, 1500, 20, 900, 40_000, 6_000


class Recorder:
    """Events of a pool of 64 slots on 4 CPUs at the times implied by the costs above."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.clock = 10_000

    def tell(self, after: int, ev: str, page: int | None = None, pid: int = 1, **values: int) -> None:
        self.clock += after
        fields = {"page": None if page is None else PAGES + 40 * page, "vaddr": None, "nr": None, "cnt": None}
        head = {"seq": len(self.events), "time_ns": self.clock, "cpu": pid % 4, "pid": pid, "ev": ev}
        self.events.append(head | fields | values)

    def hit(self) -> None:
        self.tell(9_000, "ke", 1)
        self.tell(HIT, "km", 1, vaddr=ADDRESS + 4096, nr=1, cnt=3)
        self.tell(7_000, "ku", 1, nr=1, cnt=2)

    def scan(self, freed: int) -> None:
        self.tell(5_000, "fz", pid=2)
        # The slots freed lie evenly between those in use.
        gap = LOOK * 64 // (freed + 1)
        for page in range(freed):
            self.tell(FREE + gap, "spa", 100 + page, pid=2, vaddr=0)
        self.tell(gap, "ftlb" if freed else "slp", None if freed else 7, pid=2)
        if freed:
            self.tell(FLUSH, "spa", 7, pid=2, vaddr=ADDRESS + 4096 * 63)
            self.tell(100, "km", 7, pid=2, vaddr=ADDRESS + 4096 * 63, nr=63, cnt=2)
            self.tell(100, "ku", 7, pid=2, nr=63, cnt=1)
        else:
            self.tell(90_000, "wak", 7, pid=2)


def recorded(hits: int = 9, empty: int = 9, flushes: int = 9) -> Recorder:
    recorder = Recorder()
    recorder.tell(0, "km", 9, pid=3, vaddr=ADDRESS + 4096 * 63, nr=63, cnt=3)
    recorder.tell(0, "ku", 9, pid=3, nr=63, cnt=2)
    for _ in range(hits):
        recorder.hit()
    for _ in range(empty):
        recorder.scan(0)
    for _ in range(flushes):
        recorder.scan(7)
    return recorder


def fitted(recorder: Recorder, path: Path, base: str = "smp4-2002") -> MachineFit:
    return fit_machine(write_parquet(recorder.events, path / "made.kmap.parquet"), base)


def test_each_price_is_the_one_by_which_the_recording_was_made(tmp_path: Path) -> None:
    fit = fitted(recorded(), tmp_path)
    base = load_profile("smp4-2002").costs
    lock = base["atomic_ns"].value + base["line_transfer_ns"].value
    parts = 3 * base["ipi_send_ns"].value + base["ipi_handler_ns"].value + base["tlb_refill_ns"].value
    assert {name: one.value for name, one in fit.measured.items()} == {
        "shared_entry_ns": (HIT - lock) // 2,
        "scan_slot_ns": LOOK,
        "free_slot_ns": FREE,
        "ipi_latency_ns": FLUSH - parts,
    }
    assert len(fit.measured["scan_slot_ns"].times_ns) == 9
    assert len(fit.measured["free_slot_ns"].times_ns) == 9 * 6


def test_the_profile_says_where_each_cost_comes_from(tmp_path: Path) -> None:
    fit = fitted(recorded(), tmp_path)
    fit.write(tmp_path / "own.toml")
    profile = load_profile(str(tmp_path / "own.toml"))
    assert (profile.name, profile.cpus) == ("own", 4)
    base = load_profile("smp4-2002")
    for name, cost in profile.costs.items():
        if name in fit.measured:
            found = re.match(
                r"measured: (\d+) events of made.kmap.parquet, "
                r"median ([\d,.]+), quartiles ([\d,.]+)-([\d,.]+) ns",
                cost.source,
            )
            assert found and int(found[1]) == len(fit.measured[name].times_ns), cost.source
        else:
            assert cost.value == base.costs[name].value
            assert "inherited from smp4-2002" in cost.source
    assert set(profile.assumed) == set(base.assumed) - set(fit.measured)


@pytest.mark.parametrize(
    ("lacking", "what"),
    [
        ({"flushes": 4}, ("ipi_latency_ns", "4 ftlb (TLB flushes)")),
        ({"flushes": 0}, ("free_slot_ns", "0 evictions followed by another")),
        ({"empty": 3}, ("scan_slot_ns", "3 scans that freed nothing")),
        ({"hits": 2}, ("shared_entry_ns", "2 hits")),
    ],
)
def test_too_few_events_are_named_and_the_cost_inherited(
    tmp_path: Path, lacking: dict[str, int], what: tuple[str, str]
) -> None:
    fit = fitted(recorded(**lacking), tmp_path)
    cost, why = what
    assert fit.lacking[cost].startswith(why)
    assert cost in fit.inherited
    assert f"not measured: {cost}: {why}" in fit.text()
    assert "shared_entry_ns" in fit.measured or "scan_slot_ns" in fit.measured


@pytest.mark.parametrize(
    ("base", "cost", "rest"),
    [
        ("arm32-quad", "broadcast_ns", ("tlb_refill_ns",)),
        ("laptop-up-2002", "tlb_flush_ns", ("tlb_refill_ns",)),
    ],
)
def test_a_flush_is_priced_as_the_machine_makes_it(
    tmp_path: Path, base: str, cost: str, rest: tuple[str, ...]
) -> None:
    recorder = recorded()
    if cost == "tlb_flush_ns":
        for event in recorder.events:
            event["cpu"] = 0
    fit = fitted(recorder, tmp_path, base)
    assert fit.measured[cost].value == FLUSH - sum(fit.base.costs[name].value for name in rest)


def test_the_switch_is_measured_where_the_scheduler_was_recorded(tmp_path: Path) -> None:
    lines = []
    for event in recorded().events:
        lines.append(text_line(event, "d.Z.."))
        if event["ev"] == "slp":
            time = event["time_ns"] + SWITCH
            lines.append(
                f"              wl-2     [002] d..2. {time}: sched_switch: prev_comm=wl prev_pid=2 "
                "prev_prio=120 prev_state=D ==> next_comm=x next_pid=9 next_prio=120\n"
            )
    (tmp_path / "r.txt").write_text("".join(lines))
    with pytest.raises(UsageError, match="--tsc-ghz"):
        fit_machine(tmp_path / "r.txt")
    assert fit_machine(tmp_path / "r.txt", tsc_ghz=1.0).measured["switch_ns"].value == SWITCH
    twice = fit_machine(tmp_path / "r.txt", tsc_ghz=2.0)
    assert twice.measured["switch_ns"].value == SWITCH // 2


def test_a_wake_up_is_what_an_unmap_that_wakes_takes_longer(tmp_path: Path) -> None:
    recorder = Recorder()
    lines: list[str] = []
    for number in [0, 0, 0, 0, 0, 1, 2, 1, 3, 1]:
        recorder.hit()
        for sleeper in range(number):
            recorder.tell(100, "slp", 7, pid=20 + sleeper)
        recorder.tell(2_000, "ku", 2, nr=2, cnt=1)
        lines += [text_line(event, "d.Z..") for event in recorder.events]
        recorder.events.clear()
        left = recorder.clock + 4_000 + 700 * number
        lines.append(
            f"              wl-1     [001] d..2. {left}: sched_switch: prev_comm=wl prev_pid=1 prev_state=S "
            "==> next_comm=x next_pid=9 next_prio=120\n"
        )
        for sleeper in range(number):
            recorder.tell(60_000, "wak", 7, pid=20 + sleeper)
    (tmp_path / "r.txt").write_text("".join(lines))
    found = fit_machine(tmp_path / "r.txt", tsc_ghz=1.0).measured["wake_ns"]
    assert (found.value, len(found.times_ns)) == (700, 5)
    assert "minus the 4,000 ns of one that does not" in found.rule


def test_times_are_wanted(tmp_path: Path) -> None:
    shipped("kcsleep2").drop("time_ns").write_parquet(tmp_path / "r.kmap.parquet")
    with pytest.raises(InputError, match="a time with each event"):
        fit_machine(tmp_path / "r.kmap.parquet")
    with pytest.raises(UsageError, match="smp4-2002"):
        fit_machine(recording_path("kcsleep2"), "smp4-2003")


@pytest.mark.parametrize("thing", ["fz", "ftlb", "spa", "ku page", "km nr", "ke"])
def test_what_a_recording_lacks_takes_only_its_own_prices_away(tmp_path: Path, thing: str) -> None:
    whole = fit_machine(recording_path("kcsleep2")).measured
    without(shipped("kcsleep2"), thing).write_parquet(tmp_path / "r.kmap.parquet")
    found = fit_machine(tmp_path / "r.kmap.parquet").measured
    lost = {
        "fz": {"scan_slot_ns", "free_slot_ns"},
        "ftlb": {"ipi_latency_ns"},
        "spa": {"scan_slot_ns", "free_slot_ns", "probe_ns", "pte_write_ns"},
        "ke": {"shared_entry_ns", "probe_ns", "pte_write_ns"},
    }.get(thing, set())
    assert set(whole) - set(found) == lost
    # Without spa a flush ends a little later, with its page's being mapped.
    about = 0.1 if thing == "spa" else 0
    for name in set(found) - {"pte_write_ns", "free_slot_ns"}:
        assert found[name].value == pytest.approx(whole[name].value, rel=about), name


@pytest.mark.parametrize("recording", ["kcsleep2", "wrap16"])
def test_on_measured_prices_a_recording_comes_out_near_the_kernels_counts(recording: str) -> None:
    runs = [
        verify_free(recording_path(recording), allocator="global_pool", options=KERNEL, seed=seed)
        for seed in range(3)
    ]
    for what in ("maps", "misses", "scans", "TLB flushes", "sleeps"):
        kernel = runs[0].count(what).kernel
        mean = sum(found.count(what).simulated for found in runs) / len(runs)
        assert kernel / 1.3 <= mean <= kernel * 1.3, what
    assert "costs measured in the recording: shared_entry_ns, " in runs[0].text()
    assert "all others are those of smp4-2002" in runs[0].text()


def test_the_command_writes_a_profile_that_replay_takes(tmp_path: Path) -> None:
    out = answer("fit-machine", "kcsleep2", "-o", "own.toml", "--base", "smp8-2002", cwd=tmp_path)
    assert "ipi_latency_ns" in out
    assert "inherited from smp8-2002: recent_entry_ns" in out
    assert out.splitlines()[-1].startswith("own.toml: 6 costs measured from kcsleep2")
    assert "ipi_latency_ns = 2,9" in answer("machines", "own.toml", cwd=tmp_path)
