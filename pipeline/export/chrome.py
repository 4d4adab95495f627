"""Chrome's trace event format: JSON that chrome://tracing, Perfetto, speedscope and others read.

Times are microseconds with three decimals, so no nanosecond is lost. A group of tracks is a process there,
a track one of its threads. Format: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import json
from typing import IO, Any

from pipeline.export.kinds import GROUPS
from pipeline.export.timeline import Slice, Track

_PROCESSES = {group: position + 1 for position, group in enumerate(GROUPS)}


class ChromeWriter:
    """Writes the events of a timeline to a binary file, as one JSON object."""

    def __init__(self, file: IO[bytes]) -> None:
        """Open the object and name the processes."""
        self._file = file
        self._tracks: set[Track] = set()
        self._between = b""
        file.write(b'{"displayTimeUnit":"ns","traceEvents":[')
        for group, (heading, _) in GROUPS.items():
            self._name(_PROCESSES[group], 0, "process", heading, _PROCESSES[group])

    def begin(self, at_ns: int, end_ns: int, track: Track, slice_: Slice) -> None:
        """Write a slice, which says itself how long it is."""
        self._event("X", at_ns, track, slice_, f',"dur":{_us(end_ns - at_ns)}')

    def end(self, at_ns: int, track: Track) -> None:
        """Nothing is left to say."""

    def instant(self, at_ns: int, track: Track, slice_: Slice) -> None:
        """Write an instant."""
        self._event("i", at_ns, track, slice_, ',"s":"t"')

    def counter(self, at_ns: int, name: str, value: int) -> None:
        """Write a counter's value."""
        self._write(f'"ph":"C","pid":{_PROCESSES["run"]},"ts":{_us(at_ns)},"name":"{name}"'
                    f',"args":{{"value":{value}}}')  # fmt: skip

    def finish(self, metadata: dict[str, Any]) -> None:
        """Close the object; `metadata` goes beside the events."""
        self._file.write(b'\n],"otherData":' + json.dumps(metadata, ensure_ascii=False).encode() + b"}\n")

    def _event(self, phase: str, at_ns: int, track: Track, slice_: Slice, more: str) -> None:
        process = _PROCESSES[track.group]
        if track not in self._tracks:
            self._tracks.add(track)
            self._name(process, track.number, "thread", track.name, track.number)
        at = f'"pid":{process},"tid":{track.number},"ts":{_us(at_ns)}'
        arguments = json.dumps(dict(slice_.arguments), ensure_ascii=False, separators=(",", ":"))
        name = json.dumps(slice_.name, ensure_ascii=False)
        self._write(f'"ph":"{phase}",{at}{more},"name":{name},"cat":"{slice_.category}","args":{arguments}')
        for flow in slice_.leads_to:
            self._write(f'"ph":"s",{at},"name":"{slice_.category}","cat":"arrow","id":"{flow:#x}"')
        if slice_.comes_from is not None:
            # An arrow is known by its name, sort and id together: both ends must say the same.
            source = "flush" if slice_.category == "ipi" else "wake"
            self._write(
                f'"ph":"f","bp":"e",{at},"name":"{source}","cat":"arrow","id":"{slice_.comes_from:#x}"'
            )

    def _name(self, process: int, thread: int, what: str, name: str, rank: int) -> None:
        at = f'"ph":"M","pid":{process},"tid":{thread}'
        self._write(f'{at},"name":"{what}_name","args":{{"name":{json.dumps(name)}}}')
        self._write(f'{at},"name":"{what}_sort_index","args":{{"sort_index":{rank}}}')

    def _write(self, fields: str) -> None:
        self._file.write(self._between + b"\n{" + fields.encode() + b"}")
        self._between = b","


def _us(ns: int) -> str:
    return f"{ns // 1000}.{ns % 1000:03d}"
