"""The report in a browser: everything drawn, nothing fetched, at every width and in both themes."""

from __future__ import annotations

import re
import time

import pytest

from pipeline.report.report import report
from tests.report.browser import assert_all_drawn, chromium, needs_chromium, open_page
from tests.sql.handmade import make_plausible_run

pytestmark = [pytest.mark.browser, needs_chromium]


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
    with chromium() as driver:
        yield driver


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_everything_is_drawn_and_nothing_fetched(browser, page, width, scheme):
    assert_all_drawn(browser, page, width, scheme, at_least=11)


@pytest.mark.parametrize(("width", "most"), [(1400, 900), (390, 900)])
def test_the_first_screen_has_the_title_the_answer_and_the_ranking(browser, page, width, most):
    open_page(browser, page, width, "light")
    ends = browser.execute_script(
        "return ['h1', '.verdict', '.ranking figure:nth-of-type(1) svg'].map("
        "s => document.querySelector(s).getBoundingClientRect().bottom)"
    )
    assert ends == sorted(ends)
    assert ends[-1] < most
    assert browser.execute_script("return document.querySelector('h1').innerText").endswith(
        "which mapping design?"
    )


def test_a_click_on_a_heading_sorts_its_table(browser, page):
    open_page(browser, page, 1280, "light")
    heading = browser.find_element("css selector", ".ranking thead th:nth-child(3)")
    values = (
        "return [...document.querySelectorAll('.ranking tbody td:nth-child(3)')].map(c => +c.dataset.value)"
    )
    for least_first in (False, True):
        browser.execute_script("arguments[0].click()", heading)
        found = browser.execute_script(values)
        assert found == sorted(found, reverse=not least_first)


def test_charts_follow_the_theme(browser, page):
    colours = {}
    for scheme in ("light", "dark"):
        open_page(browser, page, 1280, scheme)
        colours[scheme] = browser.execute_script(
            "return ['.mark-line path', '.role-axis-label text'].map(s => {"
            " const style = getComputedStyle(document.querySelector('.tail .chart svg ' + s));"
            " return s.includes('line') ? style.stroke : style.fill; })"
        )
    assert colours["light"] == ["rgb(0, 114, 178)", "rgb(85, 91, 102)"]
    assert colours["dark"] == ["rgb(86, 169, 232)", "rgb(169, 176, 188)"]


def test_the_data_table_holds_the_rows_of_the_query(browser, page):
    open_page(browser, page, 1280, "light")
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


OPACITIES = (
    "return [...document.querySelectorAll('.bars .chart')[0].querySelectorAll('.mark-rect path')]"
    ".map(p => Number(getComputedStyle(p).opacity))"
)


def wait_for(browser, script, wanted):
    deadline = time.monotonic() + 10
    while (found := browser.execute_script(script)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_run_picked_by_key_is_followed_through_charts_and_tables(browser, page):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, page, 1280, "light")
    bars = len(browser.execute_script(OPACITIES))
    assert bars > 1
    buttons = browser.find_elements("css selector", "main article button.pick")
    buttons[0].send_keys(Keys.ENTER)
    wait_for(browser, OPACITIES, [1, *[0.12] * (bars - 1)])
    pressed = "return [...document.querySelectorAll('button.pick[aria-pressed=true]')].map(b => b.innerText)"
    names = browser.execute_script(pressed)
    assert len(names) > 1
    assert set(names) == {"global_pool"}
    assert browser.find_element("id", "picked").text == "Highlighted: global_pool. Press Escape to clear."
    table = (
        "return [...document.querySelectorAll('.ranking tbody tr')].filter(r => !r.matches('.faded')).length"
    )
    assert browser.execute_script(table) == 1
    buttons[2].send_keys(Keys.SPACE)
    assert browser.execute_script(table) == 2
    browser.find_element("css selector", "body").send_keys(Keys.ESCAPE)
    wait_for(browser, OPACITIES, [1] * bars)
    assert browser.execute_script(pressed) == []
    assert browser.get_log("browser") == []


def test_what_is_not_drawn_yet_is_drawn_for_print(browser, page, tmp_path):
    # Nothing comes near the window and nothing is idle: only print draws.
    held = tmp_path / "held.html"
    hold = "<script>window.IntersectionObserver = class { observe() {} unobserve() {} };"
    hold += "window.requestIdleCallback = () => {};</script>"
    text = page.read_text(encoding="utf-8")
    start = text.index('<meta http-equiv="Content-Security-Policy"')
    end = text.index(">", start) + 1
    held.write_text(text[:start] + hold + text[end:], encoding="utf-8")
    browser.get(held.as_uri())
    charts = (
        "return [document.querySelectorAll('.chart').length, document.querySelectorAll('.chart svg').length]"
    )
    every, drawn = browser.execute_script(charts)
    assert drawn == 0
    browser.execute_cdp_cmd("Page.printToPDF", {})
    assert browser.execute_script(charts) == [every, every]


def test_charts_are_those_that_vegas_own_interpreter_draws(browser, page, tmp_path):
    charts = "return [...document.querySelectorAll('.chart svg')].map(s => s.outerHTML)"
    open_page(browser, page, 1280, "light")
    drawn = browser.execute_script(charts)
    text = page.read_text(encoding="utf-8")
    assert text.count("expr: expressionClosures,") == 1
    start = text.index('<meta http-equiv="Content-Security-Policy"')
    text = text[:start] + text[text.index(">", start) + 1 :].replace("expr: expressionClosures,", "")
    theirs = tmp_path / "theirs.html"
    theirs.write_text(text, encoding="utf-8")
    open_page(browser, theirs, 1280, "light")
    assert without_ids(drawn) == without_ids(browser.execute_script(charts))


def without_ids(charts):
    """Clip paths are numbered in the order of drawing."""
    return [re.sub(r'(id="|url\(#)(clip|gradient)_?\d+', r"\1\2", chart) for chart in charts]


EXPRESSIONS = """
    1 + 2 * 3 - 4 / 8 % 3 ;; 7 & 5 ^ 1 ;; -3 >> 1 ;; -3 >>> 28 ;; 1 << 4 ;; ~5 ;; +'4' ;; !''
    '10' == 10 ;; '10' === 10 ;; 1 != 2 ;; 1 !== '1' ;; 2 < 1 || 3 >= 3 && 1 ;; null || 'b'
    1 ? 'yes' : 'no' ;; if(0, 'yes', 'no') ;; PI + E + SQRT2 + LN10 ;; isNaN(0 / 0) ;; isNaN('x')
    isFinite('1') ;; isFinite(1 / 0) ;; [1, 'a', [2]][2][0] ;; {a: 1, 'b': [2]}.b
    {a: {b: 5}}['a']['b'] ;; other * 2 ;; clamp(9, 0, 5) ;; min(3, 1, 2) ;; atan2(1, 2) ;; pow(2, 10)
    round(2.5) ;; floor(-2.5) ;; length('four') ;; length([1, 2]) ;; join([1, 2], '-')
    indexof('kmap', 'a') ;; lastindexof([1, 2, 1], 1) ;; slice('kunmap', 1, 3) ;; slice([1, 2, 3], -2)
    reverse([1, 2, 3]) ;; sort([3, 1, 2]) ;; upper('x') + lower('Y') ;; substring('kernel', 2, 4)
    split('a,b', ',') ;; replace('aab', 'a', 'c') ;; trim(' x ') ;; parseInt('12px')
    parseFloat('1.5e3') ;; test(/^k/, 'kmap') ;; test('^k', 'map') ;; regexp('a+') ;; btoa('a')
    atob('YQ==') ;; utcyear(utc(2002, 2, 8)) ;; utcmonth(0) ;; utcday(0) ;; month(datetime(2002, 2))
    date(datetime(2002, 2, 18, 5)) ;; year(datetime('2002-03-18')) ;; time(datetime(2002, 2, 18))
    hours(datetime(2002, 1, 1, 7, 8)) ;; timezoneoffset(0) ;; format(1234.5, ',.4~g') ;; isValid(null)
    isArray([]) ;; toNumber('5') ;; extent([3, 1, 2]) ;; span([1, 4]) ;; inrange(3, [1, 5])
    pad('7', 3, '0', 'left') ;; truncate('a long name', 5) ;; timeFormat(0, '%Y')
    utcFormat(0, '%H:%M') ;; merge({a: 1}, {b: 2})
"""
EVALUATE = """
    const [expressions, done] = [arguments[0], arguments[1]];
    const asked = expressions.map((update, i) => ({name: `s${i}`, update}));
    const signals = [{name: 'other', value: 21}, ...asked];
    const ask = async (options) => {
      const element = document.createElement('div');
      const {view} = await vegaEmbed(element, {signals}, {ast: true, mode: 'vega', ...options});
      return expressions.map((_, i) => String(JSON.stringify(view.signal(`s${i}`)) ?? view.signal(`s${i}`)));
    };
    Promise.all([ask({}), ask({expr: expressionClosures})]).then(done, (error) => done(String(error)));
"""


def test_expressions_are_worth_what_vegas_own_interpreter_says(browser, page):
    open_page(browser, page, 1280, "light")
    expressions = [text.strip() for text in re.split(";;|\n", EXPRESSIONS.strip())]
    theirs, ours = browser.execute_async_script(EVALUATE, expressions)
    assert dict(zip(expressions, ours, strict=True)) == dict(zip(expressions, theirs, strict=True))
    assert len(set(ours)) > 40


def test_an_expression_reaches_nothing_that_runs_code(browser, page):
    open_page(browser, page, 1280, "light")
    # Vega itself refuses the word.
    name = "['const' + 'ructor']"
    theirs, ours = browser.execute_async_script(EVALUATE, [f"other{name}{name}", "other + 1"])
    assert theirs == ours == ["undefined", "22"]
    said = [entry["message"] for entry in browser.get_log("browser")]
    assert len([message for message in said if "may not reach what runs code" in message]) == 1
