"""Recording the kernel's areas of vmalloc with perf, on all CPUs while a command runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.capture.perf_tool import PerfTool, write_text
from pipeline.capture.recorder import Obstacle, Recording, run_command
from pipeline.capture.vmalloc import CLOCK, EVENTS, REMEDY, areas_recording
from pipeline.errors import InputError

_LINE = b"\n"


class PerfAreas:
    """perf with a buffer of `buffer_mib` MiB for each CPU, or less if perf is not allowed to allocate it."""

    name = "perf"

    def __init__(self, buffer_mib: int = 32) -> None:
        self._tool = PerfTool(EVENTS, REMEDY, options=("-a", "-k", CLOCK), buffer_mib=buffer_mib)

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """See `Recorder`."""
        return self._tool.find_obstacles(scratch)

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """See `Recorder`; the events are those of all tasks."""
        data, text = scratch / "perf.data", scratch / "recording.perf-script.txt"
        with self._recording(data):
            status = run_command(command)
        write_text(data, text)
        return areas_recording(text, status)

    @contextmanager
    def _recording(self, data: Path) -> Iterator[None]:
        """Let perf record in the block. Raises InputError if it does not begin, or ends with an error.

        perf records `cat`, and starts it when the events are enabled: cat then returns a line. perf ends with
        cat, whose input ends with the block, or with this process if that is killed.
        """
        perf = subprocess.Popen(
            self._tool.record_arguments(data, ["cat"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert perf.stdin is not None
        assert perf.stdout is not None
        try:
            with suppress(BrokenPipeError):
                perf.stdin.write(_LINE)
                perf.stdin.flush()
            if perf.stdout.readline() != _LINE:
                raise InputError(f"perf record ended with status {perf.wait()} and recorded nothing")
            yield
        except BaseException:
            perf.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                perf.stdin.close()
            perf.stdout.close()
            perf.wait()
        if perf.returncode:
            raise InputError(
                f"perf record ended with status {perf.returncode}, so events may be missing; check that "
                "there is space next to the trace, and record again"
            )
