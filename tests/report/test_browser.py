"""The report in a browser: everything drawn, nothing fetched, at every width and in both themes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from analysis.handmade import make_plausible_run

from pipeline.report.page import report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromedriver").exists(), reason="no chromium here"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    make_plausible_run(
        directory / "runs" / "1", "global_pool", contention=0.4, flush_every=200, sleeping=0.05
    )
    make_plausible_run(directory / "runs" / "2", "percpu_pinned", lock=False, pinning=0.02)
    make_plausible_run(
        directory / "runs" / "3", "<b>'odd' \"表\" \\ </script>", contention=0.1, flush_every=16
    )
    for number in range(4, 8):
        label = f"a_long_name slots={number} flush_if_any=true"
        run = directory / "runs" / str(number)
        make_plausible_run(run, label, seed=number, contention=0.05, flush_every=400, count=1000)
    return report([directory / "runs"], directory / "report.html")


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--no-first-run"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def opened(browser, page, width, scheme):
    """Load the page at a width and in a colour scheme, wait until it is drawn, and return its requests."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get_log("performance")
    browser.get(page.as_uri())
    deadline = time.monotonic() + 20
    while not browser.execute_script("return document.documentElement.dataset.drawn"):
        assert time.monotonic() < deadline, browser.get_log("browser")
        time.sleep(0.05)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
        and not m["params"]["request"]["url"].startswith("data:")
    ]


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_everything_is_drawn_and_nothing_fetched(browser, page, width, scheme):
    requests = opened(browser, page, width, scheme)
    assert [url for url in requests if url != page.as_uri()] == []
    assert browser.get_log("browser") == []
    charts = browser.execute_script(
        "return [...document.querySelectorAll('.chart')].map(c => {"
        " const marks = c.querySelectorAll('.mark-line path, .mark-rect path, .mark-symbol path');"
        " const box = c.querySelector('svg').getBoundingClientRect();"
        " return [marks.length, box.width, c.getBoundingClientRect().width]; })"
    )
    assert len(charts) > 10
    for marks, drawn, room in charts:
        assert marks > 0
        assert 0 < drawn <= room + 1
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_charts_follow_the_theme(browser, page):
    colours = {}
    for scheme in ("light", "dark"):
        opened(browser, page, 1280, scheme)
        colours[scheme] = browser.execute_script(
            "return ['.mark-line path', '.role-axis-label text'].map(s => {"
            " const style = getComputedStyle(document.querySelector('.chart svg ' + s));"
            " return s.includes('line') ? style.stroke : style.fill; })"
        )
    assert colours["light"] == ["rgb(0, 114, 178)", "rgb(85, 91, 102)"]
    assert colours["dark"] == ["rgb(86, 169, 232)", "rgb(169, 176, 188)"]


def test_the_data_table_holds_the_rows_of_the_query(browser, page):
    opened(browser, page, 1280, "light")
    rows = browser.execute_script(
        "const d = [...document.querySelectorAll('article')].find(a => a.innerText.includes('Hit rate'))"
        ".querySelector('details.rows'); d.open = true; return d"
    )
    deadline = time.monotonic() + 5
    while not rows.find_elements("css selector", "tbody tr"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cells = [cell.text for cell in rows.find_elements("css selector", "tbody td")[:6]]
    assert cells[:3] == ["global_pool", "all", "4000"]
    assert "<b>'odd' \"表\" \\ </script>" in rows.text
