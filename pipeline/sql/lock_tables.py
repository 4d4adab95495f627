"""Lock statistics in two established forms: lockmeter's, and that of /proc/lock_stat.

Lockmeter's form is that of its reports of 2002 (M. J. Bligh, linux-kernel, 18 March 2002): three significant
digits, and a unit after each time. The form of /proc/lock_stat is that of Linux
(Documentation/locking/lockstat.rst), version 0.4: times in us with two decimals. Unknown values are dashes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from pipeline.errors import UsageError
from pipeline.schema.locks import ALL_SITES, POOL_LOCK
from pipeline.sql.library import load_query

Row = dict[str, Any]

UNKNOWN = "-"

_NAME_WIDTH, _FIGURE_WIDTH = 40, 14


def lockmeter_text(frame: pl.DataFrame) -> str:
    """Write a result of the query `lockmeter` in lockmeter's form: a table for each run, below its name.

    All contended acquisitions spin, so SPIN equals CON, and none is rejected (RJECT). The wait is 0 if there
    were no contended acquisitions, as in lockmeter. Raises UsageError if a column is missing.
    """
    lines: list[str] = []
    for run, rows in _by_run(frame, "lockmeter"):
        lines += [
            *([""] if lines else []),
            run,
            "SPINLOCKS         HOLD            WAIT",
            "  UTIL  CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)     TOTAL NOWAIT SPIN RJECT  NAME",
            *(_lockmeter_line(row) for row in rows),
        ]
    return "\n".join(lines or ["(no rows)"]) + "\n"


def _lockmeter_line(row: Row) -> str:
    contended = row["con_percent"]
    free = None if contended is None else 100.0 - contended
    never_waited = contended == 0
    name = row["lock"] if row["site"] == ALL_SITES else f"  {row['site']}" if row["lock"] else row["site"]
    total = UNKNOWN if row["acquisitions"] is None else row["acquisitions"]
    return (
        f"{_percent(row['util_percent']):>6}{_percent(contended):>6}"
        f"{_time(row['hold_mean_us']):>7}({_time(row['hold_max_us']):>6})"
        f"{_time(0.0 if never_waited else row['wait_mean_us']):>7}"
        f"({_time(0.0 if never_waited else row['wait_max_us']):>6})({_percent(row['cpu_percent']):>5})"
        f"{total:>10}{_percent(free):>6}{_percent(contended):>6}{_percent(0.0):>6}  {name}"
    )


def _percent(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if value == 0 or value >= 99.95:
        return f"{value:.0f}%"
    return f"{value:.2f}%" if value < 0.995 else f"{value:.1f}%"


def _time(microseconds: float | None) -> str:
    if microseconds is None:
        return UNKNOWN
    if microseconds == 0:
        return "0us"
    for size, unit in ((1.0, "us"), (1e3, "ms")):
        value = microseconds / size
        if value < 9.95:
            return f"{value:.1f}{unit}"
        if value < 9999.5:
            return f"{value:.0f}{unit}"
    return f"{microseconds / 1e6:.0f}s"


def lock_stat_text(frame: pl.DataFrame) -> str:
    """Write a result of the query `lock_stat` in the form of /proc/lock_stat: a class for each run's lock.

    The class has the name of the run or of the measured lock. Its contention points are the sites with their
    contended acquisitions, without addresses. The second list of points, the sites of the holders, is
    omitted, as these are unknown. Raises UsageError if a column is missing.
    """
    # In the order and with the names of /proc/lock_stat, with _ instead of -.
    _, _, _, *figures = _columns("lock_stat")
    width = _NAME_WIDTH + 1 + len(figures) * (_FIGURE_WIDTH + 1)
    head = " ".join(name.replace("_", "-").rjust(_FIGURE_WIDTH) for name in figures)
    lines = ["lock_stat version 0.4", "-" * width, f"{'class name':>{_NAME_WIDTH}} {head}", "-" * width, ""]
    for name, rows in _by_class(frame):
        sums = [row for row in rows if row["site"] == ALL_SITES or row["lock"] is None]
        points = [row for row in rows if row not in sums and row["contentions"]]
        for row in sums:
            cells = (_figure(row, figure).rjust(_FIGURE_WIDTH) for figure in figures)
            lines.append(f"{name:>{_NAME_WIDTH}}:" + " ".join(cells))
        if points:
            lines.append(("-" * len(name)).rjust(_NAME_WIDTH))
        lines += [
            f"{name:>{_NAME_WIDTH}} {row['contentions']:>{_FIGURE_WIDTH}} {'[<->]':>29} {row['site']}"
            for row in points
        ]
        lines += ["", "." * width, ""]
    return "\n".join(lines) + "\n"


def _by_class(frame: pl.DataFrame) -> list[tuple[str, list[Row]]]:
    """Group rows by the name of their lock; the pool's lock has the name of its run."""
    classes: dict[tuple[str, str], list[Row]] = {}
    for run, rows in _by_run(frame, "lock_stat"):
        for row in rows:
            name = run if row["lock"] == POOL_LOCK else row["lock"] or row["site"]
            classes.setdefault((run, name), []).append(row)
    return [(name, rows) for (_, name), rows in classes.items()]


def _figure(row: Row, name: str) -> str:
    value = row[name]
    if name.startswith("waittime") and row["contentions"] == 0:
        value = 0.0
    if value is None:
        return UNKNOWN
    return str(value) if isinstance(value, int) else f"{value:.2f}"


FORMS: dict[str, Callable[[pl.DataFrame], str]] = {
    "lockmeter": lockmeter_text,
    "lock_stat": lock_stat_text,
}


def _columns(form: str) -> list[str]:
    return [column.name for column in load_query(form).columns]


def _by_run(frame: pl.DataFrame, form: str) -> list[tuple[str, list[Row]]]:
    """Group rows by run, in order. Control characters in names are escaped."""
    wanted = _columns(form)
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise UsageError(
            f"format '{form}' requires the columns {', '.join(wanted)}; this result lacks "
            f"{', '.join(missing)}; use it with --name {form}"
        )
    groups: dict[str, list[Row]] = {}
    for row in frame.iter_rows(named=True):
        groups.setdefault(" ".join(str(row["run"]).split()), []).append(row)
    return list(groups.items())
