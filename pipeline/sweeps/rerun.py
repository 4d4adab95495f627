"""Repeating one run of a sweep."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import FindingError, InputError, UsageError
from pipeline.io.process import Process
from pipeline.sweeps.directory import open_sweep
from pipeline.sweeps.grid import read_grid
from pipeline.sweeps.job import Job
from pipeline.sweeps.journal import Journal, RunState, read_states
from pipeline.sweeps.maker import Made, Maker, Settings
from pipeline.sweeps.plan import Planner
from pipeline.sweeps.pool import Pool
from pipeline.sweeps.results import write_results
from pipeline.sweeps.status import find_key


def make_again(path: str | Path, start: str, *, compiled: bool = True) -> str:
    """Repeat a run, given by the beginning of its key; return a line with the result.

    A finished run is kept. The new run is temporary, and the fingerprints are compared. Raises UsageError for
    a run that is not in the sweep's grid, InputError if the run fails again, and FindingError if the
    fingerprints differ.
    """
    sweep = open_sweep(Path(path))
    grid = read_grid(sweep.grid)
    runs = {run.key: run for run in Planner(grid, most=1 << 62).runs}
    states = read_states(sweep)
    key = find_key(sweep, start, runs.keys() | states.keys())
    if key not in runs:
        raise UsageError(f"{path}: {key} is not in the most recent grid; repeat the sweep with its grid")
    state = states.get(key, RunState())
    if state.state == "done":
        known, process = state.facts["fingerprint"], Process.current()
        maker = Maker(Settings(sweep, compiled=compiled))
        with sweep.scratch_directory(process) as directory:
            found = maker.simulate(runs[key], directory).fingerprint
        maker.close()
        if found != known:
            raise FindingError(
                f"{key}: the new run has the fingerprint {found}, the original has {known}; the key does not "
                "cover everything that determines the run; please report this"
            )
        return f"{key}: same fingerprint as the original, {found}"
    journal = Journal(sweep, Process.current())
    journal.note(key, "again")
    journal.close()
    made: list[Made] = []
    with Pool(Settings(sweep, compiled=compiled), 1) as pool:
        if pool.make([Job(runs[key])], made.append):
            raise UsageError(f"{key}: another process is making this run; see 'pipeline sweep status {path}'")
    write_results(sweep)
    if made[0].state != "done":
        raise InputError(f"{key}: {made[0].line}")
    return str(sweep.runs / key)
