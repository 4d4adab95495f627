from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.schema.trace import ARROW_SCHEMA
from pipeline.schema.trace_metadata import METADATA_KEY, TraceMetadata
from pipeline.trace.doctor import doctor
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import read_workload, shipped_workloads
from tests.workload.specs import SPEC, outermost


def _trace(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path).with_columns(pl.col("kind").cast(pl.String)).with_row_index("row")


@pytest.mark.parametrize("name", sorted(shipped_workloads()))
def test_every_shipped_workload_makes_a_consistent_trace(name: str, tmp_path: Path) -> None:
    result = generate(name, tmp_path / "trace.parquet", operations=20_000)
    table = _trace(result.path)
    assert len(table) == result.rows == 20_000
    assert table["time_ns"].is_sorted()
    assert (table["time_ns"][0], table["time_ns"][-1]) == (0, result.span_ns)
    assert sorted(table["task"].unique()) == list(range(result.tasks))
    assert sorted(table["process"].unique()) == list(range(result.processes))
    length = table["pages"] if "pages" in table.columns else 1
    assert (table["page"] + length).max() == result.pages
    top = outermost(table)
    assert (top["previous_end_ns"] + top["think_ns"] + top["wait_ns"] == top["time_ns"]).all()
    workload = read_workload(name).workload
    shares = dict(top["kind"].value_counts(normalize=True).iter_rows())
    assert shares.keys() == {kind for kind, spec in workload.kinds.items() if spec.share > 0.0}
    # Operations of one run are of one kind: only runs are drawn, of geometric length.
    runs = len(top) / (2 * workload.kind_runs.mean_operations - 1 if workload.kind_runs else 1)
    for kind, share in shares.items():
        expected = workload.kinds[kind].share
        by_chance = (expected * (1 - expected) / runs) ** 0.5
        assert share == pytest.approx(expected, abs=max(0.02, 3 * by_chance))


def test_a_trace_says_what_it_was_made_from(tmp_path: Path) -> None:
    result = generate("read_one_byte", tmp_path / "trace.parquet", operations=100, seed=9)
    footer = pq.read_metadata(result.path)
    metadata = TraceMetadata.model_validate_json(footer.metadata[METADATA_KEY])
    assert footer.schema.to_arrow_schema().remove_metadata().equals(ARROW_SCHEMA)
    assert metadata.source.type == "synthetic"
    assert metadata.source.name == "read_one_byte"
    assert (metadata.source.spec_sha256, metadata.source.seed) == (result.spec_sha256, 9)
    assert (metadata.operations, metadata.tasks, metadata.pages) == (100, result.tasks, 1)
    assert metadata.columns["cpu"] == "absent"
    assert metadata.columns["page"] == "synthetic"


def test_the_same_spec_and_seed_give_the_same_file_and_fewer_operations_a_prefix(tmp_path: Path) -> None:
    first = generate("kernel_build", tmp_path / "first.parquet", operations=3_000)
    again = generate("kernel_build", tmp_path / "again.parquet", operations=3_000)
    other = generate("kernel_build", tmp_path / "other.parquet", operations=3_000, seed=1)
    fewer = generate("kernel_build", tmp_path / "fewer.parquet", operations=999)
    assert first.path.read_bytes() == again.path.read_bytes()
    assert not _trace(first.path).equals(_trace(other.path))
    assert _trace(fewer.path).equals(_trace(first.path).head(999))


def test_a_spec_is_given_by_path_and_its_own_numbers_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SPEC.replace("operations = 1_000", "operations = 123\nseed = 4"), encoding="utf-8")
    result = generate(path, tmp_path / "trace.parquet")
    assert (result.name, result.rows, result.seed) == ("mine", 123, 4)
    unknown = _trace(result.path).filter(pl.col("bytes").is_null())["kind"]
    assert set(unknown) == {"page_fault"}


def test_mappings_of_several_pages_stay_inside_their_page_set(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    lengths = "pages = { values = [1, 2, 50], weights = [5, 4, 1] }\n[kinds.copy_to_user]"
    path.write_text(SPEC.replace("[kinds.copy_to_user]", lengths), encoding="utf-8")
    result = generate(path, tmp_path / "trace.parquet", operations=20_000)
    assert doctor(result.path).problems == []
    table = _trace(result.path)
    faults = table.filter(pl.col("kind") == "page_fault")
    shares = dict(faults["pages"].value_counts(normalize=True).iter_rows())
    assert shares.keys() == {1, 2, 50}
    assert [shares[1], shares[2]] == pytest.approx([0.5, 0.4], abs=0.03)
    assert set(table.filter(pl.col("kind") == "copy_to_user")["pages"]) == {1}
    # The set `tables` follows the 100 pages of `cache`: for each process 10 pages, and 49 after the last.
    owned = faults.with_columns(at=(pl.col("page") - 100) // 59, last=pl.col("page") + pl.col("pages") - 1)
    assert owned.group_by("process").agg(pl.col("at").n_unique())["at"].to_list() == [1] * 4
    assert ((owned["last"] - 100) // 59 == owned["at"]).all()
    assert result.pages <= 100 + 59 * 4
    # Everything else is as without lengths.
    path.write_text(SPEC, encoding="utf-8")
    plain = _trace(generate(path, tmp_path / "plain.parquet", operations=20_000).path)
    assert table.drop("pages", "page").equals(plain.drop("page"))


def test_a_number_of_operations_below_1_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="operations: expected a whole number from 1"):
        generate("laptop", tmp_path / "trace.parquet", operations=0)
    with pytest.raises(UsageError, match="seed: expected a whole number from 0"):
        generate("laptop", tmp_path / "trace.parquet", seed=-1)
    assert list(tmp_path.iterdir()) == []


def test_the_spec_itself_is_not_overwritten_by_its_trace(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SPEC, encoding="utf-8")
    with pytest.raises(UsageError, match="this file is the workload spec"):
        generate(path, path)
    assert path.read_text(encoding="utf-8") == SPEC
