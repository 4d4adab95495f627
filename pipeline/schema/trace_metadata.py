"""The metadata of a trace: where it came from, and of what each column consists."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.schema.trace import FORMAT_VERSION

METADATA_KEY = b"pipeline.trace"

Provenance = Literal["measured", "derived", "assumed", "synthetic", "absent"]


class Source(BaseModel):
    """Where a trace came from: a workload spec and seed, or a recorder and the kernel it recorded."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["synthetic", "recorded"]
    name: str = Field(description="workload or recording name")
    description: str = ""
    spec_sha256: str | None = None
    seed: int | None = None
    recorder: str | None = None
    kernel: str | None = None
    file: str | None = Field(None, description="name of the file that was imported, without its directory")
    file_sha256: str | None = None


class Transformation(BaseModel):
    """One step of `pipeline transform` that a trace went through."""

    model_config = ConfigDict(extra="forbid")

    source_sha256: str = Field(description="SHA-256 of the file that this step's command was given")
    step: str = Field(description="the step with all its parameters, as the command takes it")
    operations_before: int = Field(description="operations of the trace that the step was applied to")


class TraceMetadata(BaseModel):
    """What a trace says of itself, stored as JSON in the Parquet footer under `pipeline.trace`.

    Counts are numbers of distinct ids except `pages`, which is 1 + the largest page number. `columns`
    gives each column's provenance; a column marked absent holds null, or where null is not allowed, 0 and
    no meaning. `lost_events` is null where the recorder could not tell.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    source: Source
    operations: int
    tasks: int
    processes: int
    pages: int
    cpus: int | None = Field(None, description="CPUs of the recorded machine; null where unknown")
    columns: dict[str, Provenance]
    lost_events: int | None = None
    losses: dict[str, int] = Field(
        default_factory=dict,
        description="what the recording lacks, counted by name; empty: nothing is known to be missing",
    )
    clock: str = Field(description="clock of the recording and its resolution")
    notes: list[str] = Field(default_factory=list, description="what a reader of results must know")
    transformations: list[Transformation] = Field(
        default_factory=list, description="what was done to the trace since it was made, in order"
    )
