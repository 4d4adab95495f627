"""Recorders that are small shell scripts on PATH, so that no test hangs on what this machine allows."""

from __future__ import annotations

from pathlib import Path

# A process reads a page of a file, and its stack faults.
_READ = "syscalls:sys_enter_read: fd: 0x00000003, buf: 0x7f0000001000, count: 0x00001000"
PERF_TEXT = "".join(
    f"            cat 70/70 [000]  100.0000{micros:02}000: {event}\n"
    for micros, event in (
        (0, _READ),
        (2, "filemap:mm_filemap_get_pages: dev=254:0 ino=3f808 ofs=0-4095"),
        (5, "syscalls:sys_exit_read: 0x1000"),
        (20, "exceptions:page_fault_user: address=0x7ffd00001000 ip=0x401000 error_code=0x6"),
        (40, _READ),
        (42, "filemap:mm_filemap_get_pages: dev=254:0 ino=3f808 ofs=4096-8191"),
        (45, "syscalls:sys_exit_read: 0x1000"),
    )
)
LOST_LINE = "            cat 70/70 [000]  100.000046000: PERF_RECORD_LOST lost {count}\n"

STRACE_TEXT = """\
70 1795387398.000000 openat(AT_FDCWD</tmp>, "/etc/passwd", O_RDONLY) = 3</etc/passwd> <0.000010>
70 1795387398.000100 read(3</etc/passwd>, "x"..., 8192) = 8192 <0.000030>
70 1795387398.000300 +++ exited with 0 +++
"""

# What perf report --stats says of losses: 2 records about them, of 30 events and 12 records of tasks.
STATISTICS = """
Aggregated stats:
           TOTAL events:        120
    LOST_SAMPLES events:          2  ( 1.7%)
vmalloc:alloc_vmap_area stats:
          SAMPLE events:         64
    LOST_SAMPLES events:         30
dummy:HG stats:
    LOST_SAMPLES events:         12
"""

_PERF = """#!/bin/sh
# record ... -m PAGES ... -o DATA -- COMMAND, or script, evlist or report
echo "$*" >> {text}.calls
case $1 in
record)
    [ -n "{refusal}" ] && {{ echo "{refusal}" >&2; exit 129; }}
    while [ "$1" != -m ]; do shift; done
    [ "$2" -gt {most_pages} ] && {{ echo "Permission error mapping pages." >&2; exit 255; }}
    while [ "$1" != -o ]; do shift; done
    touch "$2"; shift 3; exec "$@";;
script) cat {text};;
evlist) [ -s {text}.statistics ] && echo "cycles: read_format: ID|LOST, disabled: 1";;
report) cat {text}.statistics;;
esac
"""
_STRACE = """#!/bin/sh
[ -n "{refusal}" ] && {{ echo "{refusal}" >&2; exit 1; }}
while [ "$1" != -o ]; do shift; done
cp {text} "$2"; shift 3; exec "$@"
"""


def perf(
    directory: Path, text: str = PERF_TEXT, refusal: str = "", statistics: str = "", most_pages: int = 10**6
) -> None:
    """Put a `perf` into `directory` that records `text`, or refuses; it notes its calls in `perf.txt.calls`.

    With `statistics`, it counts lost events. It refuses a buffer of more than `most_pages` pages.
    """
    (directory / "perf.txt.statistics").write_text(statistics)
    _script(directory, "perf", _PERF, text, refusal=refusal, most_pages=most_pages)


def strace(directory: Path, text: str = STRACE_TEXT, refusal: str = "") -> None:
    """Put a `strace` into `directory` that records `text`, or refuses."""
    _script(directory, "strace", _STRACE, text, refusal=refusal)


def _script(directory: Path, name: str, script: str, text: str, **fields: object) -> None:
    said = directory / f"{name}.txt"
    said.write_text(text)
    path = directory / name
    path.write_text(script.format(text=said, **fields))
    path.chmod(0o755)
