"""`pipeline sensitivity`: real runs of two designs that pay one price each, and what is refused."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.compare.making import Conditions
from pipeline.errors import InputError
from pipeline.runs.metrics import METRICS
from pipeline.sensitivity.asking import apply_settings, ask, split_designs
from pipeline.sensitivity.page import render_page
from pipeline.sensitivity.render import render
from pipeline.sensitivity.sensitivity import find_sensitivity
from pipeline.sensitivity.words import describe_profile_order
from pipeline.statistics import Estimate
from pipeline.sweeps.sweep import Means, Observer
from pipeline.workload.generate import generate
from tests.cli.command import refusal
from tests.report.browser import assert_all_drawn, chromium, needs_chromium
from tests.sweeps.made import FAILS, design

PLAIN = Means(workers=1, compiled=False)
_PAYS = """
from pipeline.allocators.api import effects
from pipeline.allocators.api.actions import DONE
from pipeline.schema.codes import DIRECT
SUMMARY = 'maps at a price'
def map_step(a, r, d):
    r.slot = -1
    r.served = DIRECT
    {step}
    return DONE
def unmap_step(a, r, d):
    return DONE
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """A trace, and two designs: a map costs 100 local entries in one, 150 probes in the other."""
    path = tmp_path_factory.mktemp("sensitivity")
    generate("read_one_byte", path / "trace.parquet", operations=48)
    for name, step in (("local", "effects.touch_local(d, 100)"), ("probes", "effects.probe(d, 150)")):
        (path / f"{name}.py").write_text(_PAYS.format(step=step))
    return path


@pytest.fixture(scope="module")
def asked(directory):
    """What the command finds of them, on a machine whose prices of both are 5 ns."""

    def again(**change):
        given = {
            "settings": [], "metric": "cpu", "costs": ["local_entry_ns, probe_ns,walk_ns"], "draws": 8,
            "cpus": 2, "operations": None, "jitter": None, "seed": 0, "output": directory / "sweep",
            "means": PLAIN,
        }  # fmt: skip
        names = [f"{directory}/local.py,{directory}/probes.py"]
        return ask(str(directory / "trace.parquet"), "modern-x86-64", names, **(given | change))

    return again


@pytest.fixture(scope="module")
def found(asked):
    return asked()


def test_the_order_turns_where_the_prices_say(found):
    (pair,) = found.pairs
    assert Path(pair.a).stem == "local"
    # 500 ns against 750: as much at 7.5 ns for a local entry, or 3.3 ns for a probe.
    (above,) = pair.break_evens["local_entry_ns"].turns
    assert (above.side, above.held, above.turned, above.ahead) == ("above", 7, 8, -1)
    (below,) = pair.break_evens["probe_ns"].turns
    assert (below.side, below.held, below.turned, below.ahead) == ("below", 4, 3, -1)
    assert "walk_ns" not in pair.effects or not pair.effects["walk_ns"].absolute
    assert found.idle == ["walk_ns"]


def test_the_answer_says_draws_break_evens_conditions_and_commands(found, directory):
    text = render(found, "text")
    a, b = f"{directory}/local.py", f"{directory}/probes.py"
    first = text.splitlines()[0]
    assert first.startswith(f"{a} beats {b} in CPU time in ") or first.startswith(f"Undecided: {a} beats {b}")
    assert "the order changes when `local_entry_ns` is above 7.5 ns (profile: 5 ns, assumed)" in first
    assert "or when `probe_ns` is below 3.5 ns (profile: 5 ns, assumed)" in first
    assert "each draw has different random draws (seeds 0 to 7, jitter 0.5 %)" in text
    assert "3 costs vary" in text
    assert "Costs without effect, even by a factor of 100 each way: walk_ns." in text
    replays = [line for line in text.splitlines() if line.startswith("    pipeline replay")]
    assert len(replays) == 2
    assert all("--cost local_entry_ns=8" in line and "--jitter 0.5%" in line for line in replays)
    assert "| local_entry_ns | 5 | 2 to 10 |" in render(found, "md")
    content = json.loads(render(found, "json"))
    assert content["pairs"][0]["break_evens"]["local_entry_ns"]["turns"][0]["turned"] == 8
    assert content["without_effect"] == ["walk_ns"]


def test_the_same_command_again_makes_nothing_and_finds_the_same(asked, found):
    made = []

    @contextmanager
    def tell(phase):
        yield Observer(made=lambda run, what: made.append(run))

    assert render(asked(), "json") == render(found, "json")
    more = find_sensitivity(
        [found.pairs[0].a, found.pairs[0].b], found.conditions, "cpu",
        list(found.ranges), 8, found_directory(found), PLAIN, tell,
    )  # fmt: skip
    assert made == []
    assert more.runs == found.runs


def found_directory(found) -> Path:
    return Path(found.conditions.trace).parent / "sweep"


@pytest.mark.browser
@needs_chromium
def test_the_page_shows_its_charts_and_fetches_nothing(found, tmp_path):
    page = tmp_path / "sensitivity.html"
    page.write_text(render_page(found, "pipeline sensitivity <b>trace</b>"), encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    assert "<code>pipeline sensitivity &lt;b&gt;trace&lt;/b&gt;</code>" in text
    assert "<code>local_entry_ns</code> is above 7.5 ns" in text
    with chromium() as browser:
        for width, scheme in ((1400, "light"), (390, "dark")):
            assert_all_drawn(browser, page, width, scheme, 2)


def test_runs_that_met_a_hazard_are_in_no_figure_and_counted(tmp_path):
    step = "r.slot = -1; r.served = DIRECT; effects.report_finding(d, COUNT_UNDERFLOW)"
    (tmp_path / "broken.py").write_text(
        "from pipeline.schema.codes import COUNT_UNDERFLOW\n" + _PAYS.format(step=step)
    )
    conditions = Conditions("read_one_byte", "numaq16", 1, cpus=2, operations=10)
    broken = str(tmp_path / "broken.py")
    found = find_sensitivity(["direct_map", broken], conditions, costs=["walk_ns"], draws=2, means=PLAIN)
    (pair,) = found.pairs
    assert (pair.draws.draws, pair.draws.unknown, pair.decided) == (0, 2, False)
    text = render(found, "text")
    assert "their runs met hazards" in text.splitlines()[0]
    assert f"runs of {broken} met count underflow; these are excluded." in text


def test_a_design_that_fails_is_named_with_its_error(tmp_path):
    failing = design(tmp_path, "failing", FAILS)
    conditions = Conditions("read_one_byte", "numaq16", 1, cpus=2, operations=10)
    with pytest.raises(InputError, match=r"runs failed; failing on numaq16.*this design fails"):
        find_sensitivity(["direct_map", failing], conditions, costs=["walk_ns"], draws=2, means=PLAIN)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-a", "atomic"], "at least two different designs, found atomic"),
        (["-a", "atomic,atomic"], "different"),
        (["-a", "atomic,sf_buf", "--metric", "speed"], "unknown metric 'speed'"),
        (["-a", "atomic,sf_buf", "--cost", "invalidate"], "unknown cost 'invalidate' (did you mean"),
        (["-a", "atomic,sf_buf", "--cost", "broadcast_ns"], "has no range (0 stays 0 by any factor)"),
        (["-a", "atomic,sf_buf", "--cost", "flushes_queue"], "has no range (a property of the machine"),
        (["-a", "atomic,sf_buf:costs.walk_ns=5"], "found costs.walk_ns for one"),
        (["-a", "atomic,sf_buf:machine=smp8-2002"], "found machine for one"),
        (["-a", "atomic,sf_buf", "-s", "slotz=5"], "unknown option 'slotz'"),
        (["-a", "atomic,sf_bug"], "unknown allocator 'sf_bug'"),
        (["-a", "atomic,sf_buf", "--draws", "1"], "--draws"),
        (["-a", "atomic,sf_buf", "--cost", ","], "--cost: expected names of costs"),
        (["-a", "atomic,sf_buf", "--seed", str(1 << 62)], "--seed"),
        (["-a", "atomic,sf_buf", "--report", "page.md"], "expected a name that ends in .html"),
    ],
)
def test_mistakes_are_named_before_anything_runs(words, said, tmp_path):
    assert said in refusal("sensitivity", "kernel_build", "-m", "numaq16", *words, cwd=tmp_path, status=2)


def test_a_recording_has_no_number_of_operations_to_choose(tmp_path):
    words = ("sensitivity", "local", "-m", "numaq16", "-a", "atomic,sf_buf", "--ops", "100")
    assert "local is a recording" in refusal(*words, cwd=tmp_path, status=2)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (math.log(1.5), "throughput is better by 50 % (42.2 to 58.2 %; 16 replications)"),
        (math.log(3), "throughput is better by a factor of 3 (2.84 to 3.16; 16 replications)"),
        (-math.log(3), "slow's throughput is better by a factor of 3 (2.84 to 3.16; 16 replications)"),
        (0.01, "the order is undecided: throughput by 1.01 % (-4.24 to 6.53 %; 16 replications)"),
    ],
)
def test_what_is_so_at_the_machines_own_prices_is_said_of_who_is_ahead(ahead, said):
    pair = SimpleNamespace(a="fast", b="slow", ratio=True, profile=Estimate(ahead, 0.025, 16))
    found = SimpleNamespace(metric=METRICS["throughput"])
    assert describe_profile_order(found, pair) == f"At the profile's costs, {said}."


def test_options_go_to_the_designs_that_have_them():
    designs = split_designs(["global_pool,direct_map", "page_fault=atomic,default=sf_buf"])
    assert designs == ["global_pool", "direct_map", "page_fault=atomic,default=sf_buf"]
    assert apply_settings(designs[:2], ["slots=64"]) == ["global_pool:slots=64", "direct_map"]
    assert apply_settings(["global_pool", "series_pool"], ["series_pool.slots=64"]) == [
        "global_pool", "series_pool:slots=64",
    ]  # fmt: skip
