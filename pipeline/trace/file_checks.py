"""Checks of a trace file that need no rows: its columns and its metadata."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from pipeline.errors import InputError, nearest, one_line, printable
from pipeline.io.json_text import parse_json
from pipeline.schema.trace import BY_NAME, COLUMN_NAMES, FORMAT_VERSION, NAMED_VALUES, OPTIONAL_NAMES, Column
from pipeline.schema.trace_metadata import TraceMetadata


def check_columns(path: Path, schema: pa.Schema) -> None:
    """Raise InputError for a column that is missing, doubled or of the wrong type."""
    missing = [name for name in COLUMN_NAMES if name not in schema.names]
    if missing:
        others = [name for name in schema.names if name not in COLUMN_NAMES]
        near = {name: nearest(name, others) for name in missing}
        guesses = [f"'{printable(found[0])}' resembles '{name}'" for name, found in near.items() if found]
        raise InputError(
            f"{path}: expected a trace with columns {', '.join(COLUMN_NAMES)}; missing: {', '.join(missing)}"
            + (f" ({'; '.join(guesses)})" if guesses else "")
            + "; if it is a recording, 'pipeline import' converts it to a trace"
        )
    if doubled := [name for name in BY_NAME if schema.names.count(name) > 1]:
        raise InputError(
            f"{path}: expected each column of a trace once, found {', '.join(doubled)} several times; it is "
            "damaged, or not a trace"
        )
    wrong = [
        f"{column.name} is {schema.field(column.name).type}, expected {column.type}"
        for column in BY_NAME.values()
        if column.name in schema.names and not _type_fits(column, schema.field(column.name).type)
    ]
    if wrong:
        raise InputError(
            f"{path}: columns of the wrong type: {'; '.join(wrong)}; cast them, or convert the file with "
            "'pipeline import'"
        )


def _type_fits(column: Column, found: pa.DataType) -> bool:
    if column.name not in NAMED_VALUES:
        return found == column.type
    values = found.value_type if pa.types.is_dictionary(found) else found
    return pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)


def parse_metadata(path: Path, text: bytes) -> TraceMetadata:
    """Return the metadata from its JSON. Raises InputError for an invalid one or a newer version."""
    try:
        fields = parse_json(text)
        version = int(fields["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: the trace's metadata cannot be read ({one_line(error)}); generate or import it again"
        ) from error
    if version > FORMAT_VERSION:
        raise InputError(
            f"{path}: expected trace format version {FORMAT_VERSION} or older, found {version}; "
            "update pipeline to read it"
        )
    try:
        return TraceMetadata.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: the trace's metadata is invalid at '{where}' ({first['msg']}); generate or import it "
            "again"
        ) from error


def check_optional_columns(path: Path, schema: pa.Schema, metadata: TraceMetadata) -> None:
    """Raise InputError if the metadata names other optional columns than the file has."""
    found, named = (
        ", ".join(name for name in OPTIONAL_NAMES if name in names) or "none"
        for names in (schema.names, metadata.columns)
    )
    if found != named:
        raise InputError(
            f"{path}: expected the optional columns that the trace's metadata names ({named}), found "
            f"{found}; generate or import it again"
        )
