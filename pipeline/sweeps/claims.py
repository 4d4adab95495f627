"""Who makes which run: a claim is a file that only one process can create, and that says who it is.

The claim of a process that is gone is taken over, which costs the run an attempt: by anybody on the same
host, who can see that it is gone; from elsewhere only by those who act for the same *sweeper*, who is told
when a worker is lost. A claim in a copy of the directory is nobody's.
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
"""How claims of traces begin that are being generated; others are keys of runs."""


@dataclass(frozen=True)
class Claim:
    """A run under way: who makes it, since when (s since 1970), at which attempt, and for whom."""

    key: str
    process: Process
    since_s: float
    attempt: int
    sweeper: str
    directory: int
    """Inode of the sweep's directory, which a copy does not have."""

    def is_void(self, sweep: SweepDirectory) -> bool:
        """Whether nobody makes the run: its process is gone, or makes it in another directory."""
        return self.directory != sweep.path.stat().st_ino or self.process.is_known_dead()


def take(sweep: SweepDirectory, key: str, process: Process, sweeper: str, attempt: int = 1) -> Claim | None:
    """Claim a run, or return None if another process has.

    A claim that was taken over has a higher attempt than its forerunner. Raises OutputError.
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
    """Whether a claim was made for the same sweeper, who gives a run to one worker after another."""
    return bool(claim.sweeper) and former.sweeper == claim.sweeper and former.process != claim.process


def _create(sweep: SweepDirectory, claim: Claim) -> bool:
    """Make a claim's file, whole; False if there is one."""
    # It lies where it is removed together with whatever else a process that is ended leaves.
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
    """Keep others from taking over claims."""
    with (sweep.claims / _LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find(sweep: SweepDirectory, key: str) -> Claim | None:
    """The claim of a run, if there is one."""
    return _read(sweep.claims / key)


def find_all(sweep: SweepDirectory) -> list[Claim]:
    """All claims, the oldest first."""
    found = [_read(path) for path in sweep.claims.glob("[!.]*")]
    return sorted((claim for claim in found if claim is not None), key=lambda claim: claim.since_s)


def release(sweep: SweepDirectory, key: str) -> None:
    """Give a claim back."""
    (sweep.claims / key).unlink(missing_ok=True)


def release_all(sweep: SweepDirectory, process: Process) -> list[Claim]:
    """Give back what a process that is gone had claimed; returns it."""
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
