"""Write what documents take from the code: docs/format.md, docs/queries.md and the output of examples.

`make docs` runs it, and `python docs/generate.py docs/queries.md` does it for one of them; tests compare the
files with what it would write.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from pipeline.io.tables import markdown_table
from pipeline.runs.add_up import SHORT_NS
from pipeline.runs.sums import MOST_PAGES, MOST_VALUES
from pipeline.schema.log import EVENTS, OPERATIONS, STRETCHES, LogColumn
from pipeline.schema.manifest import (
    RUN_FORMAT_VERSION,
    SUMS_FOLDER,
    AllocatorPart,
    AllocatorReference,
    Manifest,
    Totals,
)
from pipeline.schema.names import CPU_CATEGORIES, EVENT_KINDS, FINDINGS, KINDS, SERVED
from pipeline.schema.trace import COLUMNS, FORMAT_VERSION, MAX_DEPTH, MAX_PAGE, MAX_TASKS, MAX_TIME_NS, Column
from pipeline.schema.trace_metadata import Source, TraceMetadata
from pipeline.sql.library import queries
from pipeline.sql.macros import MACROS
from pipeline.sql.views import VIEWS

ROOT = Path(__file__).parent.parent


def _columns(columns: Iterable[Column]) -> str:
    rows = [
        (f"`{c.name}`", str(c.type).split("<")[0] + ("?" if c.nullable else ""), c.unit, c.doc)
        for c in columns
    ]
    return markdown_table(("column", "type", "unit", "meaning"), rows)


def _log_columns(columns: Iterable[LogColumn]) -> str:
    rows = [(f"`{c.name}`", str(c.type).split("<")[0], c.unit, c.doc, _storage(c)) for c in columns]
    return markdown_table(("column", "type", "unit", "meaning", "in the file"), rows)


def _storage(column: LogColumn) -> str:
    stored = column.stored
    kind = str(stored.type).split("<")[0]
    others = "".join(f" - `{name}`" for name in stored.plus) + "".join(
        f" + `{name}`" for name in stored.minus
    )
    difference = f"`{column.stored_name}` = `{column.name}`{others}, " if others else ""
    return f"{difference}{kind}, {stored.encoding}"


def _fields(model: type) -> str:
    rows = []
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        kind = str(field.annotation).replace("typing.", "")
        kind = getattr(field.annotation, "__name__", kind) if "[" not in kind else kind
        rows.append((f"`{name}`", re.sub(r"pipeline\.schema\.\w+\.", "", kind), field.description or ""))
    return markdown_table(("field", "type", "meaning"), rows)


def format_document() -> str:
    """Text of docs/format.md: trace, run directory, event log and views, from their schemas."""
    kinds = [
        (f"`{name}`", meaning, slot or "", value or "", other or "")
        for name, (meaning, slot, value, other) in EVENT_KINDS.items()
    ]
    summed = ", ".join(f"`{view.name}`" for view in VIEWS.values() if view.summed)
    views = "".join(
        f"### {view.name}\n\n{view.doc}\n\n"
        + markdown_table(
            ("column", "unit", "meaning"), [(f"`{c.name}`", c.unit, c.doc) for c in view.columns]
        )
        + "\n"
        for view in VIEWS.values()
    )
    return f"""# File formats

Generated from the schemas in `pipeline/schema/` and `pipeline/sql/views.py` with
`pipeline/sql/definitions/views/` by `make docs`.

## Trace, version {FORMAT_VERSION}

One Parquet file (zstd, row groups of about 256 k rows), one row per mapping request, sorted by `time_ns`. `?`
marks a column that may be null: what was not recorded is null or marked absent in the metadata, never zero.
Tasks and processes number at most {MAX_TASKS:,}, pages {MAX_PAGE:,}, times and durations are below
{MAX_TIME_NS:,} ns and depths below {MAX_DEPTH}. `pipeline doctor` and `pipeline replay` check the same: the
rows, what the metadata and the file's statistics say of them, and that there are as many as the file says.

{_columns(COLUMNS)}
Kinds: {", ".join(f"`{kind}`" for kind in KINDS)}.

The footer's key `pipeline.trace` holds this, as JSON:

{_fields(TraceMetadata)}
`source`:

{_fields(Source)}
## Run directory

`runs/<id>/`, of version {RUN_FORMAT_VERSION}, holds `manifest.json`, `operations.parquet`,
`events.parquet` and the [sums](#sums); with `--events stretches` also `stretches.parquet`, with
`--events none` the manifest alone. It is written under a temporary name and renamed when complete. The id is
the allocator's name and a hash of everything that determines the result.

### manifest.json

{_fields(Manifest)}
`allocator`:

{_fields(AllocatorReference)}
`parts` of it, empty for a run of one design:

{_fields(AllocatorPart)}
`totals`, counted by the simulator whether a log is kept or not:

{_fields(Totals)}
CPU time by category; for each CPU the categories add up to the wall time exactly:

{markdown_table(("category", "meaning"), [(f"`{name}`", doc) for name, doc in CPU_CATEGORIES.items()])}
Findings:

{markdown_table(("finding", "meaning"), [(f"`{name}`", meaning) for name, meaning in FINDINGS.items()])}
### How tables are stored

The tables below are those that the simulator fills and the SQL views show. Their files hold the same
numbers in fewer bits:

- The last column below gives the Parquet type and encoding of a column in the file.
- A column that is near another one, or a sum of others, is stored as the difference to these, under its name
  with `delta_` before it: `process` is `task + delta_process`. Of a column that can be none, the difference
  is -1 where it is none, and no other negative difference is stored.
- A row in which any number has no room in its type is not in that file but in `wide_operations.parquet` or
  `wide_events.parquet` and so on, where every column is as it is. There is such a file only if there is such
  a row.
- A table of more than about 33 million rows has several files: `operations.parquet`, `operations-2.parquet`
  and so on. `tables` of the manifest names all files of a run.
- Row groups have some 130,000 rows. Their statistics say the least and greatest number of the columns of
  encoding DELTA_BINARY_PACKED.

A run of version 1 has one file for each table, in which every column is as it is.

### operations

One row per mapping operation, in the order in which they were done. -1 in a column that names a slot, task,
CPU or operation means none; the SQL views turn it into NULL. `served` is one of
{", ".join(f"`{name}`" for name in SERVED)}.

{_log_columns(OPERATIONS)}
### events

Everything that does not happen exactly once per operation.

{_log_columns(EVENTS)}
What `slot`, `value` and `other` hold, by event; where nothing is said, -1:

{markdown_table(("event", "meaning", "slot", "value", "other"), kinds)}
### stretches

What each CPU did from when to when, if the run was made with `--events stretches`: some five rows an
operation and ten bytes a row. From its first row to its last, a CPU's rows follow one another without a
gap, in their order. `end_ns - begin_ns - interrupted_ns` adds up to `cpu_time` of the totals, category
by category, and `interrupted_ns` to its category `interrupted`. `op` and `task` are whose time it was:
of an idle CPU none, of a task's own computing the operation that it is about to begin.

{_log_columns(STRETCHES)}
### Sums

The folder `{SUMS_FOLDER}` has what the log adds up to, made while it was written: a Parquet file for each of
the views {summed}, with
the view's columns but `run`. The views read it there. Where a file is missing, they read the log: of older
runs, of copies without it, of runs that ended before their trace (`trace_blocks`, `page_gaps`), of holds or
waits with more than {MOST_VALUES:,} different values from {SHORT_NS:,} ns on, and of traces with pages beyond
{MOST_PAGES:,} (`page_gaps`).

## SQL views

`pipeline sql` sees these, over all the runs it is given. `run` is the run's label, made unique.

A recording of the kernel's own pool (`*.kmap.parquet`, or the name of a shipped one) can be given beside the
runs: `pipeline sql --runs kcsleep2 --runs runs --name flush_frequency`. `op`, `task` and `page` are numbered
as in the trace that `pipeline import` makes of it, so that an operation of the model can be joined with the
kernel's own. NULL is what was not recorded: waits for the lock and holds, when an unmap was asked for, CPUs
interrupted, slots probed and scanned. `done_ns` is when the unmap took the mapping away, with the lock held;
a scan lasts until its task's next event but evictions, a flush until its task's next event, a sleep until the
task has the lock again. All durations are those of the recorded machine.

{views.rstrip()}
"""


def queries_document() -> str:
    """Text of docs/queries.md: the query library, from the headers of queries/*.sql."""
    parts = [
        "# Query library\n\nGenerated from the headers of `queries/*.sql` by `make docs`. Run one with "
        "`pipeline sql --name NAME --set parameter=value`; `--name lockmeter --format lockmeter` and "
        "`--name lock_stat --format lock_stat` print the tables that kernel engineers know. A recording of a "
        "kernel's own pool may stand beside the runs (`--runs kcsleep2 --runs runs`): one query then answers "
        "whether the model matches the machine, with NULL for what was not recorded.\n"
    ]
    for query in queries().values():
        parts.append(f"## {query.name}\n\n{query.question}\n")
        if query.params:
            rows = [(f"`{p.name}`", str(p.default), p.doc) for p in query.params]
            parts.append(markdown_table(("parameter", "default", "meaning"), rows))
        parts.append(
            markdown_table(
                ("column", "unit", "meaning"), [(f"`{c.name}`", c.unit, c.doc) for c in query.columns]
            )
        )
        parts.append(f"Reads: {', '.join(query.reads) or 'nothing of the log'}.\n")
    parts.append(
        "# Macros\n\nWhat several queries do, from `pipeline/sql/definitions/macros/`; your own query may "
        "use them too. A relation is given by its name as text, of a view or of a CTE of the same query: "
        "`FROM quantiles('hold_histogram')`. The views are in [file formats](format.md#sql-views).\n"
    )
    for macro in MACROS.values():
        parts.append(f"## {macro.call}\n\n{macro.doc}\n")
        parts.append(
            markdown_table(("parameter", "meaning"), [(f"`{n}`", doc) for n, doc in macro.parameters])
        )
        parts.append(markdown_table(("column", "meaning"), [(f"`{n}`", doc) for n, doc in macro.columns]))
    return "\n".join(parts)


DOCUMENTS = {"format.md": format_document, "queries.md": queries_document}
EXAMPLES = (
    "README.md", "docs/architecture.md", "docs/comparing.md", "docs/exploring.md", "docs/export.md",
    "docs/importing.md", "docs/notebook.md", "docs/report.md", "docs/studies.md", "docs/sweeping.md",
    "docs/write-an-allocator.md",
)  # fmt: skip


def main(names: list[str]) -> None:
    """Write the documents of these names, or all of them."""
    # Only a script finds its neighbour; tests load this file by its path.
    from examples import filled

    for name in names or [*(f"docs/{name}" for name in DOCUMENTS), *EXAMPLES]:
        path = ROOT / name
        make = DOCUMENTS.get(path.name)
        text = make() if make else filled(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
