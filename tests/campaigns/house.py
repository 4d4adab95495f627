"""A directory with inputs of every sort, and the commands that are tried in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.io.process import Process

PIPELINE = Path(sys.executable).with_name("pipeline")
SAMPLES = Path(__file__).parents[1] / "importing" / "samples"
ENDLESS = "SELECT sum(a.op * b.op) FROM operations a, operations b, operations c"

# Exit statuses that have a meaning: success, the kinds of `pipeline.errors`, and verdicts of comparisons.
STATUSES = (0, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Command:
    """A command line; `{out}` stands for the directory that it writes into.

    `output` is what it makes there, None if it only prints. An `endless` one is only ever stopped.
    """

    name: str
    words: str
    output: str | None = None
    endless: bool = False
    script: str = ""


COMMANDS = (
    Command("generate", "generate kernel_build -o {out}/t.parquet --ops 60000", "t.parquet"),
    Command("import", "import strace.txt -o {out}/i.parquet", "i.parquet"),
    Command("doctor", "doctor t.parquet"),
    Command("transform", "transform t.parquet stretch=2 sample=0.5 -o {out}/c.parquet", "c.parquet"),
    Command("fit", "fit t.parquet -o {out}/f.toml", "f.toml"),
    Command("fit-machine", "fit-machine wrap16 -o {out}/m.toml", "m.toml"),
    Command("record", "record -o {out}/r.parquet --with strace -- ls -R /etc", "r.parquet"),
    Command("replay", "replay t.parquet -a global_pool -m numaq16 -o {out}/runs", "runs"),
    Command("plain replay", "replay small.parquet -a sf_buf -m numaq16 -o {out}/p --no-compile", "p"),
    Command(
        "sweep",
        "sweep run small.parquet -a direct_map,global_pool -m modern-x86-64 --cpus 2,4 -o {out}/sweep",
        "sweep",
    ),
    Command(
        "compare",
        "compare direct_map global_pool --trace small.parquet -m modern-x86-64 -n 3 -o {out}/c",
        "c",
    ),
    Command("warm", "warm -a global_pool -a direct_map"),
    Command("sql", "sql -n lockmeter"),
    Command("sql to a file", "sql 'FROM operations' -o {out}/o.parquet --format parquet", "o.parquet"),
    Command("sql --safe", "sql --safe 'SELECT count(*) FROM operations'"),
    Command("endless sql", f"sql '{ENDLESS}'", endless=True),
    Command("endless script", "sql", endless=True, script=f"SELECT 1;\n{ENDLESS};\n"),
    Command("db", "db -o {out}/x.duckdb", "x.duckdb"),
    Command("explain", "explain {run} --slowest 3"),
    Command("report", "report -o {out}/r.html", "r.html"),
    Command("report of pictures", "report --format svg -o {out}/pictures", "pictures"),
    Command("export", "export {run} -o {out}/e.pftrace.gz", "e.pftrace.gz"),
    Command("export of a table", "export {run} --format csv -o {out}/e.csv", "e.csv"),
    Command("new", "new allocator mine -o {out}/new", "new"),
    Command("machines", "machines numaq16"),
    Command("calibrate", "calibrate -o {out}/fitted --evaluations 4", endless=True),
)


class House:
    """Inputs in `path`; commands are run there, with outputs in a directory of their own each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        for name, operations in (("t", 15_000), ("small", 300)):
            self._make("generate", "kernel_build", "-o", f"{name}.parquet", "--ops", str(operations))
        for allocator in ("global_pool", "direct_map"):
            self._make("replay", "t.parquet", "-a", allocator, "-m", "numaq16")
        self._make("report", "-o", "first.html")
        self.run = next((path / "runs").glob("global_pool-*")).relative_to(path)
        text = (SAMPLES / "excerpt.strace.txt").read_text()
        (path / "strace.txt").write_text(text)

    def _make(self, *words: str) -> None:
        subprocess.run([PIPELINE, *words], cwd=self.path, check=True, capture_output=True)

    def start(
        self,
        command: Command,
        out: Path,
        environment: Mapping[str, str] | None = None,
        limit: Callable[[], None] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command with its outputs in `out`; `limit` is called in the child before it begins."""

        def prepare() -> None:
            # Whatever the tests are run by may have told its children to ignore it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if limit is not None:
                limit()

        process = subprocess.Popen(
            self.words(command, out),
            cwd=self.path, stdin=subprocess.PIPE if command.script else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | dict(environment or {}),
            preexec_fn=prepare, start_new_session=True,  # noqa: PLW1509 - tests have one thread
        )  # fmt: skip
        if command.script and process.stdin is not None:
            process.stdin.write(command.script.encode())
            process.stdin.close()
            process.stdin = None
        return process

    def words(self, command: Command, out: Path) -> list[str]:
        """The command line with its paths put in."""
        import shlex

        return [
            str(PIPELINE), *(w.format(out=out, run=self.run) for w in shlex.split(command.words)),
        ]  # fmt: skip


def wait_until_begun(process: subprocess.Popen[bytes]) -> None:
    """Wait until a command's first line has run, from when on it minds signals: SIGTERM is caught."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        with suppress(OSError):
            caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
            if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
        time.sleep(0.002)


@dataclass(frozen=True)
class Ended:
    """How a process ended, and how many seconds after it was asked to."""

    status: int
    out: str
    err: str
    after_s: float

    @property
    def said(self) -> list[str]:
        """Its lines on standard error without those that tell of progress."""
        return [line for line in self.err.splitlines() if not line.startswith("compiling ")]


def finish(process: subprocess.Popen[bytes], timeout_s: float = 120) -> Ended:
    """Wait for a process; one that does not end is killed, with status -9."""
    begun_s = time.monotonic()
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        kill_all(process)
        out, err = process.communicate()
    return Ended(
        process.returncode, out.decode(errors="replace"), err.decode(errors="replace"),
        time.monotonic() - begun_s,
    )  # fmt: skip


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def left_over(directory: Path) -> list[str]:
    """Files and directories below a directory that are not for keeps."""
    found = directory.rglob("*") if directory.exists() else ()
    return sorted(
        str(path.relative_to(directory)) for path in found
        if path.name.endswith((".partial", ".tmp", ".wal")) or path.name.startswith(".writable")
    )  # fmt: skip


def wait_for_owners(directories: Sequence[Path]) -> None:
    """Wait, ten seconds at most, for processes that still own temporary files: workers of a killed command.

    They end when they notice that nobody listens, and remove what is theirs.
    """
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s and any(map(_is_owned, directories)):
        time.sleep(0.1)


def _is_owned(directory: Path) -> bool:
    names = [Path(name).name.removesuffix(".partial").rpartition("@")[2] for name in left_over(directory)]
    owners = [Process.parse(name) for name in names]
    return any(owner is not None and not owner.is_known_dead() for owner in owners)


def clear(directory: Path) -> None:
    """Remove a directory and make it anew."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def is_told_in_a_line(ended: Ended, statuses: Sequence[int] = STATUSES) -> bool:
    """Whether a process ended with a status of its own and, if that is an error, a message of a few lines."""
    said = ended.said
    return (
        ended.status in statuses
        and "Traceback" not in ended.err
        and (ended.status in (0, 5, 6, 7) or sum(line.startswith("pipeline: ") for line in said) >= 1)
        and (ended.status == 0 or len(said) < 20)
    )
