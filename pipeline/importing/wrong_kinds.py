"""Files that are no recording's text, by how they begin: what each is, and how to make text of it."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.importing.text.blocks import read_head
from pipeline.trace.lock_text import find_format, say_no_trace

_KINDS = {
    rb"(?:PERFILE2|2ELIFREP)": "is perf's own recording; run 'perf script --ns -F "
    "comm,pid,tid,cpu,time,event,trace -i {path} > recording.txt' and import that",
    rb"\x17\x08Dtracing": "is trace-cmd's own recording; run 'trace-cmd report -t {path} > "
    "recording.txt' and import that",
    rb"(?:\xff\xfe|\xfe\xff)": "is text in UTF-16; run 'iconv -f utf-16 -t utf-8 {path} > recording.txt' and "
    "import that",
    rb"\s*Name +acquired +contended ": "is the output of perf lock report, which cuts names and does not say "
    "what it counted; give 'pipeline sql --runs' that of 'perf lock contention'",
    rb"\x7fELF": "is a program (ELF); give the recording that was made of it",
    rb"SQLite format 3\0": "is an SQLite database; write its table as CSV or Parquet and give --mapping",
    rb"\s*<(?:!doctype|html|\?xml)": "is a page (HTML or XML), not a recording's text; take the "
    "text out of it, or record with 'trace-cmd report -t'",
    rb"\s*[{\[]\s*(?:[\"{}\[\]]|$)": "is JSON (Chrome, Perfetto or another tool's), which "
    "is not read; write text of the events, or a table as CSV or Parquet and give --mapping",
    rb"PK\x03\x04": "is a ZIP archive; unpack it first",
    rb"%PDF": "is a PDF document; give the recording's text",
    rb"$": "is empty; record again",
}
# Too many columns are not told.
_COLUMNS_SHOWN = 12


def describe_wrong_kind(path: Path) -> str | None:
    """Say what the file at `path` is if it cannot be a recording that is read, and what to do; else None."""
    head = read_head(path, 4096)
    if not head and path.stat().st_size:
        return None
    # Events of locks may stand in a recording among those that a trace is made of.
    if (form := find_format(head)) not in (None, "contention"):
        return say_no_trace(form, path)
    for begins, what in _KINDS.items():
        if re.match(begins, head, re.IGNORECASE if begins.startswith(rb"\s*<") else 0):
            return what.replace("{path}", str(path))
    return None
