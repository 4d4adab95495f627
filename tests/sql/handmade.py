"""Run directories made by hand: from a few literal rows, or random but plausible, to look at reports."""

from __future__ import annotations

import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.runs.log_writer import TableLog
from pipeline.schema.log import (
    DICTIONARIES,
    EVENT_RECORD,
    EVENTS,
    LOG_TABLES,
    OPERATION_RECORD,
    OPERATIONS,
    STRETCH_RECORD,
    STRETCHES,
    LogTable,
)
from pipeline.schema.manifest import KEPT_TABLES, MANIFEST_FILE, Manifest
from pipeline.schema.names import CPU_CATEGORIES, SITES
from pipeline.schema.trace import COLUMN_NAMES

# A mapping at time 0 that slept never and used nothing; its waits and holds, if it has any, are of lock 0.
PLAIN_OPERATION: dict[str, Any] = {
    column.name: -1 if column.name in ("locked_ns", "flush_op", "holder") else 0 for column in OPERATIONS
} | {"kind": "page_fault", "served": "hit"}
PLAIN_EVENT: dict[str, Any] = {
    column.name: -1
    if column.name in ("op", "value", "wait_ns", "task", "slot", "other", "lock", "site")
    else 0
    for column in EVENTS
}

PLAIN_STRETCH: dict[str, Any] = {column.name: 0 for column in STRETCHES} | {
    "op": -1,
    "task": -1,
    "category": "idle",
}


def lock_rows(operations: list[dict], events: list[dict]) -> list[dict]:
    """Lock totals that fit the rows."""
    rows = []
    for side, site in enumerate(SITES[:2]):
        holds = [o[f"{site}_hold_ns"] for o in operations if o[f"{site}_hold_ns"] > 0]
        waits = [o[f"{site}_wait_ns"] for o in operations if o[f"{site}_wait_ns"] > 0]
        relocks = [e for e in events if e["event"] == "relock" and e["site"] == side]
        holds += [e["duration_ns"] for e in relocks]
        waits += [e["wait_ns"] for e in relocks if e["wait_ns"] > 0]
        rows.append(
            {
                "site": site,
                "acquisitions": len(holds),
                "contended": len(waits),
                "hold_ns": sum(holds),
                "hold_max_ns": max(holds, default=0),
                "wait_ns": sum(waits),
                "wait_max_ns": max(waits, default=0),
            }
        )
    return rows


def totals_of(operations: list[dict], events: list[dict], cpus: int) -> dict[str, Any]:
    """Totals that fit the rows; CPU time is all idle but for the spins."""
    served = [o["served"] for o in operations]
    wall = max((o["done_ns"] for o in operations), default=0)
    locks = lock_rows(operations, events)
    spin = sum(row["wait_ns"] for row in locks)

    def count(kind: str) -> int:
        return sum(e["event"] == kind for e in events)

    def total(kind: str, column: str) -> int:
        return sum(e[column] for e in events if e["event"] == kind)

    sleeps = [e["duration_ns"] for e in events if e["event"] == "sleep"]
    maps = [o["mapped_ns"] - o["asked_ns"] for o in operations]
    cpu_time = [dict.fromkeys((f"{c}_ns" for c in CPU_CATEGORIES), 0) | {"cpu": i} for i in range(cpus)]
    for row in cpu_time:
        row["spin_ns"] = spin // cpus
        row["idle_ns"] = wall - row["spin_ns"]
    return {
        "wall_ns": wall,
        "operations": len(operations),
        "hits": served.count("hit"),
        "misses": served.count("miss"),
        "fallbacks": count("fallback"),
        "probed": sum(o["probed"] for o in operations),
        "scans": count("scan"),
        "scanned": total("scan", "value"),
        "freed": total("scan", "other"),
        "flushes": count("flush"),
        "ipis": total("flush", "value"),
        "local_flushes": sum(o["local_flushes"] for o in operations),
        "full_local_flushes": count("local_flush"),
        "sleeps": len(sleeps),
        "asleep_ns": sum(sleeps),
        "sleep_max_ns": max(sleeps, default=0),
        "wakes": count("wake"),
        "woken": total("wake", "value"),
        "pin_waits": count("pin_wait"),
        "pin_wait_ns": total("pin_wait", "duration_ns"),
        "switches": count("switch"),
        "migrations": 0,
        "walks": served.count("miss"),
        "map_ns": sum(maps),
        "map_max_ns": max(maps, default=0),
        "max_mapped": min(3, len(operations)),
        "locks": locks,
        "cpu_time": cpu_time,
    }


def manifest_dict(label: str, **changes: Any) -> dict[str, Any]:
    """A manifest's content; `changes` replaces top-level fields."""
    columns = dict.fromkeys(COLUMN_NAMES, "measured") | {
        "cpu": "absent",
        "bytes": "absent",
        "think_ns": "derived",
        "wait_ns": "derived",
        "block_ns": "assumed",
    }
    return {
        "id": f"{zlib.crc32(label.encode()):016x}",
        "label": label,
        "command": f"pipeline replay traces/tiny.parquet --allocator '{label}' --machine tiny --seed 1",
        "trace": {
            "name": "tiny",
            "path": "traces/tiny.parquet",
            "sha256": "ab" * 32,
            "metadata": {
                "format_version": 1,
                "source": {
                    "type": "recorded",
                    "name": "tiny",
                    "description": "a few page faults",
                    "recorder": "ftrace",
                    "kernel": "6.1.0",
                },
                "operations": 3,
                "tasks": 2,
                "processes": 1,
                "pages": 4,
                "cpus": 2,
                "columns": columns,
                "lost_events": 0,
                "clock": "monotonic, 1 ns",
                "notes": ["recorded under a debugger: think_ns is too long"],
            },
        },
        "allocator": {
            "name": label.split(maxsplit=1)[0] if label.split() else "none",
            "summary": "a design made up for a test",
            "source_sha256": "cd" * 32,
            "options": {"slots": 4},
            "address_space_pages": 4,
            "page_struct_bytes": 4,
        },
        "machine": {
            "name": "tiny",
            "summary": "two CPUs",
            "cpus": 2,
            "costs": {
                "scan_slot_ns": {"value": 10, "unit": "ns", "source": "assumed", "doc": "one slot passed"},
                "ipi_round_ns": {
                    "value": 2000.5,
                    "unit": "ns",
                    "source": "a mail of 2002",
                    "doc": "one round of IPIs",
                },
                "arbitration": {"value": "fifo", "unit": "", "source": "assumed", "doc": "who gets the lock"},
            },
        },
        "seed": 1,
        "loop": "closed",
        "events": "full",
        "versions": {"pipeline": "0.1.0"},
        "findings": [],
        "fingerprint": "ef" * 16,
        "execution": {
            "started": "2002-03-18T12:00:00Z",
            "elapsed_s": 0.5,
            "engine_s": 0.25,
            "peak_memory_mb": 100.0,
            "backlog_rows": 1,
            "compiled": True,
        },
    } | changes


def make_run(
    directory: Path,
    label: str = "a",
    operations: list[dict] = (),
    event_rows: list[dict] = (),
    totals: dict[str, Any] | None = None,
    stretches: list[dict] = (),
    areas: bool = False,
    **changes: Any,
) -> Path:
    """Write a run directory; rows need name only what differs from PLAIN_OPERATION and PLAIN_EVENT.

    `areas`: the design's mappings may have several pages and be unmapped by other tasks.
    """
    operations = [PLAIN_OPERATION | {"op": i} | row for i, row in enumerate(operations)]
    events = [PLAIN_EVENT | row for row in event_rows]
    fingerprint = {"fingerprint": sha256(repr((operations, events)).encode()).hexdigest()[:32]}
    kept = {"events": "stretches"} if stretches else {}
    content = manifest_dict(label, **fingerprint | kept | changes)
    content["allocator"] = content["allocator"] | {"areas": areas}
    content["totals"] = totals_of(operations, events, content["machine"]["cpus"]) | (totals or {})
    write_run(
        directory,
        content,
        {c.name: [o[c.name] for o in operations] for c in OPERATIONS},
        {c.name: [e[c.name] for e in events] for c in EVENTS},
        {
            c.name: [PLAIN_STRETCH[c.name] if c.name not in s else s[c.name] for s in stretches]
            for c in STRETCHES
        },
    )
    return directory


def write_run(directory: Path, content: dict, *tables: dict[str, Any]) -> None:
    """Write the manifest, checked, and the tables, encoded as the simulator's writer does."""
    directory.mkdir(parents=True)
    manifest = Manifest.model_validate(content)
    records = (OPERATION_RECORD, EVENT_RECORD, STRETCH_RECORD)
    for name, record, columns in zip(LOG_TABLES, records, tables, strict=False):
        if name in KEPT_TABLES[manifest.events]:
            table = LOG_TABLES[name] if manifest.allocator.areas else LOG_TABLES[name].without_areas()
            manifest.tables |= write_table(directory, table, record, columns)
    (directory / MANIFEST_FILE).write_text(manifest.model_dump_json(), encoding="utf-8")


def write_table(
    directory: Path, table: LogTable, record: np.dtype, columns: dict[str, Any]
) -> dict[str, list[str]]:
    """Write a table as the simulator's writer does; returns its files."""
    rows = np.zeros(len(columns[table.columns[0].name]), record)
    for name, values in columns.items():
        strings = DICTIONARIES.get(name)
        rows[name] = values if strings is None else [strings.index(value) for value in values]
    log = TableLog(directory, table, rows)
    log.close(rows, len(rows))
    log.abandon()
    return log.files


def make_plausible_run(
    directory: Path,
    label: str,
    seed: int = 1,
    count: int = 4000,
    contention: float = 0.0,
    lock: bool = True,
    flush_every: int = 0,
    sleeping: float = 0.0,
    pinning: float = 0.0,
    address_space_pages: int = 1024,
    **changes: Any,
) -> Path:
    """Write a run that looks like one: 8 CPUs, 40 tasks, waits behind flushes, sleeps in bursts."""
    rng = np.random.default_rng(seed)
    cpus, tasks = 8, 40
    asked = np.cumsum(rng.exponential(40_000, count)).astype(np.int64)
    hit = rng.random(count) < 0.93
    hold = (400 + rng.gamma(2, 150 + 2000 * contention, count)).astype(np.int64)
    unmap_hold = (200 + rng.gamma(2, 60 + 1500 * contention, count)).astype(np.int64)
    wait = np.where(rng.random(count) < contention, rng.lognormal(10, 1.6, count), 0).astype(np.int64)
    unmap_wait = np.where(rng.random(count) < contention, rng.lognormal(10, 1.5, count), 0).astype(np.int64)
    asleep = np.where(
        rng.random(count) < sleeping * (np.sin(asked / asked[-1] * 9) > 0.5), rng.gamma(2, 3e6, count), 0
    ).astype(np.int64)
    pin = np.where(rng.random(count) < pinning, rng.gamma(1, 2e5, count), 0).astype(np.int64)
    scanned = np.zeros(count, np.int64)
    if flush_every:
        passes = np.flatnonzero(~hit)[:: max(1, flush_every // 15)]
        scanned[passes] = address_space_pages
        hold[passes] += 350_000 + 3_700 * scanned[passes]
    if not lock:
        hold[:], unmap_hold[:], wait[:], unmap_wait[:] = 0, 0, 0, 0
    task = rng.integers(0, tasks, count)
    cpu = task % cpus
    mapped = asked + wait + hold + asleep + 300
    unmap_asked = mapped + rng.exponential(60_000, count).astype(np.int64) + pin
    kinds = rng.choice(
        ["page_fault", "copy_to_user", "copy_from_user", "exec_args"], count, p=[0.5, 0.2, 0.2, 0.1]
    )
    holder = np.where((wait > 0) | (unmap_wait > 0), rng.integers(0, tasks, count), -1)
    columns: dict[str, Any] = {
        **{c.name: np.zeros(count, np.int64) for c in OPERATIONS},
        "op": np.arange(count),
        "page": rng.zipf(1.3, count) % 100_000,
        "asked_ns": asked,
        "locked_ns": asked + wait if lock else np.full(count, -1),
        "mapped_ns": mapped,
        "unmap_asked_ns": unmap_asked,
        "done_ns": unmap_asked + unmap_wait + unmap_hold + 100,
        "map_wait_ns": wait,
        "map_hold_ns": hold,
        "unmap_wait_ns": unmap_wait,
        "unmap_hold_ns": unmap_hold,
        "asleep_ns": asleep,
        "pin_wait_ns": pin,
        "flush_op": np.full(count, -1),
        "task": task,
        "process": task // 4,
        "slot": rng.integers(0, max(1, address_space_pages), count),
        "probed": np.where(hit, 0, rng.geometric(0.2, count)),
        "scanned": scanned,
        "sleeps": (asleep > 0).astype(np.int64),
        "holder": holder,
        "cpu_map": cpu,
        "cpu_unmap": cpu,
        "kind": kinds,
        "served": np.where(hit, "hit", "miss"),
    }
    events: list[dict] = []
    for i in np.flatnonzero(scanned):
        base = {"cpu": int(cpu[i]), "task": int(task[i]), "op": int(i)}
        start, pass_ns = int(asked[i] + wait[i]), int(scanned[i]) * 3_700
        freed = int(scanned[i] * 0.97)
        events.append(
            PLAIN_EVENT
            | base
            | {
                "event": "scan",
                "time_ns": start,
                "duration_ns": pass_ns,
                "value": int(scanned[i]),
                "other": freed,
            }
        )
        events.append(
            PLAIN_EVENT
            | base
            | {"event": "flush", "time_ns": start + pass_ns, "duration_ns": 350_000, "value": cpus - 1}
        )
    for i in np.flatnonzero(asleep):
        events.append(
            PLAIN_EVENT
            | {
                "event": "sleep",
                "time_ns": int(asked[i] + wait[i] + 400),
                "duration_ns": int(asleep[i]),
                "cpu": int(cpu[i]),
                "task": int(task[i]),
                "op": int(i),
                "value": 0,
                "other": int(rng.integers(0, tasks)),
            }
        )
        events.append(
            PLAIN_EVENT
            | {
                "event": "wake",
                "time_ns": int(mapped[i] - 300),
                "cpu": int(cpu[i]),
                "task": 1,
                "value": int(rng.integers(1, 6)),
                "other": 0,
            }
        )
    for i in np.flatnonzero(pin):
        events.append(
            PLAIN_EVENT
            | {
                "event": "pin_wait",
                "time_ns": int(mapped[i]),
                "op": int(i),
                "duration_ns": int(pin[i]),
                "cpu": int(cpu[i]),
                "task": int(task[i]),
                "value": int(rng.integers(0, 4)),
            }
        )
    events.sort(key=lambda e: e["time_ns"])
    content = manifest_dict(label, **changes)
    content["machine"]["cpus"] = cpus
    content["allocator"]["address_space_pages"] = address_space_pages
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(np.asarray(v).tolist() for v in columns.values()), strict=True)
    ]
    totals = totals_of(rows, events, cpus)
    wall = totals["wall_ns"]
    spin = sum(row["wait_ns"] for row in totals["locks"])
    shares = {"compute": 0.45, "in_use": 0.12, "critical": 0.05, "switch": 0.02}
    for row in totals["cpu_time"]:
        used = {f"{k}_ns": int(v * wall) for k, v in shares.items()}
        used["spin_ns"] = min(spin // cpus, wall // 4)
        used["scan_ns"] = min(int(scanned.sum()) * 3_700 // cpus, wall // 20)
        used["flush_ns"] = totals["flushes"] * 350_000 // cpus % (wall // 20)
        used["interrupted_ns"] = used["flush_ns"] // 2
        row.update(used | {"idle_ns": wall - sum(used.values())})
    content["totals"] = totals
    write_run(directory, content, columns, {c.name: [e[c.name] for e in events] for c in EVENTS})
    return directory
