"""The kernel's tracing file system: where it is mounted, and which events it has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.capture.recorder import Obstacle

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


def find_tracefs() -> Path | None:
    """Return the directory of tracefs; None if it is not mounted or may not be read."""
    # os.path.exists is False where permission is missing; Path.exists raises.
    return next((path for path in TRACEFS if os.path.exists(path / "events")), None)  # noqa: PTH110


def no_tracefs() -> Obstacle:
    """Return why `find_tracefs` found nothing."""
    path = TRACEFS[0]
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        return Obstacle(
            f"no permission to read {path}", f"'sudo mount -o remount,mode=755 {path}', or record as root"
        )
    return Obstacle(f"{path} is not mounted", f"'sudo mount -t tracefs nodev {path}'")


def find_events(events: Iterable[str]) -> list[str]:
    """Return those of `events`, each given as system:name, that the kernel has; none without tracefs."""
    tracefs = find_tracefs()
    if tracefs is None:
        return []
    return [event for event in events if (tracefs / "events" / event.replace(":", "/", 1)).exists()]


def find_event_obstacles(events: Sequence[str], remedy: str) -> list[Obstacle]:
    """Return why `events` cannot be recorded; `remedy` is what gives a kernel those that it lacks."""
    if find_tracefs() is None:
        return [no_tracefs()]
    found = find_events(events)
    missing = [event for event in events if event not in found]
    return [Obstacle(f"the kernel has no event {', '.join(missing)}", remedy)] if missing else []
