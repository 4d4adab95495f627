"""Extremes of numbers, through every design: what comes out is right, or the run is refused in one line.

A case draws a design, a machine, its CPUs, options at their ends, and rows: few or 131,072 tasks, nested up
to sixteen deep, whose times are nothing, short or as long as there are. Each is simulated by compiled code,
small ones by plain code too. Cases run in a process of their own, which is ended if one takes too long.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator, shipped_allocators
from pipeline.errors import InputError, OutOfMemory, UsageError
from pipeline.machine.catalogue import list_profiles
from pipeline.machine.engine import records
from pipeline.machine.in_memory import Outcome, Rows, rows, simulate
from pipeline.machine.profile import load_profile
from pipeline.schema import codes
from pipeline.schema.codes import E_FINDING
from pipeline.schema.names import FINDINGS, KINDS
from pipeline.schema.trace import MAX_DEPTH, MAX_TASKS, MAX_TIME_NS
from tests.campaigns.result import CampaignResult

# CPU time of a case, compiling its design included.
MOST_SECONDS = 90.0
# Cases of so few events are simulated by plain code too. Time slices of hours of computing are millions.
_PLAIN_EVENTS = 200_000
_EVENTS_A_CALL = 10_000
# What a sound design may be found to do under such loads; the others would be its mistakes or the engine's.
_TRUE_FINDINGS = {"deadlock", "starvation", "nesting_overflow", "sleep_while_atomic"}


@dataclass(frozen=True)
class Case:
    """One simulation; `number` and `seed` draw its rows."""

    seed: int
    number: int
    allocator: str
    machine: str
    cpus: int
    options: dict[str, str]
    tasks: int
    each: int
    depth: int
    longest_ns: dict[str, int]
    spread_ns: int
    loop: int
    jitter_percent: float

    def rows(self) -> Rows:
        """Each task's operations, `depth` nested in each other, on few pages or many."""
        draw = np.random.default_rng([self.seed, self.number])
        count = self.tasks * self.each * self.depth
        level = np.tile(np.arange(self.depth), self.tasks * self.each)
        times = {
            name: draw.choice([0, longest // 3, longest], count) for name, longest in self.longest_ns.items()
        }
        # A use lasts as long as what is nested in it, and its own.
        for name, inner in (("hold_ns", "think_ns"), ("block_ns", "wait_ns")):
            for at in range(self.depth - 2, -1, -1):
                here, nested = level == at, level == at + 1
                times[name][here] += times[inner][nested] + times[name][nested]
            times[name] = np.minimum(times[name], MAX_TIME_NS - 1)
        trace = rows(
            count,
            task=np.tile(np.repeat(np.arange(self.tasks), self.depth), self.each),
            time_ns=np.minimum(np.arange(count) * self.spread_ns, MAX_TIME_NS - 1),
            page=draw.integers(0, draw.choice([1, 7, 5_000]), count),
            kind=draw.integers(0, len(KINDS), count),
            depth=level,
            **times,
        )
        if self.depth == 1 and load_allocator(self.allocator).maps_areas:
            _draw_areas(trace, draw)
        return trace


def _draw_areas(trace: Rows, draw: np.random.Generator) -> None:
    """Give mappings lengths, and let some rows unmap what an earlier one maps, of any task."""
    trace.pages = draw.choice([1, 3, 64, 300], len(trace))
    trace.page = np.arange(len(trace)) * 300
    trace.mapping = -1
    drawn = draw.permutation(len(trace))[: len(trace) // 4 * 2].reshape(-1, 2)
    made, unmapped = drawn.min(axis=1), drawn.max(axis=1)
    trace["part"][made], trace["part"][unmapped] = codes.PART_MAP, codes.PART_UNMAP
    trace["mapping"][made] = trace["mapping"][unmapped] = np.arange(len(made))
    for name in ("page", "pages"):
        trace[name][unmapped] = trace[name][made]
    for name in ("hold_ns", "block_ns"):
        trace[name][unmapped] = 0


def draw_case(seed: int, number: int) -> Case:
    """Draw a case; crowds come one after another, as all at once would wake each other for hours."""
    draw = random.Random(f"{seed} {number}")
    allocator = draw.choice(sorted(shipped_allocators()))
    crowd = draw.random() < 0.1
    tasks = MAX_TASKS if crowd else draw.choice([1, 2, 9, 50])
    lengths = (0, 50) if crowd else (0, 1, 50, 10_000, 3_600 * 10**9, MAX_TIME_NS - 1)
    names = ("think_ns", "wait_ns", "hold_ns", "block_ns")
    return Case(
        seed, number, allocator,
        machine=draw.choice([line.split()[0] for line in list_profiles().splitlines() if line.strip()]),
        cpus=draw.choice([1, 2, 64]),
        options=_draw_options(load_allocator(allocator), draw, crowd),
        tasks=tasks,
        each=1 if crowd else draw.choice([1, 3]),
        depth=1 if crowd else draw.choice([1, 1, 2, MAX_DEPTH]),
        longest_ns={name: draw.choice(lengths) for name in names},
        spread_ns=20_000 if crowd else draw.choice([0, 1_000, MAX_TIME_NS // 64]),
        loop=draw.choice([records.CLOSED, records.TIMED]),
        jitter_percent=draw.choice([0.0, 0.0, 100.0]),
    )  # fmt: skip


def _draw_options(allocator: Allocator, draw: random.Random, crowd: bool) -> dict[str, str]:
    """Some options at an end; a crowd has the slots that it has by default, or most."""
    options = {}
    for option in allocator.options:
        if type(option.default) is not int or draw.random() < 0.5:
            continue
        ends = [option.maximum] if crowd else [option.minimum, option.maximum]
        end = draw.choice(ends)
        if end is not None:
            options[option.name] = str(min(end, 1 << 20))
    return options


def find_faults(case: Case, trace: Rows, out: Outcome) -> Iterator[str]:
    """What cannot be right about the outcome of a case."""
    if negative := [name for name, value in out.totals.items() if value < 0 and name in _TOTALS]:
        yield f"negative: {', '.join(negative)}"
    if (out.sites.view(np.int64) < 0).any():
        yield "negative sums of locks"
    if not 0 <= out.wall_ns < records.END_OF_TIME_NS:
        yield f"it ends at {out.wall_ns} ns"
    if out.status == records.S_TOO_LONG:
        return
    if out.unbooked_ns.any() or (out.spent < 0).any():
        yield "CPU time does not add up"
    done = out.operations
    # A mapping that remains, as its unmap did not come before a deadlock, has a row in the log, too.
    done = done[done["done_ns"] >= 0]
    wanted = int((trace.part != codes.PART_UNMAP).sum())
    if out.status == records.S_FINISHED and len(done) != wanted:
        yield f"{len(done)} of {wanted} operations are done"
    order = [done[name] for name in ("asked_ns", "mapped_ns", "unmap_asked_ns", "done_ns")]
    if any((after < before).any() for before, after in itertools.pairwise(order)):
        yield "an operation's times are out of order"
    if any((done[name] < 0).any() for name in done.dtype.names or () if name not in _MINUS_ONE):
        yield "a negative figure of an operation"
    map_ns = int((order[1] - order[0]).sum(dtype=object))
    if out.status == records.S_FINISHED and map_ns != out.totals["map_ns"]:
        yield "times to map do not add up"
    kinds = {list(FINDINGS)[code] for code in out.of_kind(E_FINDING)["value"].tolist()}
    if untrue := kinds - _TRUE_FINDINGS - _follow_from(kinds):
        yield f"found: {', '.join(sorted(untrue))}"
    if "nesting_overflow" in kinds and case.depth < _LEAST_NESTING:
        yield "found that maps nest too deep"
    yield from (f"invariant: {text}" for text in out.problems)
    yield from (f"lost wake-up: {text}" for text in out.lost_wakeups)


def _follow_from(kinds: set[str]) -> set[str]:
    """What is true if other findings are.

    While a task sleeps, another maps in its slot of the CPU. Maps that nest too deep share the last slot.
    """
    return {"stale_translation"} if kinds & {"sleep_while_atomic", "nesting_overflow"} else set()


_TOTALS = {name for name in records.MACHINE.names or () if not name.startswith("hash")} - {
    "ready_head", "ready_tail", "horizon_ns", "lowmem_kinds"
}  # fmt: skip
_MINUS_ONE = {"locked_ns", "flush_op", "slot", "holder", "map_lock", "unmap_lock"}
# Of `kmap_local` and `atomic`, with options at their ends.
_LEAST_NESTING = 2


def try_case(case: Case) -> list[str]:
    """Simulate a case; return what is wrong, "refused: ..." alone for a run that was refused in one line."""
    trace = case.rows()

    calls = [0, 0]

    def count_call(compiled: bool) -> None:
        calls[compiled] += 1

    def outcome(compiled: bool) -> Outcome:
        return simulate(
            load_allocator(case.allocator), load_profile(case.machine).with_cpus(case.cpus), trace,
            options=case.options, loop=case.loop, jitter_percent=case.jitter_percent, seed=case.seed,
            compiled=compiled, levels=case.depth, budget_events=_EVENTS_A_CALL,
            observe=lambda _: count_call(compiled),
        )  # fmt: skip

    try:
        out = outcome(compiled=True)
    except (OutOfMemory, UsageError, InputError) as error:
        return [f"refused: {error}"]
    faults = list(find_faults(case, trace, out))
    if calls[True] * _EVENTS_A_CALL + _device_interrupts(case, out) <= _PLAIN_EVENTS:
        plain = outcome(compiled=False)
        if (plain.status, plain.fingerprint) != (out.status, out.fingerprint):
            faults.append("plain code comes to something else")
    return faults


def _device_interrupts(case: Case, out: Outcome) -> int:
    """About how many device interrupts the CPUs took; those of idle CPUs are not among the events."""
    gap_ns = int(load_profile(case.machine).costs["interrupt_gap_ns"].value)
    return case.cpus * out.wall_ns // gap_ns if gap_ns else 0


def _try_cases(connection: Connection) -> None:
    """The process: a case comes, what is wrong with it goes."""
    while (case := connection.recv()) is not None:
        try:
            connection.send(try_case(case))
        except Exception as error:
            connection.send([f"{type(error).__name__}: {error}"])


class _Worker:
    """A process for cases; one that does not answer is ended, and the next case has another."""

    def __init__(self) -> None:
        self._process: Any = None

    def ask(self, case: Case) -> list[str]:
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._connection, other = context.Pipe()
            self._process = context.Process(target=_try_cases, args=(other,), daemon=True)
            self._process.start()
        self._connection.send(case)
        began_s = self._cpu_s()
        while not self._connection.poll(0.2):
            gone = self._process.exitcode
            if gone is not None or self._cpu_s() - began_s > MOST_SECONDS:
                self.end()
                return [
                    f"over {MOST_SECONDS:.0f} s of CPU time"
                    if gone is None
                    else f"the process ended with {gone}"
                ]
        return list(self._connection.recv())

    def _cpu_s(self) -> float:
        """CPU time of the process so far, by proc(5)."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


# Of an hour for all campaigns.
MINUTES = 4


def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
    """Try cases until the time is over."""
    result = CampaignResult("extremes", seed)
    end_s = time.monotonic() + budget_s
    worker = _Worker()
    number = 0
    try:
        while time.monotonic() < end_s:
            case = draw_case(seed, number)
            faults = worker.ask(case)
            refused = len(faults) == 1 and faults[0].startswith("refused: ")
            result.tries["refused" if refused else "simulated"] += 1
            if faults and not refused:
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / f"case-{seed}-{number}.json"
                kept.write_text(json.dumps(asdict(case), indent=2) + "\n", encoding="utf-8")
                result.fail(f"{case.allocator}: {'; '.join(faults[:3])}", kept)
            number += 1
    finally:
        worker.end()
    return result
