"""Jobs of workers and their results."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import OutputError, PipelineError
from pipeline.sweeps.maker import Made, Maker
from pipeline.sweeps.plan import PlannedRun
from pipeline.sweeps.trace_source import TraceSource


@dataclass
class Job:
    """A run to make, starting with this attempt, or a trace to generate before its runs."""

    run: PlannedRun | None = None
    trace: TraceSource | None = None
    attempt: int = 1

    @property
    def name(self) -> str:
        """Key of the run, or name of the trace."""
        return self.run.key if self.run else self.trace.name if self.trace else ""


def answer(maker: Maker, job: Job) -> Made | PipelineError | None:
    """Do a job; return the result of a run, or an error that must stop the whole sweep."""
    try:
        if job.run is not None:
            return maker.make(job.run, job.attempt)
        if job.trace is not None:
            maker.make_trace(job.trace)
    except OutputError as error:
        return error
    except PipelineError:
        # Each run of the trace reports the error.
        return None
    return None
