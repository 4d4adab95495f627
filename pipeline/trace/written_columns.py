"""Columns of a trace as a writer takes them, and as Arrow writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipeline.schema.names import KINDS
from pipeline.schema.trace import NAMED_VALUES, NULL_VALUES, OPTIONAL_NAMES

# The kinds of the first traces. A row group that needs no other has a dictionary of only these.
_FIRST_KINDS = KINDS[: KINDS.index("vmap")]
# Columns in which the file has null for a negative number.
_WITH_NULLS = ("cpu", "bytes", "mapping")
_DICTIONARIES = {name: pa.array(values) for name, values in NAMED_VALUES.items()}
_FIRST_KINDS_DICTIONARY = pa.array(_FIRST_KINDS)


def optional_columns(names: Iterable[str]) -> tuple[str, ...]:
    """Return the optional columns among `names`, in the order of the format."""
    return tuple(name for name in OPTIONAL_NAMES if name in names)


def check_lengths(rows: Mapping[str, np.ndarray | None], names: Sequence[str]) -> int:
    """Return the number of rows of a batch for a trace with the columns `names`.

    Raises ValueError for a missing or unexpected column, for null where it is not allowed, and for lengths
    that differ.
    """
    if undeclared := [name for name in OPTIONAL_NAMES if name not in names and rows.get(name) is not None]:
        raise ValueError(f"the provenance of these optional columns is missing: {', '.join(undeclared)}")
    lengths = {}
    for name in names:
        if name not in rows and name not in OPTIONAL_NAMES:
            raise ValueError(f"column '{name}' of the trace is missing")
        values = rows.get(name)
        if values is not None:
            lengths[name] = len(values)
        elif name not in NULL_VALUES:
            raise ValueError(f"column '{name}' of a trace cannot be null")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one batch differ in length: {lengths}")
    return lengths["time_ns"]


def record_batch(columns: Mapping[str, np.ndarray], schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch for Parquet."""
    arrays = []
    for name in schema.names:
        values = columns[name]
        if name in _DICTIONARIES:
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(values), _dictionary(name, values)))
        elif name in _WITH_NULLS:
            arrays.append(pa.array(values, mask=values < 0))
        else:
            arrays.append(pa.array(values))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _dictionary(name: str, codes: np.ndarray) -> pa.Array:
    if name == "kind" and codes.max() < len(_FIRST_KINDS):
        return _FIRST_KINDS_DICTIONARY
    return _DICTIONARIES[name]
