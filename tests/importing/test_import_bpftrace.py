"""The lines that record.bt prints are those that its importer reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.io.resources import shipped_folder
from tests.importing.recorded import imported

SCRIPT = (shipped_folder("traces") / "record.bt").read_text()
# Probe names and format of each printf of an event.
PROBES = re.findall(r"((?:tracepoint:[\w:]+,?\n)+)(?:/.*/\n)?\{\n\tprintf\(\"(.*?)\\n\"", SCRIPT)


def _line(event: str, time_us: int, *fields: int | str) -> str:
    """One line as the script's own format gives it."""
    for names, form in PROBES:
        probes = names.replace(",", "").split()
        for probe in probes:
            if probe.endswith(f":{event}"):
                head: list[int | str] = ["a b", 7, 7, 1, 5, time_us * 1000]
                if "%s: " in form.split(": ", 1)[1]:
                    head.append(probe)
                return re.sub(r"%(0?\d*)ll", r"%\1", form) % (*head, *fields) + "\n"
    raise AssertionError(f"record.bt has no probe for {event}")


def test_each_probe_of_the_script_is_understood(tmp_path: Path) -> None:
    text = "Attaching 20 probes...\n# record.bt 1\n" + "".join(
        [
            _line("page_fault_user", 0, 0x1000),
            _line("sys_enter_openat", 1, 0xFFFFFF9C),
            _line("sys_exit_openat", 2, 3),
            _line("sys_enter_read", 10, 3, 0x7F0000, 0x2000),
            _line("mm_filemap_get_pages", 12, 8, 1, 0xFF, 0, 8191),
            _line("page_fault_kernel", 14, 0x7F1000),
            _line("sys_exit_read", 20, 0x1800),
            _line("sys_enter_pread64", 21, 3, 0x7F0000, 0x10, 0x1000),
            _line("mm_filemap_get_pages", 22, 8, 1, 0xFF, 4096, 8191),
            _line("sys_exit_pread64", 23, 0x10),
            _line("sys_enter_write", 30, 4, 0x7F0000, 0x10),
            _line("ext4_da_write_begin", 32, 8, 1, 255, 0, 16),
            _line("ext4_da_write_end", 34, 8, 1, 255, 0, 16),
            _line("sys_exit_write", 36, 16),
            _line("sched_switch", 40, 7, "S", 9),
            _line("sched_switch", 90, 9, "R", 7),
            _line("task_newtask", 92, 8, 0x10000),
            _line("sched_process_exec", 94, 7),
            _line("page_fault_user", 96, 0x1000),
            _line("sys_enter_lseek", 97, 3),
            _line("sys_exit_lseek", 98, 0),
            _line("sys_enter_close", 99, 3),
            _line("sys_exit_close", 100, 0),
            "Lost 5 events\n",
            _line("sched_process_exit", 101, 7),
        ]
    )
    rows, result = imported(tmp_path, text)
    assert result.format == "bpftrace"
    assert result.metadata.losses == {"lost_events": 5}
    fault, read, written = "page_fault", "copy_to_user", "copy_from_user"
    assert rows["kind"].to_list() == [fault, read, read, fault, read, written, fault]
    assert rows["depth"].to_list() == [0, 0, 0, 1, 0, 0, 0]
    # The read's first page and the written one are the same; exec brought a new page-table page.
    assert rows["page"].to_list()[1] == rows["page"].to_list()[5]
    assert rows["page"].to_list()[0] != rows["page"].to_list()[6]
    assert rows["wait_ns"][6] == 50_000


def test_every_event_of_the_script_has_a_line_of_the_test() -> None:
    with pytest.raises(AssertionError, match="no probe for sys_enter_nothing"):
        _line("sys_enter_nothing", 0)
    assert len(PROBES) == 14
