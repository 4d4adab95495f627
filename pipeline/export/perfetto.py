"""Writer of Perfetto's own trace format: protobuf packets, with the message classes that Perfetto publishes.

Names and texts are interned: a packet before the first use of a text assigns its number. Tracks are described
before their first use; the parent of each is the track of its group. Timestamps are increments from the
previous packet, on a clock that is local to the packet sequence and set by the first packet.
"""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    BUILTIN_CLOCK_BOOTTIME,
    DebugAnnotation,
    Trace,
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)

from pipeline.export.kinds import COUNTERS, GROUPS
from pipeline.export.packets import Plane, binary, constant, join, keep_where, message, tag, varint
from pipeline.export.timeline import Slices
from pipeline.export.tracks import Ints, Track

_SEQUENCE = 1
_NEEDED = TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
# Clock ids 64 to 127 are local to a packet sequence.
_CLOCK = 64

# Track uuids: first the groups, then the counters, then tracks by position.
_GROUP_UUIDS = {group: position + 1 for position, group in enumerate(GROUPS)}
_COUNTER_UUID = len(GROUPS) + 1
_TRACK_UUID = _COUNTER_UUID + len(COUNTERS)


class PerfettoWriter:
    """Writer of a timeline's packets to a binary file."""

    def __init__(self, file: IO[bytes]) -> None:
        """Describe the groups and counters in display order."""
        self._file = file
        self._seen = 0
        self._names: dict[tuple[str, str], int] = {}
        # Packets that must precede the next events.
        self._before = Trace()
        first = self._packet(TracePacket.SEQ_INCREMENTAL_STATE_CLEARED)
        first.first_packet_on_sequence = True
        for group, (heading, _) in GROUPS.items():
            described = self._descriptor(_GROUP_UUIDS[group], heading, None, _GROUP_UUIDS[group])
            described.child_ordering = TrackDescriptor.EXPLICIT
        for uuid, name in enumerate(COUNTERS, _COUNTER_UUID):
            self._descriptor(uuid, name, None, uuid).counter.SetInParent()

    def run(self, begin_ns: int, _end_ns: int, name: str, metadata: dict[str, Any]) -> None:
        """Set the clock and start the run's slice."""
        first = self._before.packet[0]
        first.trace_packet_defaults.timestamp_clock_id = _CLOCK
        first.clock_snapshot.clocks.add(clock_id=BUILTIN_CLOCK_BOOTTIME, timestamp=begin_ns)
        first.clock_snapshot.clocks.add(clock_id=_CLOCK, timestamp=begin_ns, is_incremental=True)
        name_iid, category_iid = self._iid("event_names", name), self._iid("event_categories", "run")
        annotations = [
            DebugAnnotation(name_iid=self._iid("debug_annotation_names", key), **_value(value))
            for key, value in metadata.items()
        ]
        packet = self._packet()
        packet.timestamp = 0
        packet.track_event.type = TrackEvent.TYPE_SLICE_BEGIN
        packet.track_event.track_uuid = _TRACK_UUID
        packet.track_event.name_iid = name_iid
        packet.track_event.category_iids.append(category_iid)
        packet.track_event.debug_annotations.extend(annotations)

    def tracks(self, new: list[Track]) -> None:
        """Describe new tracks."""
        for track in new:
            uuid = _TRACK_UUID + self._seen
            self._descriptor(uuid, track.name, _GROUP_UUIDS[track.group], track.number)
            self._seen += 1

    def slices(self, some: Slices) -> pa.Array:
        """Return the packets of slice starts, or of instants."""
        kind = some.kind
        event = _event(
            TrackEvent.TYPE_SLICE_BEGIN if kind.end else TrackEvent.TYPE_INSTANT, some.track + _TRACK_UUID
        )
        event += tag(TrackEvent, "name_iid")
        event += (
            constant(self._iid("event_names", kind.name))
            if some.names is None
            else varint(self._iids("event_names", some.names.fill_null(kind.name)))
        )
        event += tag(TrackEvent, "category_iids") + constant(self._iid("event_categories", kind.name))
        for name, values in some.arguments.items():
            event += self._annotation(name, values)
        flows = _flows(some)
        lengths = sum((pc.binary_length(flow).to_numpy().astype(np.int64) for flow in flows), start=0)
        packets = join(_packet(some.since_ns, event, lengths), len(some.track))
        return pc.binary_join_element_wise(packets, *flows, b"") if flows else packets

    def ends(self, since_ns: Ints, track: Ints) -> pa.Array:
        """Return the packets of slice ends."""
        event = _event(TrackEvent.TYPE_SLICE_END, track + _TRACK_UUID)
        return join(_packet(since_ns, event), len(track))

    def counters(self, _at_ns: Ints, since_ns: Ints, counter: Ints, value: Ints) -> pa.Array:
        """Return the packets of counter values."""
        event = _event(TrackEvent.TYPE_COUNTER, counter + _COUNTER_UUID)
        event += tag(TrackEvent, "counter_value") + varint(value)
        return join(_packet(since_ns, event), len(counter))

    def write(self, events: memoryview) -> None:
        """Write packets, preceded by the descriptions that they use."""
        self._file.write(self._before.SerializeToString())
        # A cleared message would keep its memory, so a new one replaces it.
        self._before = Trace()
        self._file.write(events)

    def finish(self, _metadata: dict[str, Any]) -> None:
        """Write nothing: the run's slice already has the metadata."""

    def _annotation(self, name: str, values: pa.Array) -> list[Plane]:
        planes = tag(DebugAnnotation, "name_iid") + constant(self._iid("debug_annotation_names", name))
        known = values.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_integer(values.type):
            planes += tag(DebugAnnotation, "int_value") + varint(values.fill_null(0).to_numpy())
        else:
            planes += tag(DebugAnnotation, "string_value_iid")
            planes += varint(self._iids("debug_annotation_string_values", values))
        return keep_where(known, message(tag(TrackEvent, "debug_annotations"), planes))

    def _packet(self, flags: int = _NEEDED) -> Any:
        return self._before.packet.add(trusted_packet_sequence_id=_SEQUENCE, sequence_flags=flags)

    def _descriptor(self, uuid: int, name: str, parent: int | None, rank: int) -> Any:
        descriptor = self._packet().track_descriptor
        descriptor.uuid = uuid
        descriptor.name = name
        descriptor.sibling_order_rank = rank
        if parent is not None:
            descriptor.parent_uuid = parent
        return descriptor

    def _iids(self, field: str, texts: pa.Array) -> Ints:
        """Return the number of each text, 0 for null."""
        encoded = texts.dictionary_encode()
        numbers = np.array([0, *(self._iid(field, text) for text in encoded.dictionary.to_pylist())])
        return numbers[encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy() + 1]

    def _iid(self, field: str, text: str) -> int:
        """Return the number of a text; at its first use, add a packet that assigns the number."""
        known = self._names.get((field, text))
        if known is None:
            known = self._names[field, text] = 1 + sum(of == field for of, _ in self._names)
            entry = getattr(self._packet().interned_data, field).add(iid=known)
            if field == "debug_annotation_string_values":
                entry.str = text.encode()
            else:
                entry.name = text
        return known


def _packet(since_ns: Ints, event: list[Plane], more: Ints | int = 0) -> list[Plane]:
    """Encode packets of track events as fields of a trace; `more` bytes of each event follow later."""
    planes = tag(TracePacket, "timestamp") + varint(since_ns)
    planes += tag(TracePacket, "trusted_packet_sequence_id") + constant(_SEQUENCE)
    planes += tag(TracePacket, "sequence_flags") + constant(_NEEDED)
    planes += message(tag(TracePacket, "track_event"), event, more)
    return message(tag(Trace, "packet"), planes, more)


def _event(type_: int, uuid: Ints) -> list[Plane]:
    return tag(TrackEvent, "type") + constant(type_) + tag(TrackEvent, "track_uuid") + varint(uuid)


def _flows(some: Slices) -> list[pa.Array]:
    """Return the fields of the arrows that start and end at each slice, if its kind has any."""
    found = []
    if some.leads_to is not None:
        found.append(_flow_fields("flow_ids", some.leads_to.flatten(), some.leads_to.value_lengths()))
    if some.comes_from is not None:
        there = some.comes_from.is_valid().cast(pa.int64())
        found.append(_flow_fields("terminating_flow_ids", some.comes_from.drop_null(), there))
    return found


def _flow_fields(field: str, flows: pa.Array, counts: pa.Array) -> pa.Array:
    numbers = flows.to_numpy().astype("<u8").view(np.uint8).reshape(-1, 8)
    before = np.array([[byte for byte, _ in tag(TrackEvent, field)]], np.uint8)
    fields = np.hstack([before.repeat(len(numbers), axis=0), numbers])
    return binary(fields.ravel(), counts.fill_null(0).to_numpy().astype(np.int64) * fields.shape[1])


def _value(value: Any) -> dict[str, Any]:
    return {"int_value" if isinstance(value, int) else "string_value": value}
