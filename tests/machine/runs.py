"""Driving a simulation from columns of rows, on a machine whose every price is given by the test."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.allocators.contract import Shape, parse_options
from pipeline.allocators.registry import DesignFile, load_design
from pipeline.machine.compose import compose
from pipeline.machine.profile import COST_KINDS, Profile, load_profile
from pipeline.machine.simulator import records
from pipeline.machine.world import Setting, build_design, build_world, look
from pipeline.runs.schema import CPU_CATEGORIES

A_LONG_TIME = 1_000_000_000


@dataclass
class Rows:
    """Trace rows as int64 columns of one length, in trace order; names and units of the trace format."""

    time_ns: np.ndarray
    task: np.ndarray
    page: np.ndarray
    think_ns: np.ndarray
    wait_ns: np.ndarray
    hold_ns: np.ndarray
    block_ns: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.time_ns)


def rows(count: int, **given: Any) -> Rows:
    """`count` rows; a column that is not given is 0, one given as a number is that number throughout."""
    columns = {
        field.name: np.array(np.broadcast_to(given.pop(field.name, 0), count), np.int64)
        for field in fields(Rows)
    }
    assert not given, given
    return Rows(**columns)


def machine(
    directory: Path, cpus: int, *, nodes: int = 1, arbitration: str = "fifo", **prices: int
) -> Profile:
    """A machine on which everything is free but what `prices` names; time slices never end."""
    costs = dict.fromkeys(COST_KINDS, 0) | {"timeslice_ns": A_LONG_TIME} | prices
    tables = "".join(f'[costs.{name}]\nvalue = {value}\nsource = "test"\n' for name, value in costs.items())
    path = directory / "machine.toml"
    path.write_text(
        f'name = "test"\nsummary = "test"\ncpus = {cpus}\nnodes = {nodes}\n'
        f'arbitration = "{arbitration}"\narbitration_source = "test"\n{tables}'
    )
    return load_profile(str(path))


def changed_design(directory: Path, name: str, changes: dict[str, str], design: str) -> DesignFile:
    """Load a copy of a shipped design, named `name`, in which each text in `changes` is replaced."""
    text = load_design(design).path.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    path = directory / f"{name}.py"
    path.write_text(text)
    return load_design(str(path))


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    status: int
    totals: dict[str, int]
    operations: np.ndarray
    """The operation log, in order of trace rows."""
    events: np.ndarray
    spent: np.ndarray
    """int64 [cpus, categories]: where each CPU's time went."""
    sites: np.ndarray
    problems: list[str]
    """What the design's own check says at the end."""

    @property
    def wall_ns(self) -> int:
        return self.totals["now_ns"]

    @property
    def fingerprint(self) -> tuple[int, ...]:
        return tuple(self.totals[f"hash{k}"] for k in range(4))

    def of_kind(self, event: int) -> np.ndarray:
        """The events of one kind."""
        return self.events[self.events["event"] == event]

    def time_in(self, category: str) -> int:
        """CPU time of one category, over all CPUs."""
        return int(self.spent[:, list(CPU_CATEGORIES).index(category)].sum())


def simulate(
    design: str | DesignFile,
    profile: Profile,
    trace: Rows,
    *,
    options: dict[str, str] | None = None,
    seed: int = 0,
    loop: int = records.CLOSED,
    compiled: bool = False,
    chunk_rows: int = 1 << 14,
    log_rows: int = 1 << 16,
    levels: int | None = None,
) -> Outcome:
    """Replay `trace` to its end or to a deadlock. CPU time must add up in every run: that is checked here."""
    design = load_design(design) if isinstance(design, str) else design
    tasks = int(trace.task.max()) + 1
    shape = Shape(profile.cpus, tasks, tasks, int(trace.page.max()) + 1)
    values = parse_options(design.options, options or {}, design.name)
    chunks = -(-len(trace) // chunk_rows)
    levels = int(trace.depth.max()) + 1 if levels is None else levels
    setting = Setting(
        seed, loop, True, chunk_rows, chunks, chunks, levels, log_operations=log_rows, log_events=log_rows
    )
    state = build_design(design, values, shape)
    world = build_world(profile, design, values, shape, setting, state)
    counts = np.bincount(trace.task, minlength=tasks)
    world.tasks.rows_left = counts
    world.tasks.process = np.arange(tasks)
    world.tasks.state[counts == 0] = records.T_ENDED
    m = world.machine[0]
    m.live = m.unstarted = int((counts > 0).sum())
    # Integers of plain Python are unbounded, NumPy's wrap as the fingerprint wants, but complain.
    with np.errstate(over="ignore"):
        status, operations, events = _drive(compose(design, compiled), world, state, trace, chunk_rows)
    spent = np.array(world.spent).reshape(-1, records.CATEGORIES)
    assert (spent.sum(axis=1) == m.now_ns).all()
    assert (spent >= 0).all()
    check = getattr(design.module, "check", None)
    return Outcome(
        status,
        {name: int(m[name]) for name in m.dtype.names},
        operations[np.argsort(operations["op"])],
        events,
        spent,
        np.array(world.sites),
        check(state, look(world, shape)) if check else [],
    )


def _drive(simulator: Any, world: Any, state: Any, trace: Rows, chunk_rows: int) -> tuple[int, Any, Any]:
    """Run until nothing more can happen; return why, and both logs."""
    m = world.machine[0]
    operations: list[np.ndarray] = []
    events: list[np.ndarray] = []
    most_think = int(trace.think_ns.max())
    # Slicing a recarray makes a new type each time, which takes longer than a small simulation.
    log, event_log = world.operations.view(np.ndarray), world.events.view(np.ndarray)
    chunk = 0
    quiet_budgets = 0

    def keep() -> None:
        operations.append(log[: m.operations_logged].copy())
        events.append(event_log[: m.events_logged].copy())
        m.operations_logged = 0
        m.events_logged = 0

    while True:
        before = int(m.now_ns)
        status = simulator.run(world, state, 1 << 20)
        quiet_budgets = quiet_budgets + 1 if status == records.S_BUDGET and m.now_ns == before else 0
        assert quiet_budgets < 2, "the clock stands still"
        if status == records.S_NEED_ROWS:
            first, last = chunk * chunk_rows, min(len(trace), (chunk + 1) * chunk_rows)
            part = slice(first, last)
            wrong = simulator.arrange(
                world, chunk, last - first, first, trace.task[part], trace.time_ns[part],
                trace.think_ns[part], trace.wait_ns[part], trace.hold_ns[part], trace.block_ns[part],
                trace.page[part], np.zeros(last - first, np.int64), trace.depth[part],
            )  # fmt: skip
            assert wrong == -1
            horizon = int(trace.time_ns[last - 1]) - most_think
            simulator.admit(world, chunk, chunk, last - first, horizon, int(last == len(trace)))
            chunk += 1
        elif status in (records.S_LOG_FULL, records.S_BUDGET):
            keep()
        else:
            simulator.finish(world)
            keep()
            return status, np.concatenate(operations), np.concatenate(events)
