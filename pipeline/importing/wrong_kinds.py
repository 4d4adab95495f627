"""Recognise files that are not recordings by their first bytes, and say how to convert them."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.importing.text.blocks import read_head
from pipeline.trace.lock_text import find_format, say_no_trace

_KINDS = {
    rb"(?:PERFILE2|2ELIFREP)": "is in perf's binary format; run 'perf script --ns -F "
    "comm,pid,tid,cpu,time,event,trace -i {path} > recording.txt' and import recording.txt",
    rb"\x17\x08Dtracing": "is in trace-cmd's binary format; run 'trace-cmd report -t {path} > "
    "recording.txt' and import recording.txt",
    rb"(?:\xff\xfe|\xfe\xff)": "is UTF-16 text; run 'iconv -f utf-16 -t utf-8 {path} > recording.txt' and "
    "import recording.txt",
    rb"\s*Name +acquired +contended ": "is the output of perf lock report, which truncates names and does "
    "not state what it counts; use the output of 'perf lock contention' with 'pipeline sql --runs'",
    rb"\x7fELF": "is a program (ELF); give a recording of the program",
    rb"SQLite format 3\0": "is an SQLite database; export its table as CSV or Parquet and use --mapping",
    rb"\s*<(?:!doctype|html|\?xml)": "is an HTML or XML page; extract the text of the recording, or record "
    "with 'trace-cmd report -t'",
    rb"\s*[{\[]\s*(?:[\"{}\[\]]|$)": "is JSON (from Chrome, Perfetto or another tool), which is not "
    "supported; export the events as text, or as a CSV or Parquet table and use --mapping",
    rb"PK\x03\x04": "is a ZIP archive; unpack it first",
    rb"%PDF": "is a PDF document; give the text of the recording",
    rb"$": "is empty; record again",
}


def describe_wrong_kind(path: Path) -> str | None:
    """Return what the file at `path` is and what to do, if it is not a supported recording; else None."""
    head = read_head(path, 4096)
    if not head and path.stat().st_size:
        return None
    # A recording may contain lock events among the events of which a trace is built.
    if (form := find_format(head)) not in (None, "contention"):
        return say_no_trace(form, path)
    for begins, what in _KINDS.items():
        if re.match(begins, head, re.IGNORECASE if begins.startswith(rb"\s*<") else 0):
            return what.replace("{path}", str(path))
    return None
