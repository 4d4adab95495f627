"""A finished run, found by its plan without loading what simulates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.runs.plan import Plan
from pipeline.runs.store import read_finished_manifest
from pipeline.schema.manifest import Manifest


@dataclass(frozen=True)
class RunResult:
    """A finished run: where it is, its manifest, and whether it was there already."""

    path: Path
    manifest: Manifest
    cached: bool


def run_directory(plan: Plan) -> Path:
    """Directory of a planned run, whether it is there or not."""
    return Path(plan.config.output) / plan.identity()


def find_finished(plan: Plan) -> RunResult | None:
    """Return the run if it is there already; None if it is not, or is to be made afresh."""
    path = run_directory(plan)
    known = None if plan.config.fresh else read_finished_manifest(path)
    return None if known is None else RunResult(path, known, cached=True)
