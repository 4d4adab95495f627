"""Finding a finished run by its plan, without loading the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.runs.plan import Plan
from pipeline.runs.store import read_finished_manifest
from pipeline.schema.manifest import Manifest


@dataclass(frozen=True)
class RunResult:
    """A finished run: its directory, its manifest, and whether it existed before."""

    path: Path
    manifest: Manifest
    cached: bool


def run_directory(plan: Plan) -> Path:
    """Return the directory of a planned run, which may not exist."""
    return Path(plan.config.output) / plan.identity()


def find_finished(plan: Plan) -> RunResult | None:
    """Return the existing run; None if there is none, or if the plan requires a fresh run."""
    path = run_directory(plan)
    known = None if plan.config.fresh else read_finished_manifest(path)
    return None if known is None else RunResult(path, known, cached=True)
