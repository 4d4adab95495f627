"""The report in its other forms, and one item of it alone."""

from __future__ import annotations

import json
import shlex
from xml.etree import ElementTree

import pytest

from pipeline.cli import make_app
from pipeline.errors import OutputError, UsageError
from pipeline.report.render import plain_rows
from pipeline.report.report import FORMATS, report
from pipeline.sql.session import open_session
from tests.sql.handmade import make_plausible_run, make_run

ODD = "<b>'odd' | \"表\" `*x*` \\ </script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    make_plausible_run(
        directory / "1", "global_pool", count=600, contention=0.4, flush_every=60, sleeping=0.1
    )
    make_plausible_run(directory / "2", ODD, count=600, contention=0.1, flush_every=16)
    return directory


def test_markdown_has_the_answer_the_tables_and_the_charts_in_words(runs, tmp_path):
    text = report([runs], tmp_path / "r.md", command="pipeline report").read_text(encoding="utf-8")
    assert text.startswith("# tiny on tiny: which mapping design?\n")
    lines = text.splitlines()
    assert "|  | design | operations (1/s) | against the first (%) |" in text
    assert any(line.startswith("- Flushes per second. global_pool: ") for line in lines)
    assert any(line.startswith("- Fraction of lock holds at least this long, unmap. ") for line in lines)
    assert "Made by `pipeline report`." in text


def test_an_odd_name_stays_text_in_markdown(runs, tmp_path):
    text = report([runs], tmp_path / "r.md").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;'odd'" in text
    rows = [line for line in text.splitlines() if line.startswith("| &lt;b&gt;'odd' \\| ")]
    assert rows, "the bar in the name must not begin a new cell"


def test_json_has_every_item_with_its_rows_sql_and_specifications(runs, tmp_path):
    content = json.loads(report([runs], tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [run["run"] for run in content["runs"]] == ["global_pool", ODD]
    items = {item["name"]: item for section in content["sections"] for item in section["items"]}
    flushes = items["flushes-per-second"]
    assert flushes["columns"][0] == {"name": "run", "unit": "", "meaning": "name of the run"}
    assert [row[0] for row in flushes["rows"]] == ["global_pool", ODD]
    assert flushes["charts"][0]["spec"]["height"] > 0
    assert items["ranking"]["tables"][0]["rows"][0]["cells"][0] == "1"


def test_the_sql_of_every_item_gives_its_rows_as_it_stands(runs, tmp_path):
    content = json.loads(report([runs], tmp_path / "r.json").read_text(encoding="utf-8"))
    items = [item for section in content["sections"] for item in section["items"]]
    with open_session([runs]) as session:
        for item in items:
            assert plain_rows(session.query(item["sql"])) == item["rows"], item["name"]


def test_the_command_of_an_item_asks_exactly_that_again(runs, tmp_path, monkeypatch, capsys):
    content = json.loads(report([runs], tmp_path / "r.json").read_text(encoding="utf-8"))
    items = {item["name"]: item for section in content["sections"] for item in section["items"]}
    # Also from a directory that has other runs.
    monkeypatch.chdir(tmp_path)
    for name in ("ranking", "flush-log"):
        words = shlex.split(items[name]["command"])
        assert words[:4] == ["pipeline", "sql", "--name", items[name]["query"]]
        make_app("sql")([*words[1:], "--format", "json"], standalone_mode=False)
        names = [column["name"] for column in items[name]["columns"]]
        answered = json.loads(capsys.readouterr().out)
        wanted = [dict(zip(names, row, strict=True)) for row in items[name]["rows"]]
        for found, row in zip(answered, wanted, strict=True):
            assert found.keys() == row.keys()
            for column, value in row.items():
                assert found[column] == (
                    pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
                )


def test_pictures_are_a_file_for_each_chart(runs, tmp_path):
    directory = report([runs], tmp_path / "pictures", form="svg")
    names = sorted(path.name for path in directory.iterdir())
    assert "09-flushes-per-second.svg" in names
    assert "06-hold-tail-map.svg" in names
    assert "06-hold-tail-unmap.svg" in names
    for path in directory.iterdir():
        text = path.read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert "var(--" not in text, path.name
    with pytest.raises(OutputError, match="expected a new or empty directory"):
        report([runs], directory, form="svg")


def test_one_item_is_one_picture(runs, tmp_path):
    path = report([runs], tmp_path / "hold.png", item="hold-tail")
    assert path.read_bytes().startswith(b"\x89PNG")
    alone = report([runs], tmp_path / "hold.md", item="hold-tail").read_text(encoding="utf-8")
    assert [line for line in alone.splitlines() if line.startswith("### ")] == [
        "### Fraction of lock holds at least this long"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "r.html", "form": "md"}, "the name ends in .html, but the format is md; name it r.md"),
        ({"output": "r", "form": "pdf"}, "unknown format 'pdf'"),
        ({"output": "r.png"}, "expected a directory for the charts, found a file name"),
        ({"output": "r.md", "item": "hold-tale"}, "unknown item 'hold-tale' [(]did you mean 'hold-tail'"),
        ({"output": "r.png", "item": "summary"}, "found none: 'Main figures of each run' is a table"),
    ],
)
def test_a_mistake_is_named_before_anything_is_written(runs, tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        report([runs], tmp_path / arguments.pop("output"), **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("png", "svg")])
def test_a_run_without_lock_flush_or_sleep_says_so_in_every_form(tmp_path, form):
    run = make_run(tmp_path / "a", "a", [{"done_ns": 10}])
    text = report([run], tmp_path / f"r.{form}").read_text(encoding="utf-8")
    for sentence in ("No run took a lock.", "No task slept for a slot in any run."):
        assert sentence in text
