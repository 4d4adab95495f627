"""The column mapping of a foreign table: the file that `pipeline import --mapping` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError
from pipeline.io.toml import read_toml
from pipeline.schema.names import KINDS

UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Column(_Strict):
    @model_validator(mode="before")
    @classmethod
    def _named_alone(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value


class Time(_Column):
    """A column of times or durations, and its unit."""

    column: str
    unit: Literal["ns", "us", "ms", "s"] = "ns"


class Number(_Column):
    """A column of whole numbers, or one number for all rows."""

    column: str | None = None
    constant: int | None = None

    @model_validator(mode="after")
    def _one(self) -> Number:
        if (self.column is None) == (self.constant is None):
            raise ValueError("exactly one of `column` and `constant` is required")
        return self


class Kind(_Column):
    """A column with values that translate into kinds of operation, or one kind for all rows.

    A value that is not in `values` becomes `default`; without a default it is an error.
    """

    column: str | None = None
    values: dict[str, Literal[KINDS]] = Field(default_factory=dict)  # type: ignore[valid-type]
    default: Literal[KINDS] | None = None  # type: ignore[valid-type]


class Columns(_Strict):
    """The columns of the table. The columns in `page` together identify a page.

    The time for which a page was mapped is one of: `end` or `held`, which a rule divides into CPU time and
    time off CPU; `hold` and `block`, which are not divided; or none, and it is drawn from the shipped
    distribution.
    """

    time: Time
    task: Number
    page: list[str]
    process: Number | None = None
    cpu: Number | None = None
    kind: Kind = Kind(default="other")
    bytes: Number | None = None
    end: Time | None = None
    held: Time | None = None
    hold: Time | None = None
    block: Time | None = None
    think: Time | None = None
    wait: Time | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_page_column(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("page"), str):
            return value | {"page": [value["page"]]}
        return value

    @model_validator(mode="after")
    def _durations(self) -> Columns:
        given = [name for name in ("end", "held", "hold") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"at most one of end, held and hold is allowed, found {' and '.join(given)}")
        if self.block and not self.hold:
            raise ValueError("`block` requires `hold`")
        if (self.think is None) != (self.wait is None):
            raise ValueError("think and wait must be given together")
        return self


class TableMapping(_Strict):
    """The contents of a mapping file."""

    columns: Columns
    recorder: str = "unknown"
    clock: str = "unknown"
    delimiter: str = Field(",", min_length=1, max_length=1, description="of a CSV file")


def read_mapping(path: Path) -> TableMapping:
    """Read the mapping at `path`. Raises InputError, which names the file, the key and the value found."""
    table = read_toml(path, "a column mapping (TOML)")
    try:
        return TableMapping.model_validate(table)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in detail["loc"])
        allowed = ", ".join(Columns.model_fields)
        said = f"{detail['msg'].removeprefix('Value error, ')}, found {detail['input']!r}"
        if detail["type"] == "missing":
            said = "this key is required"
        elif detail["type"] == "extra_forbidden":
            said = f"unknown key; columns are {allowed}"
        raise InputError(f"{path}: {key}: {said}; see the example in docs/importing.md") from error
