"""Timelines read back, by the rules of the viewers: what lies where, and whether it nests."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TracePacket, TrackEvent


@dataclass
class Seen:
    """One slice or instant (`end` None) as a viewer shows it."""

    group: str
    track: str
    name: str
    category: str
    begin: int
    end: int | None
    depth: int
    args: dict[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        assert self.end is not None
        return self.end - self.begin


@dataclass
class Timeline:
    """A timeline: slices in order of begin, arrows as (source, target), counters as (time, value)."""

    slices: list[Seen]
    instants: list[Seen]
    arrows: list[tuple[Seen, Seen]]
    counters: dict[str, list[tuple[int, int]]]
    metadata: dict[str, Any]

    def of(self, group: str, category: str) -> list[Seen]:
        return [s for s in self.slices if (s.group, s.category) == (group, category)]

    def sum_ns(self, group: str, category: str) -> int:
        return sum(s.length for s in self.of(group, category))

    def picture(self) -> str:
        """All tracks with their slices indented by depth: "begin-end name"."""
        lines: list[str] = []
        by_track: dict[tuple[str, str], list[Seen]] = defaultdict(list)
        for seen in self.slices + self.instants:
            by_track[seen.group, seen.track].append(seen)
        for (group, track), there in sorted(by_track.items()):
            if group == "Run":
                continue
            lines.append(f"{group}: {track}")
            for seen in sorted(there, key=lambda s: (s.begin, s.depth)):
                span = f"{seen.begin}-{seen.end}" if seen.end is not None else f"{seen.begin}"
                lines.append("  " * (seen.depth + 1) + f"{span} {seen.name}")
        return "\n".join(lines)


def perfetto(path: Path) -> Timeline:
    """Read packets as trace_processor does; time goes backwards, or an end too many: AssertionError."""
    trace = Trace()
    raw = path.read_bytes()
    trace.ParseFromString(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    tracks: dict[int, Any] = {}
    interned: dict[str, dict[int, str]] = defaultdict(dict)
    stacks: dict[int, list[Seen]] = defaultdict(list)
    sources: dict[int, Seen] = {}
    out = Timeline([], [], [], defaultdict(list), {})
    last = 0
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        if packet.sequence_flags & TracePacket.SEQ_INCREMENTAL_STATE_CLEARED:
            interned.clear()
        for table in ("event_names", "event_categories", "debug_annotation_names"):
            for entry in getattr(packet.interned_data, table):
                interned[table][entry.iid] = entry.name
        for entry in packet.interned_data.debug_annotation_string_values:
            interned["debug_annotation_string_values"][entry.iid] = entry.str.decode()
        for clock in packet.clock_snapshot.clocks:
            if clock.is_incremental:
                assert packet.trace_packet_defaults.timestamp_clock_id == clock.clock_id
                last = clock.timestamp
        if packet.HasField("track_descriptor"):
            assert packet.track_descriptor.uuid not in tracks
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor
        if not packet.HasField("track_event"):
            continue
        assert packet.HasField("timestamp")
        last += packet.timestamp
        event = packet.track_event
        track = tracks[event.track_uuid]
        if event.type == TrackEvent.TYPE_COUNTER:
            assert track.HasField("counter")
            out.counters[track.name].append((last, event.counter_value))
            continue
        stack = stacks[event.track_uuid]
        if event.type == TrackEvent.TYPE_SLICE_END:
            stack.pop().end = last
            continue
        seen = Seen(
            tracks[track.parent_uuid].name,
            track.name,
            interned["event_names"][event.name_iid],
            interned["event_categories"][event.category_iids[0]],
            last,
            None,
            len(stack),
            {
                interned["debug_annotation_names"][a.name_iid]: _value(
                    a, interned["debug_annotation_string_values"]
                )
                for a in event.debug_annotations
            },
        )
        for flow in event.flow_ids:
            assert flow not in sources
            sources[flow] = seen
        for flow in event.terminating_flow_ids:
            if flow in sources:
                out.arrows.append((sources.pop(flow), seen))
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            stack.append(seen)
            out.slices.append(seen)
        else:
            out.instants.append(seen)
    assert not any(stacks.values())
    (run,) = out.of("Run", "run")
    out.metadata = run.args
    return out


def _value(annotation: Any, texts: dict[int, str]) -> Any:
    if annotation.HasField("string_value_iid"):
        return texts[annotation.string_value_iid]
    return getattr(annotation, annotation.WhichOneof("value"))


def chrome(path: Path) -> Timeline:
    """Read trace events; slices of one thread that overlap without one holding the other: AssertionError."""
    raw = path.read_bytes()
    content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw, parse_float=Decimal)
    groups: dict[int, str] = {}
    tracks: dict[tuple[int, int], str] = {}
    stacks: dict[tuple[int, int], list[Seen]] = defaultdict(list)
    newest: dict[tuple[int, int], Seen] = {}
    sources: dict[tuple[str, str, str], Seen] = {}
    out = Timeline([], [], [], defaultdict(list), content["otherData"])
    for event in content["traceEvents"]:
        place = (event["pid"], event.get("tid", 0))
        if event["ph"] == "M":
            if event["name"] == "process_name":
                groups[event["pid"]] = event["args"]["name"]
            elif event["name"] == "thread_name":
                tracks[place] = event["args"]["name"]
            continue
        begin = int(event["ts"] * 1000)
        if event["ph"] == "C":
            out.counters[event["name"]].append((begin, event["args"]["value"]))
        elif event["ph"] in ("X", "i"):
            stack = stacks[place]
            while stack and stack[-1].end is not None and stack[-1].end <= begin:
                stack.pop()
            end = begin + int(event["dur"] * 1000) if event["ph"] == "X" else None
            assert not stack or end is None or (stack[-1].end or 0) >= end
            seen = Seen(
                groups[place[0]], tracks[place], event["name"], event["cat"], begin, end, len(stack),
                event["args"],
            )  # fmt: skip
            newest[place] = seen
            if end is None:
                out.instants.append(seen)
            else:
                stack.append(seen)
                out.slices.append(seen)
        elif event["ph"] == "s":
            sources[event["name"], event["cat"], event["id"]] = newest[place]
        else:
            assert event["ph"] == "f"
            out.arrows.append((sources.pop((event["name"], event["cat"], event["id"])), newest[place]))
    return out
