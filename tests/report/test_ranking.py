"""Who is ranked first, with which difference and how sure, on runs made by hand."""

from __future__ import annotations

import json

import pytest

from pipeline.report.ranking import LEAST_PER_BLOCK, rank_runs
from pipeline.report.ranking_table import make_ranking_table, name_rankings
from pipeline.report.styles import style_runs
from pipeline.schema.names import CPU_CATEGORIES
from pipeline.sql.library import load_query, run_query
from pipeline.sql.session import open_session
from tests.sql.handmade import make_run, manifest_dict

BLOCKS = 25
ROWS = BLOCKS * LEAST_PER_BLOCK


def steady(directory, label, step_ns, lost_ns=100, **changes):
    """A run of which each operation is done `step_ns(row)` after the one before."""
    operations, time_ns = [], 0
    for row in range(ROWS):
        time_ns += step_ns(row)
        operations.append(
            {
                "asked_ns": time_ns - lost_ns,
                "mapped_ns": time_ns,
                "unmap_asked_ns": time_ns,
                "done_ns": time_ns,
            }
        )
    return make_run(directory / f"{label} {changes.get('seed', 1)}", label, operations, **changes)


def rank(directory):
    with open_session([directory]) as session:
        rows = run_query(session, load_query("ranking"))
        return rank_runs(session.runs, rows, style_runs(session.runs).bounds)


def synthetic(seed, **changes):
    """A trace of one workload, made with `seed`."""
    source = {"type": "synthetic", "name": "made", "spec_sha256": "1" * 64, "seed": seed} | changes
    trace = manifest_dict("a")["trace"]
    return trace | {
        "name": f"t{seed}",
        "sha256": f"{seed}".zfill(64),
        "metadata": trace["metadata"] | {"source": source},
    }


def bound(label):
    return manifest_dict(label)["allocator"] | {"bound": "lower bound"}


def test_a_design_that_takes_twice_as_long_has_half_the_throughput_for_certain(tmp_path):
    steady(tmp_path, "slow", lambda _: 2_000, lost_ns=900)
    steady(tmp_path, "fast", lambda _: 1_000)
    (ranking,) = rank(tmp_path)
    fast, slow = ranking.standings
    assert (fast.name, slow.name) == ("fast", "slow")
    assert fast.operations_per_second.value == pytest.approx(1e6)
    assert fast.ratio is None
    assert slow.ratio.value == pytest.approx(0.5)
    assert slow.ratio.half_width == pytest.approx(0, abs=1e-9)
    assert slow.mapped_us.value == pytest.approx(0.9)
    assert slow.slower_mapped.value == pytest.approx(9)
    assert (slow.verdict, slow.method) == ("slower", "blocks")


def test_whether_runs_differ_that_are_ahead_by_turns_cannot_be_told(tmp_path):
    steady(tmp_path, "even", lambda _: 1_000)
    steady(tmp_path, "odd", lambda row: 800 if row // (2 * LEAST_PER_BLOCK) % 2 else 1_210)
    (ranking,) = rank(tmp_path)
    assert [s.name for s in ranking.standings] == ["even", "odd"]
    # In all the second takes 12 blocks of 800 and 13 of 1,210 ns.
    assert ranking.standings[1].ratio.value == pytest.approx(25_000 / (12 * 800 + 13 * 1_210))
    assert ranking.standings[1].verdict == "cannot tell"
    made = make_ranking_table(ranking)
    assert "these runs are too short to tell whether it is faster than odd" in made.verdict
    # Half of the 26 stretches, from one block's middle to the next, are some 205 of 1,000 away: an error of
    # 145 / 1,000 / sqrt(26), of which 2.06 + 0.86 would be seen.
    assert any("8.4 % for odd (" in note for note in made.notes)
    assert made.rows[1].cells[-1].text == "cannot tell: runs too short"


def test_the_ratio_is_that_of_the_throughputs_shown(tmp_path):
    steady(tmp_path, "a", lambda row: 1_000 + row % 7)
    steady(tmp_path, "b", lambda row: 1_500 + 3 * row)
    (ranking,) = rank(tmp_path)
    first, second = ranking.standings
    shown = second.operations_per_second.value / first.operations_per_second.value
    assert second.ratio.value == pytest.approx(shown, rel=1e-12)


def test_runs_that_are_ahead_by_turns_of_little_are_alike(tmp_path):
    steady(tmp_path, "even", lambda _: 1_000)
    steady(tmp_path, "odd", lambda row: 998 if row // (2 * LEAST_PER_BLOCK) % 2 else 1_003)
    (ranking,) = rank(tmp_path)
    assert ranking.standings[1].verdict == "alike"
    verdict = make_ranking_table(ranking).verdict
    assert verdict.startswith(
        "Throughput does not separate even and odd: both complete about 1,000,000 operations/s"
    )
    assert "The time from request to mapped and the CPU time do not separate them either." in verdict


@pytest.mark.parametrize(("step_ns", "verdict"), [(10_002, "alike"), (10_099, "alike"), (10_102, "slower")])
def test_a_difference_that_is_certain_and_negligible_is_no_rank(tmp_path, step_ns, verdict):
    steady(tmp_path, "first", lambda _: 10_000)
    steady(tmp_path, "second", lambda _: step_ns)
    (ranking,) = rank(tmp_path)
    second = ranking.standings[1]
    assert not second.ratio.may_be(1.0)
    assert second.verdict == verdict
    said = make_ranking_table(ranking).rows[1].cells[-1].text
    assert said == ("equal within 1 %" if verdict == "alike" else verdict)


def test_seeds_of_a_design_are_one_entry_and_pairs(tmp_path):
    for seed, (a, b) in enumerate([(1_000, 2_000), (1_100, 2_200), (1_200, 2_400)]):
        steady(tmp_path, "a", lambda _, step=a: step, seed=seed)
        steady(tmp_path, "b", lambda _, step=b: step, seed=seed)
    (ranking,) = rank(tmp_path)
    first, second = ranking.standings
    assert (first.name, second.name) == ("a (3 runs)", "b (3 runs)")
    assert second.method == "replications"
    # Each varies from seed to seed, their ratio does not.
    assert first.operations_per_second.half_width > 100_000
    assert second.ratio.value == pytest.approx(0.5)
    assert second.ratio.half_width == pytest.approx(0, abs=1e-12)
    assert second.ratio.variance_share == pytest.approx(0, abs=1e-12)


def test_trace_seeds_of_a_workload_are_replications_too(tmp_path):
    for seed, (a, b) in enumerate([(1_000, 1_500), (1_100, 1_750), (1_200, 1_700)]):
        trace = synthetic(seed)
        steady(tmp_path, "a", lambda _, step=a: step, seed=seed, trace=trace)
        steady(tmp_path, "b", lambda _, step=b: step, seed=seed, trace=trace)
    (ranking,) = rank(tmp_path)
    first, second = ranking.standings
    assert (first.name, second.name) == ("a (3 runs)", "b (3 runs)")
    assert second.verdict == "slower"
    # Rates of a and b per microsecond, which the trace's seed moves together.
    rates = [(1, 1 / 1.5), (1 / 1.1, 1 / 1.75), (1 / 1.2, 1 / 1.7)]
    assert second.ratio.value == pytest.approx(sum(b for _, b in rates) / sum(a for a, _ in rates))
    assert 0 < second.ratio.variance_share < 0.5
    made = make_ranking_table(ranking)
    assert made.title == "t0, t1 and t2 on tiny, 2 CPUs, closed loop"
    assert any(note.startswith("Compared in pairs, the differences have ") for note in made.notes)


def test_another_workload_or_more_jitter_is_ranked_apart(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000, trace=synthetic(0))
    steady(tmp_path, "b", lambda _: 1_000, trace=synthetic(0, spec_sha256="2" * 64))
    steady(tmp_path, "c", lambda _: 1_000, trace=synthetic(0), jitter_percent=0.5)
    rankings = rank(tmp_path)
    assert [[s.name for s in ranking.standings] for ranking in rankings] == [["a"], ["b"], ["c"]]
    assert make_ranking_table(rankings[2]).title == "t0 on tiny, 2 CPUs, closed loop, jitter 0.5 %"


def test_runs_that_are_identical_count_once(tmp_path):
    for seed in range(4):
        steady(tmp_path, "a", lambda _: 1_000, seed=seed)
        steady(tmp_path, "b", lambda row: 1_200 + row % 9, seed=seed)
    (ranking,) = rank(tmp_path)
    first, second = ranking.standings
    assert (first.name, second.name) == ("a (4 identical runs)", "b (4 identical runs)")
    assert (first.different, second.different) == (1, 1)
    assert first.operations_per_second.half_width is None
    assert second.method == "blocks"
    made = make_ranking_table(ranking)
    assert made.rows[1].cells[-1].text == "slower"
    assert made.notes[0].startswith(
        "Runs with equal fingerprints are repetitions of the same run and count once"
    )


def test_of_runs_that_are_partly_identical_the_different_ones_count(tmp_path):
    for seed, b in enumerate([1_200, 1_200, 1_300]):
        steady(tmp_path, "a", lambda _: 1_000, seed=seed)
        steady(tmp_path, "b", lambda _, step=b: step, seed=seed)
    (ranking,) = rank(tmp_path)
    second = ranking.standings[1]
    assert second.name == "b (3 runs, 2 different)"
    assert (second.method, second.ratio.units) == ("replications", 2)


def test_a_design_that_did_what_the_first_did_is_said_to_have_done_the_same(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000)
    steady(tmp_path, "b", lambda _: 1_000)
    (ranking,) = rank(tmp_path)
    second = ranking.standings[1]
    assert (second.verdict, second.ratio.half_width) == ("identical", None)
    assert "a and b produced identical logs" in make_ranking_table(ranking).verdict


def test_blocks_that_do_not_give_each_task_a_turn_give_no_uncertainty(tmp_path):
    trace = manifest_dict("a")["trace"]
    many = trace | {"metadata": trace["metadata"] | {"tasks": LEAST_PER_BLOCK + 1}}
    steady(tmp_path, "a", lambda _: 1_000, trace=many)
    steady(tmp_path, "b", lambda _: 2_000, trace=many)
    (ranking,) = rank(tmp_path)
    assert (
        ranking.standings[1].unknown == "a block of the trace has fewer operations than the trace has tasks"
    )


def test_without_a_log_a_difference_is_told_and_its_uncertainty_is_not(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000)
    steady(tmp_path, "b", lambda _: 2_000, events="none")
    (ranking,) = rank(tmp_path)
    second = ranking.standings[1]
    assert second.ratio.value == pytest.approx(0.5)
    assert second.ratio.half_width is None
    assert second.lost_us is None
    made = make_ranking_table(ranking)
    assert [cell.text for cell in made.rows[1].cells] == [
        "2", "b", "500,000", "−50.0", "100 ns", "0.0", "–", "0 ns", "100",
        "cannot tell: b has no log",
    ]  # fmt: skip
    assert "Differences without an interval: b has no log." in made.notes


def test_bounds_stand_apart_and_are_never_first(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000)
    steady(tmp_path, "free", lambda _: 500, allocator=bound("free"))
    (ranking,) = rank(tmp_path)
    assert [s.name for s in ranking.standings] == ["a"]
    assert [s.name for s in ranking.bounds] == ["free"]
    made = make_ranking_table(ranking)
    assert made.rows[1].apart
    assert made.rows[1].cells[-1].text == "lower bound"


def test_runs_of_other_traces_machines_and_loops_are_ranked_apart(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000)
    steady(tmp_path, "b", lambda _: 1_000, loop="timed")
    steady(tmp_path, "c", lambda _: 1_000, trace=manifest_dict("c")["trace"] | {"sha256": "0" * 64})
    assert [[s.name for s in ranking.standings] for ranking in rank(tmp_path)] == [["a"], ["b"], ["c"]]


def test_a_run_that_ended_before_its_trace_is_not_ranked(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000)
    make_run(tmp_path / "stuck", "stuck", [{"done_ns": 10}])
    (ranking,) = rank(tmp_path)
    assert [s.name for s in ranking.disqualified] == ["stuck"]
    assert "stuck is not ranked because it did not complete the trace." in make_ranking_table(ranking).verdict


def test_of_runs_that_all_deadlocked_none_is_ranked(tmp_path):
    deadlock = [{"finding": "deadlock", "time_ns": 5, "message": "all sleep"}]
    for label, operations in (("a", [{"done_ns": 10}]), ("b", [])):
        for seed in (1, 2):
            make_run(tmp_path / f"{label}{seed}", label, operations, seed=seed, findings=deadlock)
    (ranking,) = rank(tmp_path)
    assert ranking.standings == []
    assert [s.name for s in ranking.disqualified] == ["a (2 identical runs)", "b (2 identical runs)"]
    assert make_ranking_table(ranking).verdict.startswith("No design can be ranked.")


def test_few_operations_give_no_uncertainty(tmp_path):
    for label, done_ns in (("a", 10), ("b", 20)):
        make_run(tmp_path / label, label, [{"done_ns": done_ns}] * 30)
    (ranking,) = rank(tmp_path)
    assert ranking.standings[1].unknown == f"fewer than {LEAST_PER_BLOCK} operations in a block of the trace"


def test_runs_too_short_to_tell_are_no_tie_and_no_slowdown_passes_all(tmp_path):
    for seed, slow_ns in enumerate((2_000, 9_000)):
        steady(tmp_path, "fast", lambda row, seed=seed: 1_000 + seed, seed=seed)
        steady(tmp_path, "slow", lambda _, step=slow_ns: step, seed=seed)
    (ranking,) = rank(tmp_path)
    second = ranking.standings[1]
    assert second.verdict == "cannot tell"
    # As a plain interval the ratio would reach below zero.
    assert second.ratio.value - second.ratio.half_width < 0
    low, high = second.ratio.factor_interval
    assert 0 < low < second.ratio.value < high
    verdict = make_ranking_table(ranking).verdict
    assert "too short to tell" in verdict
    assert "does not separate" not in verdict


def idle(wall_ns, percent):
    """CPU time of two CPUs, so much of it idle."""
    idle_ns = wall_ns * percent // 100
    spent = {f"{category}_ns": 0 for category in CPU_CATEGORIES}
    spent |= {"idle_ns": idle_ns, "compute_ns": wall_ns - idle_ns}
    return [spent | {"cpu": cpu} for cpu in range(2)]


def test_a_throughput_that_the_workload_limits_does_not_choose_the_winner(tmp_path):
    for label, step, lost_ns in (("a", 1_000, 900), ("b", 1_010, 100)):
        steady(tmp_path, label, lambda _, step=step: step, lost_ns=lost_ns)
    for path in tmp_path.iterdir():
        file = path / "manifest.json"
        manifest = json.loads(file.read_text())
        manifest["totals"]["cpu_time"] = idle(manifest["totals"]["wall_ns"], 93)
        file.write_text(json.dumps(manifest))
    (ranking,) = rank(tmp_path)
    assert ranking.standings[0].name == "a"
    verdict = make_ranking_table(ranking).verdict
    assert "Throughput does not separate a and b" in verdict
    assert "idle for at least 93 % of the time" in verdict
    assert "b maps fastest: 100 ns from request to mapped, against 900 ns with a." in verdict


def test_the_fastest_that_maps_last_is_said_to_be_both(tmp_path):
    steady(tmp_path, "a", lambda _: 1_000, lost_ns=900)
    steady(tmp_path, "b", lambda _: 2_000, lost_ns=360)
    verdict = make_ranking_table(rank(tmp_path)[0]).verdict
    assert verdict.startswith("a is fastest: 1,000,000 operations/s, 2 times as many as b.")
    assert "However, a maps slowest: 900 ns from request to mapped, against 360 ns with b." in verdict


def test_a_design_that_met_a_hazard_is_not_ranked_and_its_name_says_so(tmp_path):
    stale = [{"finding": "stale_translation", "time_ns": k, "message": "stale"} for k in range(3)]
    steady(tmp_path, "broken", lambda _: 100, findings=stale)
    steady(tmp_path, "sound", lambda _: 1_000)
    (ranking,) = rank(tmp_path)
    made = make_ranking_table(ranking)
    assert [cell.text for cell in made.rows[0].cells[:2]] == ["1", "sound"]
    broken = made.rows[-1]
    assert (broken.cells[0].text, broken.cells[-1].text) == ("", "not ranked")
    assert broken.cells[1].full_text == "broken (not ranked: met stale translation (3 times))"
    assert "broken is not ranked because it met stale translation (3 times)." in made.verdict


def test_traces_of_one_seed_with_other_content_are_no_replications(tmp_path):
    for content in (1, 2):
        trace = synthetic(7) | {"sha256": f"{content}" * 64}
        steady(tmp_path, f"a{content}", lambda _: 1_000, trace=trace)
    rankings = rank(tmp_path)
    assert len(rankings) == 2
    assert name_rankings(rankings) == [
        f"t7 on tiny, 2 CPUs, closed loop, trace {str(content) * 8}" for content in (1, 2)
    ]


def test_a_design_is_ranked_against_itself_with_pages_in_low_memory_under_a_name_of_its_own(tmp_path):
    steady(tmp_path, "pool", lambda _: 2_000, seed=1)
    steady(tmp_path, "pool", lambda _: 1_000, seed=2)
    file = tmp_path / "pool 2" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"lowmem": ["page_fault"], "seed": 1}))
    (ranking,) = rank(tmp_path)
    assert [s.name for s in ranking.standings] == [
        "pool, page_fault in low memory", "pool, all in high memory",
    ]  # fmt: skip
