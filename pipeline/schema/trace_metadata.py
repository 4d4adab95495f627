"""The metadata of a trace: its origin and the provenance of each column."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

METADATA_KEY = b"pipeline.trace"

Provenance = Literal["measured", "derived", "assumed", "synthetic", "absent"]


class Source(BaseModel):
    """Origin of a trace: a workload specification and seed, or a recorder and the recorded kernel."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["synthetic", "recorded"] = Field(description="whether the rows were generated or recorded")
    name: str = Field(description="name of the workload or recording")
    description: str = Field(default="", description="description of the workload")
    spec_sha256: str | None = Field(default=None, description="SHA-256 of the workload specification")
    seed: int | None = Field(default=None, description="seed of the generated rows")
    recorder: str | None = Field(default=None, description="tool that made the recording")
    kernel: str | None = Field(default=None, description="recorded kernel")
    file: str | None = Field(default=None, description="name of the imported file, without its directory")
    file_sha256: str | None = Field(default=None, description="SHA-256 of the imported file")


class Transformation(BaseModel):
    """One step of `pipeline transform` that was applied to a trace."""

    model_config = ConfigDict(extra="forbid")

    source_sha256: str = Field(description="SHA-256 of the input file of this step's command")
    step: str = Field(description="the step with all its parameters, in the syntax of the command")
    operations_before: int = Field(description="number of operations before the step")


class TraceMetadata(BaseModel):
    """Metadata of a trace, stored as JSON in the Parquet footer under `pipeline.trace`.

    Counts are numbers of distinct ids, except that `pages` is 1 + the largest page number. `columns` gives
    the provenance of each column. A column marked absent contains null, or a meaningless 0 if null is not
    allowed. Optional columns that the trace lacks are not listed. `lost_events` is null if the recorder did
    not report a number.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: int = Field(
        default=1, description="version of the trace format: 2 with any optional column, otherwise 1"
    )
    source: Source = Field(description="origin of the trace")
    operations: int = Field(description="number of rows")
    tasks: int = Field(description="number of distinct tasks")
    processes: int = Field(description="number of distinct processes")
    pages: int = Field(description="1 + the largest page number, that of the last page of each mapping")
    cpus: int | None = Field(
        default=None, description="number of CPUs of the recorded machine; null if unknown"
    )
    columns: dict[str, Provenance] = Field(description="provenance of each column")
    lost_events: int | None = Field(
        None, description="number of events lost by the recorder; null if unknown"
    )
    losses: dict[str, int] = Field(
        default_factory=dict,
        description="losses of the recording, counted by name; empty if none is known",
    )
    clock: str = Field(description="clock of the recording, and its resolution")
    notes: list[str] = Field(
        default_factory=list, description="limits that readers of results must take into account"
    )
    transformations: list[Transformation] = Field(
        default_factory=list, description="steps applied to the trace, in order"
    )
