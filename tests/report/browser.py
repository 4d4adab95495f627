"""Opening a report in headless Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

needs_chromium = pytest.mark.skipif(not Path("/usr/bin/chromedriver").exists(), reason="no chromium here")

# Marks, width drawn and room of each chart.
_CHARTS = (
    "return [...document.querySelectorAll('.chart')].map(c => {"
    " const marks = c.querySelectorAll('.mark-line path, .mark-rect path, .mark-symbol path');"
    " const box = c.querySelector('svg').getBoundingClientRect();"
    " return [marks.length, box.width, c.getBoundingClientRect().width]; })"
)
# Marks of each chart that has one for each run.
_COMPARED = (
    "return [...document.querySelectorAll('.bars .chart, .range .chart, .ranking .chart')].map(c => "
    " c.querySelectorAll('.mark-rect path, .mark-symbol path, .mark-rule line').length)"
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window, closed at the end of the block."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--no-first-run"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def open_page(browser: Any, page: Path, width: int, scheme: str) -> list[str]:
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


def assert_all_drawn(browser: Any, page: Path, width: int, scheme: str, at_least: int) -> None:
    """Every chart has marks and room, nothing is wider than the page, fetched or complained of."""
    requests = open_page(browser, page, width, scheme)
    assert [url for url in requests if url != page.as_uri()] == []
    assert browser.get_log("browser") == []
    charts = browser.execute_script(_CHARTS)
    assert len(charts) >= at_least
    for marks, drawn, room in charts:
        assert marks > 0
        assert 0 < drawn <= room + 1
    assert min(browser.execute_script(_COMPARED), default=2) > 1, "a chart of a single mark compares nothing"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
