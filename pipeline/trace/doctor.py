"""Examine a trace: describe it and find all its problems, in one pass and bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.io.progress import progress
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.trace.check import TraceCheck
from pipeline.trace.diagnosis import QUANTILES, Diagnosis, Problem, Reuse
from pipeline.trace.losses import LOSS, MEANINGS
from pipeline.trace.reader import Trace, open_trace
from pipeline.trace.scan import HISTOGRAMS, Scan, bucket_floor


def doctor(path: Path) -> Diagnosis:
    """Examine every row of the trace at `path`.

    All rows are checked, without sampling, and each type of problem is reported with its count and first row.
    Takes 0.1 us per row, 35 MB, and 8 bytes per page. Raises InputError if the file cannot be opened as a
    trace: no such file, not Parquet, truncated, no metadata, or missing columns.
    """
    trace = open_trace(Path(path))
    check, scan = TraceCheck(), Scan(trace.metadata.pages)
    with progress("examining", trace.rows, "rows") as advance:
        for batch in trace.tolerant_batches():
            scan.add(check.add(batch))
            advance(batch.num_rows)
    problems = [*check.problems(), *check.problems_of_whole(trace), *_losses(trace)]
    return _diagnosis(trace, check, scan, problems)


def _losses(trace: Trace) -> list[Problem]:
    """Return the losses of the recording that the importer counted."""
    return [
        Problem(
            code=f"loss_{name}", severity="warning", count=count, first_row=None,
            what=f"{LOSS}{MEANINGS.get(name, name)}",
            advice="docs/importing.md describes how to record more",
        )
        for name, count in trace.metadata.losses.items()
        if count
    ]  # fmt: skip


def _diagnosis(trace: Trace, check: TraceCheck, scan: Scan, problems: list[Problem]) -> Diagnosis:
    reused = scan.histograms[HISTOGRAMS.index("reuse")]
    return Diagnosis(
        path=str(trace.path),
        usable=all(problem.severity != "error" for problem in problems),
        metadata=trace.metadata,
        **check.counts(),
        span_ns=max(check.largest("end"), 0),
        kinds={kind: int(count) for kind, count in zip(KINDS, scan.kinds, strict=True)},
        quantiles_ns={
            name: {
                str(q): int(scan.maxima[code]) if q == 1 else _quantile(scan.histograms[code], q) or 0
                for q in QUANTILES
            }
            for code, name in enumerate(HISTOGRAMS)
            if name in COLUMN_NAMES
        },
        reuse=Reuse(share=int(reused.sum()) / max(scan.rows, 1), median_distance=_quantile(reused, 0.5))
        if scan.measures_reuse
        else None,
        max_depth=max(check.largest("depth"), 0),
        problems=problems,
    )


def _quantile(histogram: np.ndarray, quantile: float) -> int | None:
    """Return the lower end of the bucket that contains the value at `quantile`, or None without values."""
    cumulated = np.cumsum(histogram)
    total = int(cumulated[-1])
    if total == 0:
        return None
    rank = max(int(np.ceil(quantile * total)), 1)
    return bucket_floor(int(np.searchsorted(cumulated, rank)))
