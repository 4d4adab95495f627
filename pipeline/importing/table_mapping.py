"""What the columns of a foreign table are: the file that `pipeline import --mapping` reads."""

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
            raise ValueError("wanted either `column` or `constant`")
        return self


class Kind(_Column):
    """A column whose values are translated into kinds of operation, or one kind for all rows.

    A value that `values` lacks is `default`, or refused if there is none.
    """

    column: str | None = None
    values: dict[str, Literal[KINDS]] = Field(default_factory=dict)  # type: ignore[valid-type]
    default: Literal[KINDS] | None = None  # type: ignore[valid-type]


class Columns(_Strict):
    """Which column is what. `page` names the columns that together say which page it is.

    How long a page was mapped is `end` or `held` (divided by rule into CPU time and time off CPU), or `hold`
    and `block` (not divided), or none of them (drawn from the shipped distribution).
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
            raise ValueError(f"wanted one of end, held and hold, found {' and '.join(given)}")
        if self.block and not self.hold:
            raise ValueError("wanted `hold` beside `block`")
        if (self.think is None) != (self.wait is None):
            raise ValueError("wanted both think and wait, or neither")
        return self


class TableMapping(_Strict):
    """The whole file."""

    columns: Columns
    recorder: str = "unknown"
    clock: str = "unknown"
    delimiter: str = Field(",", min_length=1, max_length=1, description="of a CSV file")


def read_mapping(path: Path) -> TableMapping:
    """Read the mapping at `path`. Raises InputError that names the file, the key and what was found."""
    table = read_toml(path, "a mapping of columns (TOML)")
    try:
        return TableMapping.model_validate(table)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in detail["loc"])
        allowed = ", ".join(Columns.model_fields)
        hint = f"; columns are {allowed}" if detail["type"] == "extra_forbidden" else ""
        raise InputError(
            f"{path}: {key}: {detail['msg']}, found {detail['input']!r}{hint}; "
            "docs/importing.md shows a mapping"
        ) from error
