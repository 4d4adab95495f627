"""Perfetto's own trace format: protobuf packets, by the classes that the Perfetto project publishes.

Names are interned: the first packet that uses one carries it with a number. Tracks are described where they
are first used, below a track for their group.
"""

from __future__ import annotations

from typing import IO, Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TracePacket, TrackDescriptor, TrackEvent

from pipeline.export.kinds import COUNTERS, GROUPS
from pipeline.export.timeline import Slice, Track

_SEQUENCE = 1
_CLEARED = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
_NEEDED = TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
# Packets that are made before they are written together.
_TOGETHER = 4096

# Groups have small uuids; a track's is its group's with its number above it. Counters come after the groups.
_GROUP_UUIDS = {group: position + 1 for position, group in enumerate(GROUPS)}
_COUNTER_UUIDS = {name: len(GROUPS) + 1 + position for position, name in enumerate(COUNTERS)}


class PerfettoWriter:
    """Writes the packets of a timeline to a binary file."""

    def __init__(self, file: IO[bytes]) -> None:
        """Describe the groups and counters, so that they stand in their order."""
        self._file = file
        self._trace = Trace()
        self._ends: dict[Track, Any] = {}
        self._forms: dict[tuple[Track, str, str, int], Any] = {}
        self._names: dict[tuple[str, str], int] = {}
        self._packet(
            TracePacket(
                trusted_packet_sequence_id=_SEQUENCE, sequence_flags=_CLEARED, first_packet_on_sequence=True
            )
        )
        for group, (heading, _) in GROUPS.items():
            heading_of = self._descriptor(_GROUP_UUIDS[group], heading, None, _GROUP_UUIDS[group])
            heading_of.child_ordering = TrackDescriptor.EXPLICIT
        for name, uuid in _COUNTER_UUIDS.items():
            self._descriptor(uuid, name, None, uuid).counter.SetInParent()

    def begin(self, at_ns: int, end_ns: int, track: Track, slice_: Slice) -> None:
        """Write the begin of a slice."""
        self._event(at_ns, track, slice_, TrackEvent.TYPE_SLICE_BEGIN)

    def end(self, at_ns: int, track: Track) -> None:
        """Write the end of a slice."""
        self._packet(self._ends[track]).timestamp = at_ns

    def instant(self, at_ns: int, track: Track, slice_: Slice) -> None:
        """Write an instant."""
        self._event(at_ns, track, slice_, TrackEvent.TYPE_INSTANT)

    def counter(self, at_ns: int, name: str, value: int) -> None:
        """Write a counter's value."""
        packet = self._packet(_form(TrackEvent.TYPE_COUNTER, _COUNTER_UUIDS[name]))
        packet.timestamp = at_ns
        packet.track_event.counter_value = value

    def finish(self, _metadata: dict[str, Any]) -> None:
        """Write what has not been written yet; the run's slice has the metadata already."""
        self._file.write(self._trace.SerializeToString())
        # Clearing a message keeps its memory; only with the message does that go.
        self._trace = Trace()

    def _event(self, at_ns: int, track: Track, slice_: Slice, type_: int) -> None:
        form = self._forms.get((track, slice_.name, slice_.category, type_))
        if form is None:
            form = self._new_form(track, slice_, type_)
        numbers = [self._names.get(("debug_annotation_names", name)) for name, _ in slice_.arguments]
        if None in numbers:
            numbers = [self._interned("debug_annotation_names", name) for name, _ in slice_.arguments]
        packet = self._packet(form)
        packet.timestamp = at_ns
        event = packet.track_event
        add = event.debug_annotations.add
        for number, (_, value) in zip(numbers, slice_.arguments, strict=True):
            if isinstance(value, int):
                add(name_iid=number, int_value=value)
            else:
                add(name_iid=number, string_value=value)
        if slice_.leads_to:
            event.flow_ids.extend(slice_.leads_to)
        if slice_.comes_from is not None:
            event.terminating_flow_ids.append(slice_.comes_from)

    def _packet(self, form: Any) -> Any:
        """Begin the next packet with what `form` says."""
        if len(self._trace.packet) >= _TOGETHER:
            self.finish({})
        packet = self._trace.packet.add()
        packet.MergeFrom(form)
        return packet

    def _new_form(self, track: Track, slice_: Slice, type_: int) -> Any:
        """Make what all events of one name on one track have in common."""
        if track not in self._ends:
            uuid = self._new_track(track)
            self._ends[track] = _form(TrackEvent.TYPE_SLICE_END, uuid)
        form = _form(type_, self._ends[track].track_event.track_uuid)
        form.track_event.name_iid = self._interned("event_names", slice_.name)
        form.track_event.category_iids.append(self._interned("event_categories", slice_.category))
        self._forms[track, slice_.name, slice_.category, type_] = form
        return form

    def _new_track(self, track: Track) -> int:
        group = _GROUP_UUIDS[track.group]
        uuid = (track.number + 1) * 64 + group
        self._descriptor(uuid, track.name, group, track.number)
        return uuid

    def _descriptor(self, uuid: int, name: str, parent: int | None, rank: int) -> Any:
        descriptor = self._packet(TracePacket(trusted_packet_sequence_id=_SEQUENCE)).track_descriptor
        descriptor.uuid = uuid
        descriptor.name = name
        descriptor.sibling_order_rank = rank
        if parent is not None:
            descriptor.parent_uuid = parent
        return descriptor

    def _interned(self, field: str, text: str) -> int:
        """Return the number of a name, which a packet before its first use explains."""
        known = self._names.get((field, text))
        if known is None:
            known = self._names[field, text] = len(self._names) + 1
            packet = TracePacket(trusted_packet_sequence_id=_SEQUENCE, sequence_flags=_NEEDED)
            getattr(packet.interned_data, field).add(iid=known, name=text)
            self._packet(packet)
        return known


def _form(type_: int, track_uuid: int) -> Any:
    """Make the packet of an event that has nothing but its sort and its track."""
    packet = TracePacket(trusted_packet_sequence_id=_SEQUENCE, sequence_flags=_NEEDED)
    packet.track_event.type = type_
    packet.track_event.track_uuid = track_uuid
    return packet
