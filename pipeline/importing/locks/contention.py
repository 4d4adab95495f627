"""Lock contention events, as printed by perf script, tracefs and trace-cmd report.

    bash 3917/3917 [001] 26443.431: lock:contention_begin: 0xffff888627c2ba40 (flags=SPIN)
    bash 3917/3917 [001] 26443.432: lock:contention_end: 0xffff888627c2ba40 (ret=0)

A wait lasts from a task's contention_begin to its next contention_end of the same lock. Each lock is a row.
If perf printed call chains, each function that waited for the lock is another row: the first function that
is not a lock function of the kernel. The events of a mutex for spinning and for sleeping are one wait. The
events do not contain uncontended acquisitions or hold times. Other events are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.errors import InputError
from pipeline.importing.locks.measured import LockRow, MeasuredLocks
from pipeline.importing.text.blocks import BlockReader
from pipeline.importing.text.kernel_text import EVENT_NAME
from pipeline.importing.text.kernel_tools import LATENCY_HEADS, PERF, PERF_HEAD, TRACEFS, TRACER_HEAD
from pipeline.importing.text.lines import nanoseconds, read_losses, split_lines
from pipeline.importing.text.tally import Tally
from pipeline.importing.text.templates import read_decimals
from pipeline.schema.locks import ALL_SITES

RECORDER = "events lock:contention_begin and contention_end"
# perf's names of lock types (tools/perf/builtin-lock.c, lock_type_table), by the flags in the events.
TYPES = {
    "": "semaphore",
    "SPIN": "spinlock",
    "SPIN|READ": "rwlock:R",
    "SPIN|WRITE": "rwlock:W",
    "READ": "rwsem:R",
    "WRITE": "rwsem:W",
    "RT": "rt-mutex",
    "READ|RT": "rwlock-rt:R",
    "WRITE|RT": "rwlock-rt:W",
    "READ|PERCPU": "pcpu-sem:R",
    "WRITE|PERCPU": "pcpu-sem:W",
    "MUTEX": "mutex",
    "SPIN|MUTEX": "mutex",
}
_ABOUT_LOCKS = r"[ :]contention_(?:begin|end): "
_FIELDS = (
    r"(?:lock:)?contention_(?P<event>begin|end): +(?P<lock>(?:0x)?[0-9a-f]{1,16}|\([a-z_]+\)) +"
    r"\((?:flags=(?P<flags>[A-Z|]*)|ret=(?P<ret>-?[0-9]{1,10}))\) *$"
)
_HEADS = [
    head.replace("NAME", r"[^ ].*?").replace(EVENT_NAME, _FIELDS)
    for head in (PERF_HEAD, TRACER_HEAD, *LATENCY_HEADS)
]
_GROUPS = ("task", "cpu", "seconds", "fraction", "us", "event", "lock", "flags", "ret")
_ABOUT_RECORDING = r"#P:|nrcpus online|^ *cpus=|LOST|lost|DROPPED|entries-written"
_CPUS = re.compile(r"(?:#P:|^# nrcpus online : |^ *cpus=)([0-9]{1,6})\b")
_LOST = "{any} PERF_RECORD_LOST{any} lost {count:d}{any}"
_NOT_READ = "the line does not start with task, CPU and time, or has an invalid field"
# A frame of a call chain after its event, and lock functions, which are skipped to find the waiting caller.
_FRAME = r"^\s+[0-9a-f]+ +(?P<symbol>[^ ]+)(?: +\(.*\))? *$"
_CHAIN_GOES_ON = rf"{_FRAME}|^\s*$"
_LOCK_FUNCTION = (
    r"(?:spin|read|write|rw|rt|ww|percpu)_?(?:lock|trylock|sem|mutex)|mutex_|^_*down(?:_|\+|$)|rwsem|rwbase|"
    r"queued_(?:spin|read|write)|percpu_(?:down|rwsem)|contention_(?:begin|end)|^\[unknown\]$"
)
_NO_CALLER = "[unknown]"
# Text before an event's name, in all formats.
_EVENT_LINE = r"[0-9s]: "
# Text that kernels print in place of hidden addresses.
_HIDDEN = r"^\(|^(?:0x)?0+$"


def read_contention(path: Path) -> MeasuredLocks:
    """Read the waits in a text of events. Raises InputError if it has none, or if times are ticks."""
    reading = _Reading(path)
    events = reading.events()
    if not len(events):
        raise InputError(
            f"{path}: expected lock:contention_begin and contention_end with task and time, found none that "
            f"can be read{reading.quotes()}; print them with perf script -F "
            "comm,pid,tid,cpu,time,event,trace, or copy the file again"
        )
    table = MeasuredLocks("", RECORDER, [], reading.losses, reading.notes)
    span = {"wall_ns": int(np.ptp(events["time_ns"].to_numpy()))}
    for lock, type_, site, count, total, least, most in _add_up(_pair(events, table)).iter_rows():
        waits = {"contended": count, "wait_ns": total, "wait_min_ns": least, "wait_max_ns": most}
        table.rows.append(LockRow(lock, site, type_, waits | span | reading.machine, {*span}))
    if not table.rows:
        raise InputError(
            f"{path}: expected lock waits, found no contention_begin with its contention_end "
            f"({'; '.join(table.lacking())}); record for longer"
        )
    return table


class _Reading:
    """A text that is being read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.losses: Counter[str] = Counter()
        self.notes: list[str] = []
        self.machine: dict[str, int] = {}
        self._tally = Tally()

    def events(self) -> pl.DataFrame:
        """Return the lock events in the order of the text; none if most cannot be read."""
        blocks, tally, held = BlockReader(self.path), self._tally, pl.Series(dtype=pl.String)
        frames = []
        for block in blocks.blocks():
            tally.lines = blocks.lines_before - len(held)
            lines = pl.concat([held, split_lines(block)])
            # The call chain of the last event may continue in the next block, unless another line ends it.
            at = np.flatnonzero(lines.str.contains(_EVENT_LINE).to_numpy())
            last = int(at[-1]) if len(at) else len(lines)
            if not lines[last + 1 :].str.contains(_CHAIN_GOES_ON).all():
                last = len(lines)
            held = lines[last:]
            frames.append(self._read_block(lines[:last]))
        tally.lines = blocks.lines_before - len(held)
        frames.append(self._read_block(held))
        unknown = tally.unknown + blocks.overlong
        self.losses.update(bad_lines=unknown, cut_short=int(blocks.cut_short))
        self.notes = [f"bad {said}" for said in tally.unknown_lines()]
        events = pl.concat(frames) if frames else pl.DataFrame()
        return events if unknown <= len(events) else events.clear()

    def quotes(self) -> str:
        """Return quotes of the first lines with lock events that could not be read."""
        quoted = self._tally.quotes()
        return f" ({'; '.join(quoted)})" if quoted else ""

    def _read_block(self, lines: pl.Series) -> pl.DataFrame:
        self._read_about(lines)
        rows = np.flatnonzero(lines.str.contains(_ABOUT_LOCKS).to_numpy())
        found = [pl.DataFrame(schema=dict.fromkeys(("row", *_GROUPS), pl.String))]
        for head in _HEADS:
            groups = lines.gather(rows).str.extract_groups(head).struct.unnest()
            fits = groups["event"].is_not_null()
            missing = [pl.lit(None, pl.String).alias(name) for name in _GROUPS if name not in groups.columns]
            groups = groups.with_columns(*missing, row=pl.Series(rows).cast(pl.String))
            found.append(groups.filter(fits).select("row", *_GROUPS))
            rows = rows[~fits.to_numpy()]
        self._tally.note_unknown(lines, rows, _NOT_READ)
        groups = pl.concat(found).with_columns(pl.col("row").cast(pl.Int64)).sort("row")
        return self._to_events(groups.join(_find_callers(lines), on="row", how="left", maintain_order="left"))

    def _read_about(self, lines: pl.Series) -> None:
        """Read the number of CPUs and the losses that the text reports."""
        told = lines.filter(lines.str.contains(_ABOUT_RECORDING))
        for line in told.to_list():
            if cpus := _CPUS.search(line):
                self.machine["cpus"] = int(cpus[1])
        rows = np.arange(len(told))
        _, counts, _ = read_losses(told, rows, (*PERF.losses, *TRACEFS.losses, _LOST))
        self.losses["lost_events"] += int(counts[counts > 0].sum())
        self.losses["gaps"] += int((counts < 0).sum())

    def _to_events(self, groups: pl.DataFrame) -> pl.DataFrame:
        ticks = groups["fraction"].is_null() & groups["us"].is_null()
        if ticks.any():
            raise InputError(
                f"{self.path}: the times have no fraction, so they are ticks of a clock; record again with "
                "'echo mono > /sys/kernel/tracing/trace_clock', or trace-cmd record -C mono"
            )
        us = read_decimals(groups["us"])
        time_ns = np.where(us >= 0, us * 1000, nanoseconds(groups["seconds"], groups["fraction"]))
        task, cpu = read_decimals(groups["task"]), read_decimals(groups["cpu"])
        return pl.DataFrame(
            {
                "time_ns": time_ns,
                # The idle task of each CPU has number 0.
                "task": np.where(task == 0, -1 - cpu, task),
                "lock": groups["lock"],
                "begins": groups["event"] == "begin",
                "flags": groups["flags"],
                "failed": groups["ret"].fill_null("0") != "0",
                "site": groups["symbol"],
            }
        )


def _find_callers(lines: pl.Series) -> pl.DataFrame:
    """Return callers by the row of their event: the first frame after it that is not a lock function."""
    frames = lines.str.extract_groups(_FRAME).struct.unnest().with_row_index("frame")
    frames = frames.filter(pl.col("symbol").is_not_null())
    heads = np.flatnonzero(~lines.str.contains(_CHAIN_GOES_ON).to_numpy()) if len(frames) else np.zeros(0)
    under = np.searchsorted(heads, frames["frame"].to_numpy()) - 1
    frames = frames.filter(under >= 0).with_columns(row=heads[under[under >= 0]].astype(np.int64))
    callers = frames.filter(~pl.col("symbol").str.contains(_LOCK_FUNCTION))
    return callers.unique("row", keep="first", maintain_order=True).select("row", "symbol")


def _pair(events: pl.DataFrame, table: MeasuredLocks) -> pl.DataFrame:
    """Pair events into waits, each with lock, type, caller and wait_ns.

    Events without a counterpart are counted in `table`.
    """
    of_lock = ["task", "lock"]
    # A failed optimistic spin of a mutex is followed by its sleep, which belongs to the same wait.
    spun = pl.col("flags").shift().over(of_lock) == "SPIN|MUTEX"
    begun = pl.col("begins").shift().over(of_lock)
    goes_on = pl.col("begins") & begun & spun & pl.col("flags").str.contains("MUTEX")
    events = events.filter(~goes_on.fill_null(False))
    events = events.with_columns(
        begin_ns=pl.col("time_ns").shift().over(of_lock),
        type=pl.col("flags").shift().over(of_lock),
        caller=pl.col("site").shift().over(of_lock),
        begun=pl.col("begins").shift().over(of_lock).fill_null(False),
        ended=(~pl.col("begins")).shift(-1).over(of_lock).fill_null(False),
    )
    waits = events.filter(~pl.col("begins") & pl.col("begun"))
    waits = waits.with_columns(wait_ns=pl.col("time_ns") - pl.col("begin_ns"))
    table.losses |= {
        "begins_without_end": events.filter(pl.col("begins") & ~pl.col("ended")).height,
        "ends_without_begin": events.filter(~pl.col("begins") & ~pl.col("begun")).height,
        "times_back": waits.filter(pl.col("wait_ns") < 0).height,
    }
    waits = waits.filter(pl.col("wait_ns") >= 0)
    if failed := int(waits["failed"].sum()):
        table.notes.append(f"{failed:,} of {waits.height:,} waits ended without the lock (ret is not 0)")
    if waits["lock"].str.contains(_HIDDEN).any():
        table.notes.append("the kernel hid the addresses of locks, so locks cannot be distinguished")
    type_ = pl.col("type").replace_strict(TYPES, default=pl.col("type"), return_dtype=pl.String)
    return waits.select("lock", type_, "caller", "wait_ns")


def _add_up(waits: pl.DataFrame) -> pl.DataFrame:
    """Sum waits by lock, and by caller if any is known.

    Columns: lock, type, site, and the count, sum, minimum and maximum of the waits in ns.
    """
    parts = [waits.with_columns(site=pl.lit(ALL_SITES))]
    if waits["caller"].is_not_null().any():
        parts.append(waits.with_columns(site=pl.col("caller").fill_null(_NO_CALLER)))
    added = (
        pl.concat(parts)
        .group_by("lock", "type", "site", maintain_order=True)
        .agg(
            pl.len().alias("count"),
            pl.col("wait_ns").sum().alias("total"),
            pl.col("wait_ns").min().alias("least"),
            pl.col("wait_ns").max().alias("most"),
        )
    )
    return added.sort("total", descending=True, maintain_order=True)
