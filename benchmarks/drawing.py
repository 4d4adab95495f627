"""Measure the time a browser takes to draw the charts of a report of 16 runs.

    python benchmarks/drawing.py [--rounds 7] [--page REPORT.html]

Requires Debian's chromium and chromium-driver. Prints the median and the minimum of three times: from the
start of loading until the page is readable, until all charts are drawn, and of the longest task that blocks
the page.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RUNS = 16
OPERATIONS = 20_000
WATCH = """
window.drawing = {longest: 0};
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) drawing.longest = Math.max(drawing.longest, task.duration);
}).observe({type: "longtask", buffered: true});
new MutationObserver(() => {
  if (document.documentElement?.dataset.drawn) drawing.drawn ??= performance.now();
}).observe(document, {attributes: true, subtree: true, attributeFilter: ["data-drawn"]});
"""
ASK = """
const [page] = performance.getEntriesByType("navigation");
return drawing.drawn && [page.domInteractive, drawing.drawn, drawing.longest];
"""


def make_report(directory: Path) -> Path:
    """Make a report of replays of one trace through pools of 16 sizes; return its path."""
    program = Path(sys.executable).with_name("pipeline")

    def run(words: str) -> None:
        subprocess.run([program, *words.split()], cwd=directory, capture_output=True, check=True)

    run(f"generate kernel_build -o trace.parquet --ops {OPERATIONS}")
    for number in range(RUNS):
        run(f"replay trace.parquet -a global_pool -m numaq16 -s slots={128 + 64 * number}")
    run("report -o report.html")
    return directory / "report.html"


def draw(browser: Any, page: Path) -> list[float]:
    """Return the times in ms until the page is readable, until it is drawn, and of the longest task."""
    browser.get("about:blank")
    browser.get(page.as_uri())
    deadline_s = time.monotonic() + 60
    while not (found := browser.execute_script(ASK)):
        assert time.monotonic() < deadline_s, browser.get_log("browser")
        time.sleep(0.05)
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--page", type=Path, help="report to draw instead of a new one")
    options = parser.parse_args()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    settings = webdriver.ChromeOptions()
    settings.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        settings.add_argument(argument)
    with tempfile.TemporaryDirectory() as name:
        page = options.page.resolve() if options.page else make_report(Path(name))
        browser = webdriver.Chrome(options=settings, service=Service("/usr/bin/chromedriver"))
        try:
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
            found = [draw(browser, page) for _ in range(options.rounds)]
            charts = browser.execute_script("return document.querySelectorAll('.chart svg').length")
        finally:
            browser.quit()
        size_mb = page.stat().st_size / 1e6
    print(f"a report of {size_mb:.1f} MB with {charts} charts; median and minimum of {options.rounds} rounds")
    for what, times in zip(
        ("page readable", "all charts drawn", "longest task"), zip(*found, strict=True), strict=True
    ):
        print(f"  {what}: {statistics.median(times):,.0f} ms, {min(times):,.0f} ms")


if __name__ == "__main__":
    main()
