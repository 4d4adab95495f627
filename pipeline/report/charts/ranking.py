"""Who is fastest, as a table and in words."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.chart_kind import ChartKind
from pipeline.report.document import Block
from pipeline.report.ranking import QUERY_COLUMNS, rank_runs
from pipeline.report.ranking_table import make_ranking_table
from pipeline.report.styles import RunStyles
from pipeline.runs.store import Run


class RankingOfRuns(ChartKind):
    """A table for each trace and machine."""

    draws = "who is fastest, as a table"
    requires = ()
    columns = QUERY_COLUMNS

    def show(self, block: Block, styles: RunStyles, runs: Sequence[Run]) -> None:
        """Add the tables; runs are ranked by their totals also where no run has a log."""
        block.tables = [make_ranking_table(one) for one in rank_runs(runs, block.frame, styles.bounds)]


KIND = RankingOfRuns()
