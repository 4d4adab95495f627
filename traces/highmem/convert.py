"""Convert raw tracefs text of a kernel's pool to the Parquet format that `pipeline study kernel` reads.

python convert.py RECORDING.tracefs.txt.gz OUT.kmap.parquet

Rejects a recording with lost events, because the state of the pool after a gap is unknown. Times in the text
are ticks of the time-stamp counter. `init` writes two markers with the uptime in hundredths of a second, from
which the number of ticks per nanosecond is computed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import PipelineError
from pipeline.importing.kmap_pool.events import ENTER, EVENTS, NONE, PoolEvents
from pipeline.importing.kmap_pool.recordings import read_recorded_events
from pipeline.importing.text.blocks import BlockReader
from pipeline.io.files import complete_file

_CLOCK = re.compile(rb" (\d+): tracing_mark_write: pool clock (\d+\.\d+)")


_ENTERED = re.compile(rb"^.+?: ke: .*? caller=(\S+)", re.MULTILINE)


def _blocks(source: Path) -> Iterator[bytes]:
    """Yield blocks of complete lines of the text."""
    return (block.tobytes() for block in BlockReader(source).blocks())


def callers(source: Path, events: PoolEvents) -> list[str | None]:
    """Return the caller of `kmap_high` for each event; None for all events except `ke`."""
    found = [match.decode() for block in _blocks(source) for match in _ENTERED.findall(block)]
    entered = np.flatnonzero(events.code == ENTER)
    if len(found) != len(entered):
        sys.exit(
            f"convert.py: {source}: wanted {len(entered):,} callers, one per ke event, found {len(found):,}"
        )
    by_event: list[str | None] = [None] * len(events.code)
    for row, caller in zip(entered.tolist(), found, strict=True):
        by_event[row] = caller
    return by_event


def ticks_per_ns(source: Path) -> float:
    """Return the rate of the counter, computed from the first and the last marker."""
    found = [pair for block in _blocks(source) for pair in _CLOCK.findall(block)]
    if len(found) < 2 or found[0][1] == found[-1][1]:
        sys.exit(
            f"convert.py: {source}: wanted markers 'pool clock SECONDS' at both ends, found {len(found)}"
        )
    ticks = int(found[-1][0]) - int(found[0][0])
    return ticks / (float(found[-1][1]) - float(found[0][1])) / 1e9


def convert(source: Path, target: Path) -> PoolEvents:
    """Read `source`, write `target`, and return the events."""
    events = read_recorded_events(source)
    if events.lost or events.gaps:
        sys.exit(f"convert.py: {source}: {events.lost or 0:,} events were lost; enlarge the trace buffer")

    rate = ticks_per_ns(source)
    since = events.time - events.time[0]

    def optional(values: np.ndarray, type_: pa.DataType) -> pa.Array:
        return pa.array(values, mask=values == NONE).cast(type_)

    names = pa.DictionaryArray.from_arrays(pa.array(events.code.astype(np.int8)), pa.array(EVENTS))
    table = pa.table(
        {
            "seq": events.seq,
            "time_ns": np.round(since / rate).astype(np.int64),
            "cpu": pa.array(events.cpu).cast(pa.int8()),
            "pid": pa.array(events.pid).cast(pa.int32()),
            "ev": names,
            "page": optional(events.page, pa.uint32()),
            "vaddr": optional(events.vaddr, pa.uint32()),
            "nr": optional(events.slot, pa.int16()),
            "cnt": optional(events.count, pa.int32()),
            "caller": pa.array(callers(source, events)).dictionary_encode(),
        }
    )
    with complete_file(target) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=9)
    return events


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: convert.py RECORDING.tracefs.txt.gz OUT.kmap.parquet")
    try:
        made = convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except PipelineError as error:
        sys.exit(f"convert.py: {error}")
    counts = {name: int((made.code == code).sum()) for code, name in enumerate(EVENTS)}
    print(f"{sys.argv[2]}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
