"""The demonstration, as the README tells a newcomer to run it, and its pages in a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.demo import ALLOCATORS, SCENES
from pipeline.sql.query import sql
from tests.report.browser import assert_all_drawn, chromium, needs_chromium, open_page

SCENE_NAMES = [scene.name for scene in SCENES]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demonstration's directory, and what it printed."""
    directory = tmp_path_factory.mktemp("demo")
    command = [Path(sys.executable).with_name("pipeline"), "demo", "-o", directory]
    return directory, subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


def test_the_demo_prints_the_paths_of_its_reports(shown):
    directory, done = shown
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(directory / f"{name}.html") for name in SCENE_NAMES]
    assert all(f"{name}: " in done.stderr for name in SCENE_NAMES)


def test_each_scene_shows_what_it_is_there_for(shown):
    directory, _ = shown
    query = "SELECT trace, allocator, operations, flushes, sleeps, findings FROM runs"
    rows = {
        (trace, allocator): rest for trace, allocator, *rest in sql([directory / "runs"], query).iter_rows()
    }
    assert set(rows) == {(name, allocator) for name in SCENE_NAMES for allocator in ALLOCATORS}
    for scene in SCENES:
        for allocator in ALLOCATORS:
            operations, flushes, sleeps, findings = rows[scene.name, allocator]
            assert operations == (scene.operations or 156_322)
            assert findings == 0
            assert (flushes > 0) == (allocator == "global_pool")
            assert (sleeps > 0) == (scene.name == "fault_storm" and allocator != "direct_map")


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", SCENE_NAMES)
def test_its_pages_are_drawn_whole_without_a_network(shown, browser, name, width, scheme):
    directory, _ = shown
    assert_all_drawn(browser, directory / f"{name}.html", width, scheme, at_least=10)


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("name", SCENE_NAMES)
def test_its_pages_speak_to_a_reader(shown, browser, name):
    directory, _ = shown
    open_page(browser, directory / f"{name}.html", 1280, "light")
    text = browser.execute_script("return document.body.innerText")
    for wanted in (f"Trace {name}", "No findings", "Main figures of each run", *ALLOCATORS):
        assert wanted in text
    for unwanted in ("nan", "None", "null", "undefined", "NaN", "0k", "{{"):
        assert unwanted not in text.split()
