"""The kernel's tracing file system: where it is mounted, and which events it has."""

from __future__ import annotations

import os
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


def has_event(tracefs: Path, event: str) -> bool:
    """Return whether the kernel has an event, given as system:name."""
    return (tracefs / "events" / event.replace(":", "/", 1)).exists()
