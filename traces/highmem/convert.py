"""Make the Parquet form of a pool recording, as `pipeline verify` ships it, of raw tracefs text.

python convert.py RECORDING.tracefs.txt.gz OUT.kmap.parquet

Refuses a recording from which events are missing: nobody could follow the pool through the gap.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import PipelineError
from pipeline.files import complete_file
from pipeline.verify.recording import EVENTS, NONE, PoolEvents, read_pool_events


def convert(source: Path, target: Path) -> PoolEvents:
    """Read `source`, write `target`, and return the events."""
    events = read_pool_events(source)
    if events.lost or events.gaps:
        sys.exit(f"convert.py: {source}: {events.lost or 0:,} events were lost; make the trace buffer larger")

    def optional(values: np.ndarray, type_: pa.DataType) -> pa.Array:
        return pa.array(values, mask=values == NONE).cast(type_)

    names = pa.DictionaryArray.from_arrays(pa.array(events.code.astype(np.int8)), pa.array(EVENTS))
    table = pa.table(
        {
            "seq": events.seq,
            "time_ns": events.time,
            "cpu": pa.array(events.cpu).cast(pa.int8()),
            "pid": pa.array(events.pid).cast(pa.int32()),
            "ev": names,
            "page": optional(events.page, pa.uint32()),
            "vaddr": optional(events.vaddr, pa.uint32()),
            "nr": optional(events.slot, pa.int16()),
            "cnt": optional(events.count, pa.int32()),
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
