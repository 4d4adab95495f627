"""Writer of Chrome's trace event format: JSON for chrome://tracing, Perfetto, speedscope and others.

Times are in microseconds with three decimals, which keeps the nanoseconds. A group of tracks is written as a
process, and a track as one of its threads. Format: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import json
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.export.kinds import COUNTERS, GROUPS
from pipeline.export.timeline import Slices
from pipeline.export.tracks import Ints, Track

_PROCESSES = {group: position + 1 for position, group in enumerate(GROUPS)}
_THOUSANDTHS = pa.array([f".{part:03d}" for part in range(1000)])


class ChromeWriter:
    """Writer of a timeline's events to a binary file, as one JSON object."""

    def __init__(self, file: IO[bytes]) -> None:
        """Start the object and name the processes."""
        self._file = file
        # The thread of each track, by position.
        self._threads: list[int] = []
        names = [
            _name(_PROCESSES[group], 0, "process", heading, _PROCESSES[group])
            for group, (heading, _) in GROUPS.items()
        ]
        file.write(b'{"displayTimeUnit":"ns","traceEvents":[' + "".join(names).removeprefix(",").encode())

    def run(self, begin_ns: int, end_ns: int, name: str, metadata: dict[str, Any]) -> None:
        """Write the slice of the run."""
        at = f'"ph":"X","pid":{_PROCESSES["run"]},"tid":0,"ts":{begin_ns / 1000:.3f},"dur"'
        says = f'"name":{_json(name)},"cat":"run","args":{_json(metadata)}'
        self._file.write(f",\n{{{at}:{(end_ns - begin_ns) / 1000:.3f},{says}}}".encode())

    def tracks(self, new: list[Track]) -> None:
        """Name the threads of new tracks."""
        for track in new:
            self._threads.append(track.number)
            named = _name(_PROCESSES[track.group], track.number, "thread", track.name, track.number)
            self._file.write(named.encode())

    def slices(self, some: Slices) -> pa.Array:
        """Return the JSON lines of slices, each with its duration, or of instants."""
        kind = some.kind
        threads = pa.array(np.array(self._threads)[some.track]).cast(pa.string())
        at = _text(f'"pid":{_PROCESSES[kind.group]},"tid":', threads, ',"ts":', _us(some.begin_ns))
        begin = [',\n{"ph":"X",', at, ',"dur":', _us(some.end_ns - some.begin_ns)]
        if kind.end is None:
            begin = [',\n{"ph":"i",', at, ',"s":"t"']
        name = _json(kind.name) if some.names is None else _quote(some.names.fill_null(kind.name))
        says = [_argument(key, values) for key, values in some.arguments.items()]
        args = pc.binary_join_element_wise(*says, ",", null_handling="skip")
        line = [*begin, ',"name":', name, f',"cat":"{kind.name}","args":{{', args, "}}"]
        if some.leads_to is not None:
            line.append(_sources(kind.name, at, some.leads_to))
        if some.comes_from is not None:
            # Viewers match the two ends of an arrow by name, category and id together.
            source = "flush" if kind.name == "ipi" else "wake"
            flow = some.comes_from.cast(pa.string())
            arrow = f',"name":"{source}","cat":"arrow","id":"'
            line.append(_text(',\n{"ph":"f","bp":"e",', at, arrow, flow, '"}'))
        return pc.binary_join_element_wise(*line, "", null_handling="skip")

    def ends(self, _since_ns: Ints, track: Ints) -> pa.Array:
        """Return nulls: a slice already has its duration."""
        return pa.nulls(len(track), pa.string())

    def counters(self, at_ns: Ints, _since_ns: Ints, counter: Ints, value: Ints) -> pa.Array:
        """Return the JSON lines of counter values."""
        names = pa.array(COUNTERS).take(pa.array(counter))
        begin = f',\n{{"ph":"C","pid":{_PROCESSES["run"]},"ts":'
        values = pa.array(value).cast(pa.string())
        return _text(begin, _us(at_ns), ',"name":"', names, '","args":{"value":', values, "}}")

    def write(self, events: memoryview) -> None:
        """Write lines."""
        self._file.write(events)

    def finish(self, metadata: dict[str, Any]) -> None:
        """End the object; `metadata` is stored next to the events, as `otherData`."""
        self._file.write(f'\n],"otherData":{_json(metadata)}}}\n'.encode())


def _name(process: int, thread: int, what: str, name: str, rank: int) -> str:
    at = f',\n{{"ph":"M","pid":{process},"tid":{thread},"name":"{what}'
    return f'{at}_name","args":{{"name":{_json(name)}}}}}{at}_sort_index","args":{{"sort_index":{rank}}}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(*parts: pa.Array | str) -> pa.Array:
    """Concatenate texts row by row; null where any of them is null."""
    return pc.binary_join_element_wise(*parts, "")


def _us(ns: Ints) -> pa.Array:
    """Format nanoseconds as microseconds with three decimals."""
    return _text(pa.array(ns // 1000).cast(pa.string()), _THOUSANDTHS.take(pa.array(ns % 1000)))


def _quote(texts: pa.Array) -> pa.Array:
    """Encode texts as JSON strings; each distinct text is encoded once."""
    encoded = texts.dictionary_encode()
    return pa.array([_json(text) for text in encoded.dictionary.to_pylist()], pa.string()).take(
        encoded.indices
    )


def _argument(name: str, values: pa.Array) -> pa.Array:
    texts = values.cast(pa.string()) if pa.types.is_integer(values.type) else _quote(values)
    return _text(f"{_json(name)}:", texts)


def _sources(name: str, at: pa.Array, flows: pa.ListArray) -> pa.Array:
    """Return the lines of the arrows that start at each slice."""
    counts = flows.value_lengths().fill_null(0).to_numpy()
    places = at.take(pa.array(np.repeat(np.arange(len(counts)), counts)))
    arrow = f',"name":"{name}","cat":"arrow","id":"'
    lines = _text(',\n{"ph":"s",', places, arrow, flows.flatten().cast(pa.string()), '"}')
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), lines), "")
