"""Examine a trace: describe it and find all its problems, in one pass and bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.io.progress import progress
from pipeline.schema.codes import PART_UNMAP
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMN_NAMES, MAX_LENGTH
from pipeline.trace.check import TraceCheck
from pipeline.trace.diagnosis import QUANTILES, Diagnosis, Mappings, Problem, Reuse
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
    lengths = np.zeros(1, np.int64)
    plain = trace.columns == COLUMN_NAMES
    with progress("examining", trace.rows, "rows") as advance:
        for batch in trace.tolerant_batches():
            columns = check.add(batch)
            if not plain:
                columns = _maps(columns)
                lengths = _add_lengths(lengths, columns)
            scan.add(columns)
            advance(batch.num_rows)
    problems = [*check.problems(), *check.problems_of_whole(trace), *_losses(trace)]
    return _diagnosis(trace, check, scan, _mappings(check, lengths), problems)


def _maps(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the rows that map."""
    if not len(columns["part"]):
        return columns
    maps = columns["part"] != PART_UNMAP
    return {name: values[maps] if len(values) else values for name, values in columns.items()}


def _add_lengths(lengths: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the number of mappings of each length in pages, int64 [longest + 1]."""
    pages = columns["pages"] if len(columns["pages"]) else np.ones(len(columns["page"]), np.int32)
    found = np.bincount(np.clip(pages, 0, MAX_LENGTH), minlength=len(lengths))
    found[: len(lengths)] += lengths
    return found


def _mappings(check: TraceCheck, lengths: np.ndarray) -> Mappings | None:
    if not lengths.any():
        return None
    used = np.flatnonzero(lengths)
    return Mappings(
        apart=check.mappings.mapped,
        handed_over=check.mappings.handed_over,
        remaining=check.mappings.remaining,
        least_pages=int(used[0]),
        median_pages=int(np.searchsorted(np.cumsum(lengths), (lengths.sum() + 1) // 2)),
        most_pages=int(used[-1]),
    )


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


def _diagnosis(
    trace: Trace, check: TraceCheck, scan: Scan, mappings: Mappings | None, problems: list[Problem]
) -> Diagnosis:
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
        mappings=mappings,
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
