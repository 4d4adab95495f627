"""The footer of a Parquet file: what it says of a column, damaged as it may be."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.io.parquet import DAMAGE
from pipeline.io.parquet_footer import column_maximum, read_footer

ASK = "import sys, pyarrow.parquet as p; p.read_metadata(sys.argv[1]).row_group(0).column(0).statistics"


def write(path: Path, **how: object) -> Path:
    draw = np.random.default_rng(1)
    columns = {
        "page": draw.integers(-(1 << 60), 1 << 60, 1000),
        "task": draw.integers(0, 1 << 17, 1000).astype(np.int32),
        "none": pa.array([None] * 1000, pa.int64()),
    }
    pq.write_table(pa.table(columns), path, **how)
    return path


@pytest.mark.parametrize("row_group_size", [1000, 7])
def test_the_largest_value_is_that_of_the_column(tmp_path: Path, row_group_size: int) -> None:
    path = write(tmp_path / "t.parquet", row_group_size=row_group_size)
    footer, table = read_footer(path), pq.read_table(path)
    for index, name in enumerate(("page", "task")):
        assert column_maximum(footer, index) == table[name].to_numpy().max()
    assert column_maximum(footer, 2) is None


def test_without_statistics_the_footer_does_not_tell_and_without_rows_it_is_minus_one(tmp_path: Path) -> None:
    assert column_maximum(read_footer(write(tmp_path / "t.parquet", write_statistics=False)), 0) is None
    pq.write_table(pa.table({"page": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    assert column_maximum(read_footer(tmp_path / "empty.parquet"), 0) in {-1, None}


@pytest.mark.parametrize(
    ("sound", "damaged", "largest"),
    [
        # The type of the column's data; the length of the histogram of its definition levels.
        (b"\x15\x04\x195\x00", b"\x15\x7e\x195\x00", None),
        (b"\x19&\x00\x06", b"\x19\x16\x80\x00", 3),
    ],
)
def test_what_ends_pyarrow_is_read_or_refused(
    tmp_path: Path, sound: bytes, damaged: bytes, largest: int | None
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"page": [1, 2, 3]}), path)
    assert path.read_bytes().count(sound) == 1
    path.write_bytes(path.read_bytes().replace(sound, damaged))
    # As long as this holds, pyarrow cannot be asked.
    assert subprocess.run([sys.executable, "-c", ASK, path], capture_output=True, check=False).returncode < 0
    if largest is None:
        with pytest.raises(ValueError, match="the largest value of column 0 has 8 bytes"):
            column_maximum(read_footer(path), 0)
    else:
        assert column_maximum(read_footer(path), 0) == largest


def test_a_damaged_footer_is_read_or_raises_what_damage_raises(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet")
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little") + 8
    draw = random.Random(1)
    refused = 0
    for _ in range(3_000):
        damaged = bytearray(content)
        for _ in range(draw.choice((1, 3, 30))):
            damaged[-draw.randrange(5, size)] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            for index in range(3):
                column_maximum(read_footer(path), index)
        except DAMAGE:
            refused += 1
    assert 500 < refused < 3_000
