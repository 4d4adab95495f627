"""The losses of a recording by name, with their meaning and their effect on the trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.errors import InputError

# Prefix of a note about a loss.
LOSS = "lacking: "
# Omitted if the user gives the number of lost events.
LOST_UNKNOWN = "the recording does not contain the number of lost events"

MEANINGS = {
    "lost_events": "events that the recorder reports as lost",
    "gaps": "places where the recorder lost an unknown number of events",
    "bad_lines": "lines that could not be read and were skipped",
    "events_unread": "skipped events and system calls that may map pages of files (see the notes)",
    "cut_short": "the file is truncated",
    "clock_steps": "times more than 10 us before the task's previous event, or hours after all others; "
    "replaced by a time just after the previous event",
    "entries_without_exit": "system calls without a recorded return; their copies are omitted",
    "exits_without_entry": "returns of system calls without a recorded entry; their copies are omitted",
    "cut_by_end": "system calls cut off by the end of the recording; their copies are omitted",
    "tasks_without_fork": "tasks without a recorded start: their earlier activity and inherited descriptors "
    "are unknown",
    "execs_by_name": "changes of a task's name, assumed to be an exec; an exec that keeps the name is missed",
    "descriptors_before": "reads and writes through a descriptor with an unknown position, because it was "
    "opened or moved before the recording or by calls that were not recorded; assumed to start at the page "
    "that was looked up, or at 0",
    "calls_without_pages": "omitted reads and writes without recorded pages (pipes, terminals, sockets, file "
    "systems without events)",
    "directory_reads": "omitted reads of directories, whose pages were not recorded",
    "switches_back": "unrecorded returns of a task to a CPU; assumed to be off CPU until its next event",
    "rows_moved": "operations that arrived too late to be sorted, and begin slightly later than recorded",
    "frees_alone": "frees of areas that were allocated before the recording; they are omitted",
    "frees_missing": "areas allocated again at the address of an area whose free is not recorded; the first "
    "stays mapped",
    "operations_dropped": "operations that were dropped, see the notes",
}


def describe_losses(losses: Mapping[str, int]) -> list[str]:
    """Return a line of text for each loss, with its count."""
    return [f"{count:,} {MEANINGS.get(name, name)}" for name, count in losses.items() if count]


def note_losses(notes: Iterable[str], losses: Mapping[str, int]) -> list[str]:
    """Return the notes of a trace with these losses: new notes about losses follow the others."""
    others = [note for note in notes if not note.startswith(LOSS)]
    return others + [f"{LOSS}{said}" for said in describe_losses(losses)]


def refuse_losses(losses: Mapping[str, int], path: object) -> None:
    """Raise InputError with the complete list if anything was lost."""
    found = describe_losses(losses)
    if found:
        raise InputError(
            f"{path}: expected a recording without losses (--strict), found: {'; '.join(found)}; record "
            "again with a larger buffer and more events, or omit --strict"
        )
