"""Claims on runs: files that only one process can create, and that identify this process.

The claim of a process that has ended is taken over, which costs the run an attempt. Processes on the same
host can detect the end. On other hosts, only workers of the same *sweeper* take over claims, as the sweeper
is notified when a worker is lost. Claims in a copy of the directory are void.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.io.files import output_error
from pipeline.io.json_text import parse_json
from pipeline.io.process import Process
from pipeline.sweeps.directory import SweepDirectory

_LOCK = ".lock"
TRACE = "trace-"
"""Prefix of claims on traces that are being generated; other claims are keys of runs."""


@dataclass(frozen=True)
class Claim:
    """A run in progress: the process, the start (s since 1970), the number of the attempt and the sweeper."""

    key: str
    process: Process
    since_s: float
    attempt: int
    sweeper: str
    directory: int
    """Inode of the sweep's directory; it differs in a copy."""

    def is_void(self, sweep: SweepDirectory) -> bool:
        """Return whether the claim is void: its process has ended, or it belongs to another directory."""
        return self.directory != sweep.path.stat().st_ino or self.process.is_known_dead()


def take(sweep: SweepDirectory, key: str, process: Process, sweeper: str, attempt: int = 1) -> Claim | None:
    """Claim a run; return None if another process has a claim.

    A claim that is taken over has the next number of attempt. Raises OutputError.
    """
    claim = Claim(key, process, time.time(), attempt, sweeper, sweep.path.stat().st_ino)
    try:
        if _create(sweep, claim):
            return claim
        with _alone(sweep):
            former = find(sweep, key)
            if former is not None and not (former.is_void(sweep) or _is_ours(former, claim)):
                return None
            if former is not None:
                claim = Claim(**vars(claim) | {"attempt": max(attempt, former.attempt + 1)})
                release(sweep, key)
            return claim if _create(sweep, claim) else None
    except OSError as error:
        raise output_error(sweep.claims / key, error) from error


def _is_ours(former: Claim, claim: Claim) -> bool:
    """Return whether a claim has the same sweeper, which gives a run to one worker at a time."""
    return bool(claim.sweeper) and former.sweeper == claim.sweeper and former.process != claim.process


def _create(sweep: SweepDirectory, claim: Claim) -> bool:
    """Create the file of a claim atomically; return False if it exists."""
    # The temporary file is where leftovers of ended processes are removed.
    draft = sweep.scratch(claim.process) / f"claim-{claim.key}"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(json.dumps(asdict(claim)), encoding="utf-8")
    try:
        os.link(draft, sweep.claims / claim.key)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


@contextmanager
def _alone(sweep: SweepDirectory) -> Iterator[None]:
    """Lock the claims against being taken over."""
    with (sweep.claims / _LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find(sweep: SweepDirectory, key: str) -> Claim | None:
    """Return the claim of a run, or None."""
    return _read(sweep.claims / key)


def find_all(sweep: SweepDirectory) -> list[Claim]:
    """Return all claims, the oldest first."""
    found = [_read(path) for path in sweep.claims.glob("[!.]*")]
    return sorted((claim for claim in found if claim is not None), key=lambda claim: claim.since_s)


def release(sweep: SweepDirectory, key: str) -> None:
    """Release a claim."""
    (sweep.claims / key).unlink(missing_ok=True)


def release_all(sweep: SweepDirectory, process: Process) -> list[Claim]:
    """Release and return the claims of a process that has ended."""
    claims = [claim for claim in find_all(sweep) if claim.process == process]
    for claim in claims:
        release(sweep, claim.key)
    return claims


def _read(path: Path) -> Claim | None:
    try:
        found = parse_json(path.read_bytes())
        return Claim(**found | {"process": Process(**found["process"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
