"""Base model of all parts of a workload spec: strict values, no unknown keys, helpful messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import did_you_mean
from pipeline.schema.trace import MAX_TIME_NS

Nanoseconds = Annotated[int, Field(ge=0, lt=MAX_TIME_NS)]
PositiveNanoseconds = Annotated[int, Field(ge=1, lt=MAX_TIME_NS)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class SpecModel(BaseModel):
    """A table of a spec. An unknown key is an error; the message lists the nearest key and all known keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key", "{text}", {"text": unknown_key(str(key), list(cls.model_fields))}
                    )
        return data


def unknown_key(key: str, known: list[str]) -> str:
    """Return a message for an unknown key that lists the nearest key and all known keys."""
    return f"found unknown key '{key}'{did_you_mean(key, known)}; known: {', '.join(known)}"
