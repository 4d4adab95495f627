"""What a recording can lack, by name: what each loss is, and what it does to the trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.errors import InputError

# How a note that tells a loss begins.
LOSS = "lacking: "
# Untrue where whoever imports knows how many were lost.
LOST_UNKNOWN = "the recording does not say whether events were lost"

MEANINGS = {
    "lost_events": "events that the recorder says it lost",
    "gaps": "places where the recorder lost events without saying how many",
    "bad_lines": "lines that could not be read, left out",
    "events_unread": "events and system calls that may map pages of files and are not read (see the notes), "
    "left out",
    "cut_short": "the file breaks off in the middle",
    "clock_steps": "times before the task's previous event by more than 10 us, or hours after the rest, put "
    "right behind it",
    "entries_without_exit": "system calls whose return was not seen; what they copied is left out",
    "exits_without_entry": "returns of system calls whose entry was not seen; what they copied is left out",
    "cut_by_end": "system calls that the end of the recording cut off; what they copied is left out",
    "tasks_without_fork": "tasks whose beginning was not recorded: what they did before, and the descriptors "
    "that they were born with, are unknown",
    "execs_by_name": "changes of a task's name, taken for an exec: one that keeps the name is missed",
    "descriptors_before": "reads and writes by a descriptor whose position is unknown, because it was "
    "opened or moved before the recording or by calls that it lacks; taken to begin where the page looked up "
    "does, or at 0",
    "calls_without_pages": "reads and writes whose pages were not recorded (pipes, terminals, sockets, file "
    "systems without events), left out",
    "directory_reads": "reads of directories, whose pages were not recorded, left out",
    "switches_back": "times a task came back to a CPU unseen; taken to be off until its next event",
    "rows_moved": "operations that came too late to be put in their place, and begin a little later than "
    "recorded",
    "operations_dropped": "operations left out, see the notes",
}


def describe_losses(losses: Mapping[str, int]) -> list[str]:
    """Each loss with its count, for people."""
    return [f"{count:,} {MEANINGS.get(name, name)}" for name, count in losses.items() if count]


def note_losses(notes: Iterable[str], losses: Mapping[str, int]) -> list[str]:
    """Notes of a trace that has these losses: those that tell of losses are written anew, behind the rest."""
    others = [note for note in notes if not note.startswith(LOSS)]
    return others + [f"{LOSS}{said}" for said in describe_losses(losses)]


def refuse_losses(losses: Mapping[str, int], path: object) -> None:
    """Raise InputError if anything was lost, with the whole list."""
    found = describe_losses(losses)
    if found:
        raise InputError(
            f"{path}: wanted a recording without loss (--strict), found: {'; '.join(found)}; record again "
            "with a larger buffer and more events, or leave --strict out"
        )
