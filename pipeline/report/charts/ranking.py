"""The ranking of designs in words, as charts and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.report.chart_kind import ChartKind
from pipeline.report.document import Block
from pipeline.report.ranking import QUERY_COLUMNS, rank_runs
from pipeline.report.ranking_chart import draw_ranking
from pipeline.report.ranking_table import make_ranking_table, name_rankings
from pipeline.report.styles import RunStyles
from pipeline.runs.store import Run


class RankingOfRuns(ChartKind):
    """An answer in words, charts and a table for each workload and machine."""

    draws = "which design is fastest: in words, as dots with intervals, and as a table"
    requires = ()
    of_replications = True
    columns = QUERY_COLUMNS

    def show(self, block: Block, styles: RunStyles, runs: Sequence[Run]) -> None:
        """Add the tables; runs without a log are ranked by their totals."""
        bounds = [run.name for run in runs if styles.shown(run.name) in styles.bounds]
        rankings = rank_runs(runs, block.frame, bounds)
        for ranking, title in zip(rankings, name_rankings(rankings), strict=True):
            charts = draw_ranking(ranking, styles)
            block.tables.append(replace(make_ranking_table(ranking, title), charts=charts))
            block.charts.extend(charts)


KIND = RankingOfRuns()
