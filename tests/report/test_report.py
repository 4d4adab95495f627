"""The report's page, read as text and through a parser."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.report.read_definition import load_definition
from pipeline.report.report import report
from tests.sql.handmade import make_plausible_run, make_run, manifest_dict

ODD = "<script>alert(1)</script> \"q\" 'x' & 表 \\ </script><!--"


class Page(HTMLParser):
    """What a browser would see: elements, their attributes, the text outside of scripts, and the scripts."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.scripts, self.open = [], "", [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        if self.open == "script":
            self.scripts[-1] += data
        elif self.open != "style":
            self.text += data


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    deadlock = {"finding": "deadlock", "time_ns": 5_000_000, "message": f"tasks sleep {ODD}", "tasks": [1, 2]}
    make_plausible_run(
        directory / "runs" / "a", "global_pool", contention=0.3, flush_every=200, sleeping=0.05
    )
    make_plausible_run(directory / "runs" / "b", ODD, lock=False, pinning=0.02, findings=[deadlock])
    make_plausible_run(directory / "runs" / "c", "no log", events="none", contention=0.1)
    path = report([directory / "runs"], directory / "out" / "report.html", command="pipeline report 'a b'")
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(html):
    page = Page(html)
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert tag not in ("link", "iframe", "object", "img"), tag
        assert "style" not in attributes, tag
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert len(html) < 3_000_000


def test_odd_names_come_out_as_text(html):
    page = Page(html)
    assert ODD in page.text
    assert f"tasks sleep {ODD}" in page.text
    # No element of a name was taken for one of the page's: only its own scripts are there, all JSON but two.
    kinds = [attributes.get("type") for tag, attributes in page.elements if tag == "script"]
    assert kinds.count(None) == 2
    for kind, text in zip(kinds, page.scripts, strict=True):
        if kind:
            json.loads(text)


def test_the_head_says_what_was_replayed(html):
    text = " ".join(Page(html).text.split())
    for words in (
        "Findings: 1",
        "3 operations, 2 tasks, 1 processes, 4 pages",
        "recorded, ftrace, kernel 6.1.0",
        "Derivedthink_ns, wait_ns",
        "Assumedblock_ns",
        "Absentcpu, bytes",
        "3 costs: 1 with a source, 2 assumed.",
        "a mail of 2002",
        "2,000.5",
        "closed: each operation waits",
        "pipeline replay traces/tiny.parquet --allocator 'global_pool'",
        "Made by pipeline report 'a b'",
        "Runs without a log: no log.",
    ):
        assert words in text, words


def test_each_chart_has_words_data_and_sql(html):
    page = Page(html)
    charts = [a for t, a in page.elements if a.get("class") == "chart"]
    assert charts
    assert all(a["role"] == "img" and "global_pool: " in a["aria-label"] for a in charts[:4])
    articles = sum(t == "article" for t, _ in page.elements)
    assert page.text.count("SQL") >= articles
    assert page.text.count("Data") == sum(a.get("class") == "data" for t, a in page.elements if t == "script")


def test_what_did_not_happen_is_a_sentence_not_an_empty_chart(tmp_path):
    run = make_run(tmp_path / "a", "direct_map", [{"done_ns": 10}])
    html = report([run], tmp_path / "r.html").read_text(encoding="utf-8")
    for sentence in (
        "No run took a lock.",
        "No run flushed another CPU&#39;s TLB.",
        "No task slept for a slot in any run.",
        "No findings: ",
    ):
        assert sentence in html


def test_what_only_a_bound_did_is_not_said_to_be_done_by_none(tmp_path):
    flush = {"event": "flush", "time_ns": 5, "duration_ns": 3, "op": 0, "value": 1}
    bound = manifest_dict("flusher")["allocator"] | {"bound": "upper bound"}
    make_run(tmp_path / "runs" / "a", "flusher", [{"done_ns": 10}], [flush], allocator=bound)
    make_run(tmp_path / "runs" / "b", "direct", [{"done_ns": 10}])
    html = report([tmp_path / "runs"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No run flushed another CPU&#39;s TLB except flusher (upper bound)." in html


def test_a_run_without_a_log_is_not_said_to_have_no_lock(tmp_path):
    hold = {"locked_ns": 0, "map_hold_ns": 5, "done_ns": 10}
    none = make_run(tmp_path / "runs" / "none", "unlogged", [hold], events="none")
    html = report([none], tmp_path / "one.html").read_text(encoding="utf-8")
    assert "No run has a log, and the totals do not contain this." in html
    assert "took a lock" not in html
    make_run(tmp_path / "runs" / "a", "locked", [hold])
    make_run(tmp_path / "runs" / "b", "free", [{"done_ns": 10}])
    html = report([tmp_path / "runs"], tmp_path / "three.html").read_text(encoding="utf-8")
    assert "No lock: free. No log: unlogged." in html


def test_seeds_that_all_designs_share_are_no_reason_to_warn(tmp_path):
    for label in ("a", "b"):
        for seed in (1, 2):
            make_run(tmp_path / "runs" / f"{label}{seed}", label, [{"done_ns": 10}], seed=seed)
    html = report([tmp_path / "runs"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "These runs differ" not in html


def test_a_run_that_got_stuck_is_not_the_best_for_ending_soon(tmp_path):
    deadlock = [{"finding": "deadlock", "time_ns": 5, "message": "deadlock: all sleep"}]
    make_run(tmp_path / "runs" / "a", "stuck", totals={"wall_ns": 1_000_000}, findings=deadlock)
    for label, wall_ns in (("b", 2_000_000), ("c", 3_000_000)):
        make_run(tmp_path / "runs" / label, label, [{"done_ns": wall_ns}])
    html = report([tmp_path / "runs"], tmp_path / "r.html", item="summary").read_text(encoding="utf-8")
    assert '<td class="number best" data-value="2.0">2 ms</td>' in html
    assert '<td class="number best" data-value="1.0">' not in html


def test_runs_that_differ_in_more_than_the_design_carry_a_warning(tmp_path):
    make_run(tmp_path / "runs" / "a", "a", seed=1)
    make_run(tmp_path / "runs" / "b", "b", seed=2, loop="timed")
    html = report([tmp_path / "runs"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "These runs differ not only in their design but also in loop and seed" in html


def test_low_memory_is_said_of_the_runs_that_had_it(tmp_path):
    make_run(tmp_path / "runs" / "a", "a")
    low = make_run(tmp_path / "runs" / "b", "b")
    manifest = json.loads((low / "manifest.json").read_text())
    (low / "manifest.json").write_text(json.dumps(manifest | {"lowmem": ["page_fault"]}))
    html = report([tmp_path / "runs"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "These runs differ not only in their design but also in pages in low memory" in html
    assert html.count("Low memory") == 1


def test_a_users_own_report_uses_queries_beside_it(tmp_path):
    for label, wall_ns in (("a", 10), ("b", 20)):
        make_run(tmp_path / "runs" / label, label, [{"done_ns": wall_ns}])
    (tmp_path / "mine.sql").write_text("SELECT run, wall_ns AS wall FROM runs")
    own = tmp_path / "mine.toml"
    own.write_text(
        'title = "Mine"\n[[section]]\ntitle = "One"\n'
        '[[section.item]]\nquery = "mine.sql"\nchart = "bars"\ntitle = "Wall"\nx = "wall"\n'
    )
    html = report([tmp_path / "runs"], tmp_path / "r.html", own).read_text(encoding="utf-8")
    assert "<title>Mine</title>" in html
    assert "Wall. a: 10; b: 20." in html
    html = report([tmp_path / "runs"], tmp_path / "r.html", own, title="Yours").read_text(encoding="utf-8")
    assert "<title>Yours</title>" in html


def test_what_only_one_run_has_is_said_and_not_drawn(tmp_path):
    flush = {"event": "flush", "time_ns": 5, "duration_ns": 3, "op": 0, "value": 1}
    make_run(tmp_path / "runs" / "a", "flusher", [{"done_ns": 10}], [flush])
    make_run(tmp_path / "runs" / "b", "direct", [{"done_ns": 10}])
    content = json.loads(report([tmp_path / "runs"], tmp_path / "r.json").read_text(encoding="utf-8"))
    items = {item["name"]: item for section in content["sections"] for item in section["items"]}
    assert items["flushes-per-second"]["charts"] == []
    assert items["flushes-per-second"]["empty"] == "flusher: 100,000,000. No flushes: direct."


def test_the_best_is_marked_among_runs_of_one_trace_and_for_each_site(tmp_path):
    for number, (label, took_ns, sha) in enumerate(
        (("a", 10, "1"), ("b", 20, "1"), ("a", 30, "2"), ("b", 40, "2"))
    ):
        trace = manifest_dict(label)["trace"] | {"sha256": sha * 64, "name": f"t{sha}"}
        row = {"mapped_ns": took_ns, "unmap_asked_ns": 100, "done_ns": 200 - took_ns}
        make_run(tmp_path / "runs" / str(number), label, [row], trace=trace)
    content = json.loads(report([tmp_path / "runs"], tmp_path / "r.json").read_text(encoding="utf-8"))
    items = {item["name"]: item for section in content["sections"] for item in section["items"]}
    assert [table["title"] for table in items["mapping-times"]["tables"]] == [
        "t1 on tiny",
        "t2 on tiny",
    ]
    page = Page(report([tmp_path / "runs"], tmp_path / "r.html", item="mapping-times").read_text())
    assert [a["data-value"] for t, a in page.elements if t == "td" and "best" in (a.get("class") or "")] == [
        *["0.01"] * 5, *["0.08"] * 5, *["0.03"] * 5, *["0.06"] * 5,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ('query = "lockmeter"\nchart = "pie"\ntitle = "x"', "section.0.item.0.chart: Input should be"),
        ('query = "lockmeter"\nchart = "bars"\ntitle = "x"', "chart 'bars' requires x"),
        (
            'query = "lockmeter"\nchart = "bars"\ntitle = "x"\nx = "nix"',
            "has no column nix; it has run, lock, site",
        ),
    ],
)
def test_a_mistake_in_a_definition_is_named(tmp_path, item, message):
    run = make_run(tmp_path / "a", "a")
    own = tmp_path / "mine.toml"
    own.write_text(f'title = "Mine"\n[[section]]\ntitle = "One"\n[[section.item]]\n{item}\n')
    with pytest.raises(InputError, match=message):
        report([run], tmp_path / "r.html", own)


@pytest.mark.parametrize("name", ["wrap16", "local"])
def test_a_recording_is_no_run_to_report_and_one_is_told_what_it_is_for(tmp_path, name):
    with pytest.raises(InputError, match=r"found the name of a shipped recording; .* use 'pipeline sql'"):
        report([Path(name)], tmp_path / "r.html")


def test_an_unknown_report_or_query_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"unknown report 'defualt' \(did you mean 'default'"):
        load_definition("defualt")
    with pytest.raises(InputError, match="found no such file"):
        load_definition(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("walls_ns", "marked"), [((10_000_000, 20_000_000), 1), ((10_000_000, 10_000_001), 0)]
)
def test_the_best_is_marked_only_where_the_difference_can_be_read(tmp_path, walls_ns, marked):
    for number, wall_ns in enumerate(walls_ns):
        make_run(tmp_path / "runs" / str(number), f"run {number}", totals={"wall_ns": wall_ns})
    (tmp_path / "mine.toml").write_text(
        'title = "x"\n[[section]]\ntitle = "y"\n[[section.item]]\nquery = "summary"\nchart = "table"\n'
        'title = "z"\nempty = "none"\n[section.item.best]\nwall_ms = "least"\n'
    )
    page = Page(report([tmp_path / "runs"], tmp_path / "x.html", tmp_path / "mine.toml").read_text())
    classes = [attributes.get("class") or "" for tag, attributes in page.elements if tag == "td"]
    assert sum("best" in name.split() for name in classes) == marked
