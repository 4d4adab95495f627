"""Ctrl-C and SIGTERM end every command at any moment: one line, its status, nothing left, no child left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.campaigns.house import COMMANDS, House, clear, finish, left_over, wait_until_begun

# Seconds after a command's first line has run: imports, and on a quick machine the work itself.
MOMENTS_S = (0.0, 0.05, 0.12, 0.3, 0.6)
# Those that work for longest without a look at signals are met there.
LONG = {"endless sql", "export", "report", "endless script"}
LATER_S = 1.3


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    return House(tmp_path_factory.mktemp("interrupts") / "house")


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_signal_ends_it_with_one_line_and_nothing_left(house: House, tmp_path: Path, command) -> None:
    out, tmp = tmp_path / "out", tmp_path / "tmp"
    moments = (*MOMENTS_S, LATER_S) if command.name in LONG else MOMENTS_S
    for number, moment_s in enumerate(moments):
        clear(out), clear(tmp)
        sign, said = ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"))[number % 2 == 1]
        process = house.start(command, out, {"TMPDIR": str(tmp)})
        wait_until_begun(process)
        time.sleep(moment_s)
        if process.poll() is not None:
            process.communicate()
            return
        children = children_of(process.pid)
        process.send_signal(sign)
        # Twice what is promised: other tests keep the CPUs busy.
        ended = finish(process, 4)
        if ended.status in (0, 6, 7):
            return
        where = f"{sign.name} after {moment_s} s: {ended}"
        assert ended.status == 128 + sign, where
        (line,) = ended.said[-1:]
        assert line.startswith(f"pipeline: {said}") or line.startswith("pipeline: interrupted"), where
        # These two say more before they are done.
        assert len(ended.said) == 1 or command.name in ("record", "export"), where
        assert left_over(out) + left_over(tmp) == [], where
        assert [child for child in children if is_alive(int(child))] == [], where


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return " Z " not in Path(f"/proc/{pid}/stat").read_text()
