"""What a worker is asked for, here or elsewhere, and how it answers."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import OutputError, PipelineError
from pipeline.sweeps.maker import Made, Maker
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.trace_source import TraceSource


@dataclass
class Job:
    """A run to be made, at this attempt if it is the first; or a trace to be generated ahead of its runs."""

    run: PlannedRun | None = None
    trace: TraceSource | None = None
    attempt: int = 1

    @property
    def name(self) -> str:
        """Key of the run, or name of the trace."""
        return self.run.key if self.run else self.trace.name if self.trace else ""


def answer(maker: Maker, job: Job) -> Made | PipelineError | None:
    """Do a job; returns what came of a run, or an error for which the whole sweep has to stop."""
    try:
        if job.run is not None:
            return maker.make(job.run, job.attempt)
        if job.trace is not None:
            maker.make_trace(job.trace)
    except OutputError as error:
        return error
    except PipelineError:
        # The runs that want the trace will say so, each.
        return None
    return None
