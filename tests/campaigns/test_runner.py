"""The runner finds campaigns, divides the time, says what failed and writes the table of counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.__main__ import Campaign, main, run_all
from tests.campaigns.document import BEGIN, END, write_counts
from tests.campaigns.result import CampaignResult


def _campaign(name: str, minutes: float = 1, failure: str | None = None) -> Campaign:
    def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
        result = CampaignResult(name, seed)
        result.tries["tries"] += round(budget_s)
        if failure:
            result.fail(failure, keep / "input")
        return result

    return Campaign(run, minutes)


def test_the_time_is_divided_by_need_and_a_failure_names_its_input(tmp_path, capsys):
    chosen = {"one": _campaign("one", 3), "two": _campaign("two", 2, "it is\nwrong")}
    first, second = run_all(chosen, 100, 7, tmp_path)
    assert (first.tries["tries"], second.tries["tries"]) == (60, 100)
    assert f"FAILED: it is wrong; kept in {tmp_path / 'two' / 'input'}" in capsys.readouterr().out


def test_the_table_of_counts_keeps_rows_of_campaigns_that_were_not_run(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    write_counts([CampaignResult("one", 1), CampaignResult("two", 1)], page)
    write_counts([CampaignResult("one", 9)], page)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert [line.split(" | ")[:1] + line.split(" | ")[4:5] for line in lines if " min " in line] == [
        ["| one", "9"], ["| two", "1"],
    ]  # fmt: skip


def test_an_unknown_campaign_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing-of-the-sort"])
    assert "unknown campaign 'nothing-of-the-sort'" in capsys.readouterr().err
