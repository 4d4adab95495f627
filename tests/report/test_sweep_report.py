"""The report of a sweep: points, intervals and shares of results made by hand, and the page of them."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.report.report import report
from pipeline.report.sweep.document import compose_sweep
from pipeline.sweeps.directory import SWEEP_FILE, SweepDirectory
from pipeline.sweeps.results import MADE_OF, RESULTS, describe_sources
from tests.report.browser import assert_all_drawn, chromium, needs_chromium

SCHEMA = pa.schema([*(pa.field(c.name, c.type) for c in RESULTS), pa.field("slots", pa.int64())])


def result(allocator, wall_ns, replication=0, **changes):
    """A run of 1,000 operations that is done."""
    slots = changes.get("slots")
    return {
        "allocator": allocator, "label": allocator + (f" (slots={slots})" if slots else ""),
        "trace": "made", "trace_operations": 1_000, "machine": "numaq16", "cpus": 4, "lowmem": "none",
        "loop": "closed", "jitter_percent": 0.0, "replication": replication, "state": "done", "findings": 0,
        "fingerprint": f"{allocator} {wall_ns} {changes}", "operations": 1_000, "wall_ns": wall_ns,
        "map_ns": 1_000_000, "cpu_spin_ns": 0, "flushes": 0, "sleeps": 0,
    } | changes  # fmt: skip


def sweep(directory, rows):
    """The directory of a sweep with these results."""
    directory.mkdir(exist_ok=True)
    (directory / SWEEP_FILE).write_text(json.dumps({"format_version": 1}))
    made_of = {MADE_OF: describe_sources(SweepDirectory(directory))}
    table = pa.Table.from_pylist(list(rows), SCHEMA).replace_schema_metadata(made_of)
    pq.write_table(table, directory / "results.parquet")
    return directory


def grid(*replications):
    """A pool of two sizes and a design without one, on 4 and 16 CPUs; the pool takes twice as long."""
    for k in replications:
        for cpus in (4, 16):
            wall_ns = (1_000_000 + 70_000 * k) * 16 // cpus
            yield result("percpu_pinned", wall_ns, k, cpus=cpus)
            for slots in (64, 512):
                yield result("global_pool", 2 * wall_ns, k, cpus=cpus, slots=slots)


def block(document, name):
    return next(block for block in document.blocks if block.item.name == name)


def test_a_point_is_the_mean_of_different_runs_with_students_interval(tmp_path):
    walls_ns = (1_000_000, 2_000_000, 1_000_000)
    rows = [result("a", wall, k) for k, wall in enumerate(walls_ns)]
    (row,) = block(compose_sweep(sweep(tmp_path, rows)), "operations-per-second-over-setting").frame.rows(
        named=True
    )
    # Two of the three did the same: 1e6 and 5e5 a second, whose mean has an error of 2.5e5; t is 12.706.
    assert (row["run"], row["operations_per_second"], row["runs"]) == ("a", 750_000, 2)
    assert row["high"] - row["operations_per_second"] == pytest.approx(12.706 * 250_000, rel=1e-4)


def test_a_single_run_has_no_interval_and_the_page_says_so(tmp_path):
    document = compose_sweep(sweep(tmp_path, grid(0)))
    frame = block(document, "operations-per-second-over-cpus").frame
    assert frame["low"].null_count() == len(frame)
    assert ("Replications", "1: not replicated") in document.facts
    assert "not replicated" in document.text
    spec = block(document, "operations-per-second-over-cpus").charts[0].spec
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["line"]


def test_a_design_without_a_factor_stands_at_each_of_its_values(tmp_path):
    document = compose_sweep(sweep(tmp_path, grid(0, 1)))
    frame = block(document, "operations-per-second-over-slots").frame
    level = [row for row in frame.rows(named=True) if row["run"] == "percpu_pinned"]
    assert {row["slots"] for row in level} == {64, 512}
    assert len({(row["setting"], row["operations_per_second"]) for row in level}) == 2
    assert [chart.title for chart in block(document, "operations-per-second-over-slots").charts] == [
        "4 CPUs", "16 CPUs",
    ]  # fmt: skip


def test_shares_are_of_runs_with_the_same_seeds(tmp_path):
    document = compose_sweep(sweep(tmp_path, grid(0, 1, 2)))
    shown = block(document, "share-percent-over-slots")
    assert shown.item.title == "Throughput as a share of percpu_pinned's"
    assert "Compared in pairs, the differences have less than 0.1 % of the variance" in shown.item.text
    pool = [row for row in shown.frame.rows(named=True) if row["run"] == "global_pool"]
    for row in pool:
        # From seed to seed the runs differ by 7 %, and by the same for both.
        assert row["share_percent"] == pytest.approx(50)
        assert row["high"] - row["low"] == pytest.approx(0, abs=1e-9)
    throughput = block(document, "operations-per-second-over-slots").frame.row(0, named=True)
    assert throughput["high"] / throughput["low"] > 1.2


def test_the_answer_says_which_design_is_best_at_how_many_settings(tmp_path):
    document = compose_sweep(sweep(tmp_path, grid(0, 1, 2)))
    assert document.title.endswith(": which design, over CPUs and slots?")
    # The pool takes twice as long at each of two sizes on 4 and on 16 CPUs; both map in 1 us.
    assert document.answer == (
        "Fastest: percpu_pinned at 4 of 4 settings. Quickest to map or tied: percpu_pinned and global_pool "
        "at 4 of 4 settings. Designs are tied if they differ by less than 1 % or only by chance."
    )


def test_the_picture_has_a_dot_for_each_design_and_setting_relative_to_the_best(tmp_path):
    document = compose_sweep(sweep(tmp_path, grid(0, 1, 2)))
    shown = document.blocks[0]
    throughput = shown.frame.filter(measure="operations_per_second")
    relative = {name: part["relative"].to_list() for (name,), part in throughput.group_by("run")}
    assert relative == {"percpu_pinned": [1.0] * 4, "global_pool": pytest.approx([0.5] * 4)}
    # The pool has an interval; a best design is compared with nothing.
    assert throughput["high"].null_count() < len(throughput)
    assert [chart.alt_text for chart in shown.charts] == [
        "Throughput relative to the fastest: more is better. percpu_pinned: 1; global_pool: 0.5.",
        "Request to mapped relative to the shortest: less is better. global_pool: 1; percpu_pinned: 1.",
    ]


def test_two_factors_make_heat_maps_one_for_each_design(tmp_path):
    document = compose_sweep(sweep(tmp_path, grid(0)))
    shown = block(document, "operations-per-second-over-cpus-and-slots")
    assert [chart.run for chart in shown.charts] == ["percpu_pinned", "global_pool"]
    assert shown.charts[1].alt_text == (
        "Throughput. global_pool: least 125,000 at cpus 4 and slots 64; "
        "most 500,000 at cpus 16 and slots 512."
    )


def test_what_follows_from_another_factor_is_none(tmp_path):
    rows = [result("a", 1_000, machine=machine, cpus=cpus) for machine, cpus in (("m", 4), ("n", 16))]
    document = compose_sweep(sweep(tmp_path, rows))
    assert [part.title for part in document.parts] == ["The designs"]  # One design: nothing to rank.
    assert block(document, "operations-per-second-over-setting").frame["setting"].to_list() == ["m", "n"]


def test_what_failed_or_ended_early_is_said_and_left_out(tmp_path):
    rows = [
        result("a", 1_000),
        result("b", 1_000, operations=10, findings=1),
        result("c", 1_000, state="failed", problem="no room"),
        result("d", 1_000, state="stale"),
    ]
    document = compose_sweep(sweep(tmp_path, rows))
    assert document.styles.names == ("a",)
    assert list(document.warnings) == [
        "1 run failed: no room (1).",
        "1 run ended before the trace did and is not shown.",
        "1 run met a hazard, such as a deadlock: runs of b.",
    ]


def test_a_sweep_has_every_form(tmp_path):
    made = sweep(tmp_path / "sweep", grid(0, 1))
    text = report([made], tmp_path / "r.md").read_text(encoding="utf-8")
    assert "- Designs: percpu_pinned and global_pool" in text
    content = json.loads(report([made], tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content["facts"]["CPUs"] == "4, 16"
    command = content["sections"][0]["items"][0]["command"]
    assert command.startswith("pipeline sql 'SELECT ")
    assert command.endswith(f" --runs {made}")
    assert report([made], tmp_path / "r.svg", item="share-percent-over-slots").stat().st_size > 1_000


def test_mistakes_with_a_sweep_say_what_to_do(tmp_path):
    made = sweep(tmp_path / "sweep", grid(0))
    with pytest.raises(UsageError, match="remove the other arguments"):
        report([made, tmp_path], tmp_path / "r.md")
    with pytest.raises(UsageError, match="share-percent-over-cpus"):
        report([made], tmp_path / "r.md", item="share-percent-over-cpu")
    with pytest.raises(InputError, match="no run of this sweep is done"):
        report([sweep(tmp_path / "empty", [result("a", 1, state="planned")])], tmp_path / "r.md")


@needs_chromium
@pytest.mark.browser
def test_a_sweep_is_drawn_in_light_and_dark_wide_and_narrow(tmp_path):
    page = report([sweep(tmp_path / "sweep", grid(0, 1))], tmp_path / "r.html")
    with chromium() as browser:
        for width, scheme in ((1400, "light"), (390, "dark")):
            assert_all_drawn(browser, page, width, scheme, at_least=10)
