"""Generate the parts of documents that come from the code: docs/format.md, docs/queries.md, example output.

`make docs` generates all of them, and `python docs/generate.py docs/queries.md` generates one. Tests compare
the files with what this script would write.
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
from pipeline.schema.names import CPU_CATEGORIES, EVENT_KINDS, FINDINGS, KINDS, PARTS, SERVED
from pipeline.schema.trace import (
    COLUMNS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_MAPPING,
    MAX_PAGE,
    MAX_TASKS,
    MAX_TIME_NS,
    OPTIONAL_COLUMNS,
    Column,
)
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
    """Return the text of docs/format.md: trace, run directory, event log and views, from their schemas."""
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

## Trace, versions 1 and 2

A trace is one Parquet file (zstd, row groups of about 256 k rows) with one row per mapping request, sorted by
`time_ns`. `?` marks a column that may be null. A value that was not recorded is null, or its column is marked
absent in the metadata; it is never zero. There are at most {MAX_TASKS:,} tasks, {MAX_TASKS:,} processes and
{MAX_PAGE:,} pages. Times and durations are below {MAX_TIME_NS:,} ns, and depths below {MAX_DEPTH}.
`pipeline doctor` and `pipeline replay` make the same checks: the rows are valid, they agree with the metadata
and the file's statistics, and their number is the number in the file.

{_columns(COLUMNS)}
Kinds: {", ".join(f"`{kind}`" for kind in KINDS)}.

A trace of version 2 has some of these columns as well. Without them, a trace is of version 1: every mapping
has one page, and its row both maps and unmaps it.

{_columns(OPTIONAL_COLUMNS)}
Parts:

{markdown_table(("part", "meaning"), [(f"`{name}`", meaning) for name, meaning in PARTS.items()])}
A row with part `map` maps, uses the mapping for `hold_ns` and `block_ns`, and ends; the mapping remains. A
later row of any task, with part `unmap` and the same `mapping`, unmaps it. Its kind, `page` and `pages` are
those of the map, its `hold_ns` and `block_ns` are 0, its `bytes` is null, and its `think_ns` and `wait_ns`
are those of its own task. Both rows have depth 0, and no operation is nested in an unmap. A mapping number
is used for one mapping only. A mapping that is never unmapped remains until the end. There are at most
{MAX_MAPPING:,} mapping numbers, and a mapping has at most {MAX_LENGTH:,} pages.

The key `pipeline.trace` in the footer contains these fields as JSON:

{_fields(TraceMetadata)}
`source`:

{_fields(Source)}
## Run directory

`runs/<id>/`, format version {RUN_FORMAT_VERSION}, contains `manifest.json`, `operations.parquet`,
`events.parquet` and the [sums](#sums). With `--events stretches` it also contains `stretches.parquet`, and
with `--events none` only the manifest. The directory is written under a temporary name and renamed when it is
complete. The id is the allocator's name and a hash of everything that determines the result.

### manifest.json

{_fields(Manifest)}
`allocator`:

{_fields(AllocatorReference)}
`parts` of `allocator`, empty for a run of one design:

{_fields(AllocatorPart)}
`totals`, counted by the simulator with or without a log:

{_fields(Totals)}
CPU time by category. For each CPU, the categories add up to exactly the simulated time (`wall_ns`):

{markdown_table(("category", "meaning"), [(f"`{name}`", doc) for name, doc in CPU_CATEGORIES.items()])}
Findings:

{markdown_table(("finding", "meaning"), [(f"`{name}`", meaning) for name, meaning in FINDINGS.items()])}
### How tables are stored

The tables below are those that the simulator fills and the SQL views show. The files store the same numbers
in fewer bits:

- The last column of each table below gives the Parquet type and encoding in the file.
- A column whose values are close to another column, or to a sum of others, is stored as the difference, with
  the prefix `delta_`: `process` is `task + delta_process`. If a column can be none, a difference of -1 means
  none, and no other negative difference is stored.
- A row with a number that does not fit the stored type is in `wide_operations.parquet`, `wide_events.parquet`
  or `wide_stretches.parquet` instead, where every column is stored unchanged. These files exist only if there
  are such rows.
- A table of more than about 33 million rows is split into several files: `operations.parquet`,
  `operations-2.parquet` and so on. `tables` in the manifest lists all files of a run.
- Row groups have about 130,000 rows. Their statistics contain the minimum and maximum of the columns with the
  encoding DELTA_BINARY_PACKED.

Only runs of designs for areas have the columns `pages` and `unmap_task`; in the manifest, `areas` of the
allocator is true. In these runs, -1 in `unmap_asked_ns`, `done_ns` and `unmap_task` means that no row of the
trace unmapped the mapping. A row of the trace with part `unmap` has no row in the log: its unmap is in the
row of the map. A worker of the design has no operation. Its holds of locks are events `relock` with site 2
and without an operation.

A run of format version 1 has one file for each table, in which every column is stored unchanged.

### operations

One row per mapping operation, in order of completion. In a column that identifies a slot, task, CPU or
operation, -1 means none; the SQL views show NULL. `served` is one of
{", ".join(f"`{name}`" for name in SERVED)}.

{_log_columns(OPERATIONS)}
### events

Everything that does not occur exactly once per operation.

{_log_columns(EVENTS)}
The contents of `slot`, `value` and `other` depend on the event; an empty cell means -1:

{markdown_table(("event", "meaning", "slot", "value", "other"), kinds)}
### stretches

The activity of each CPU over time, if the run was made with `--events stretches`: about five rows per
operation and ten bytes per row. The rows of a CPU are in order, without gaps from the first to the last. For
each category, `end_ns - begin_ns - interrupted_ns` adds up to `cpu_time` of the totals; `interrupted_ns` adds
up to the category `interrupted`. `op` and `task` identify the operation and task that used the time. For an
idle CPU they are none, and for a task's own computation `op` is the operation that the task starts next.

{_log_columns(STRETCHES)}
### Sums

The folder `{SUMS_FOLDER}` contains sums over the log, computed while the log is written. There is one Parquet
file for each of the views {summed}, with the columns of the view except `run`. The views read these files. If
a file is missing, they read the log. A file is missing in these cases:

- runs of older versions, and copies without the folder
- runs that ended before their trace (`trace_blocks`, `page_gaps`)
- holds or waits with more than {MOST_VALUES:,} different values of {SHORT_NS:,} ns or more
- traces with pages beyond {MOST_PAGES:,} (`page_gaps`)

## SQL views

`pipeline sql` provides these views over all given runs. `run` is the label of a run, made unique.

Recordings of a kernel's own pool (`*.kmap.parquet`, or the name of a shipped one) can be queried together
with runs: `pipeline sql --runs kcsleep2 --runs runs --name flush_frequency`. `op`, `task` and `page` are
numbered as in the trace that `pipeline import` makes from the recording, so you can join an operation of the
model with the kernel's own.

- Values that were not recorded are NULL: lock waits and holds, the time of an unmap request, interrupted
  CPUs, probed and scanned slots.
- `done_ns` is the time at which the unmap removed the mapping, with the lock held.
- A scan lasts until the next event of its task other than an eviction, a flush until the next event of its
  task, and a sleep until the task has the lock again.
- All durations are those of the recorded machine.

{views.rstrip()}
"""


def queries_document() -> str:
    """Return the text of docs/queries.md: the query library, from the headers of queries/*.sql."""
    parts = [
        "# Query library\n\nGenerated from the headers of `queries/*.sql` by `make docs`. To run a query, "
        "use `pipeline sql --name NAME --set parameter=value`. `--name lockmeter --format lockmeter` and "
        "`--name lock_stat --format lock_stat` print the tables in the formats of these tools. A recording "
        "of a kernel's own pool can be queried together with runs (`--runs kcsleep2 --runs runs`), to "
        "compare the model with the machine. Values that were not recorded are NULL.\n"
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
        parts.append(f"Reads: {', '.join(query.reads) or 'no view of the log'}.\n")
    parts.append(
        "# Macros\n\nMacros shared by several queries, from `pipeline/sql/definitions/macros/`. Your own "
        "queries can use them too. A relation is given by its name as text, either a view or a CTE of the "
        "same query: `FROM quantiles('hold_histogram')`. The views are described in "
        "[file formats](format.md#sql-views).\n"
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
    "docs/vmalloc.md", "docs/write-an-allocator.md",
)  # fmt: skip


def main(names: list[str]) -> None:
    """Write the documents with these names, or all documents."""
    # The module `examples` is importable only if this file runs as a script; tests load it by path.
    from examples import filled

    for name in names or [*(f"docs/{name}" for name in DOCUMENTS), *EXAMPLES]:
        path = ROOT / name
        make = DOCUMENTS.get(path.name)
        text = make() if make else filled(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
