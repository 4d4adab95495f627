"""Damage to Parquet files that pyarrow does not survive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.io.parquet import read_metadata

# The first field of the metadata of a column's data, its type, and the beginning of the next.
INT64, UNKNOWN = b"\x15\x04\x19", b"\x15\x7e\x19"
ASK = "import sys, pyarrow.parquet as p; p.read_metadata(sys.argv[1]).row_group(0).column(0).statistics"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"page": [1, 2, 3]}), path)
    before, _, after = path.read_bytes().rpartition(INT64)
    path.write_bytes(before + UNKNOWN + after)
    return path


def test_data_of_another_type_than_their_column_are_refused_before_their_statistics_are_asked_for(
    damaged: Path,
) -> None:
    with pytest.raises(InputError, match="the data of column page have another type than the column"):
        read_metadata(damaged, "a trace")
    # As long as that ends the process.
    assert (
        subprocess.run([sys.executable, "-c", ASK, damaged], capture_output=True, check=False).returncode < 0
    )
