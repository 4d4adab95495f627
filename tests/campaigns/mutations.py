"""Campaign: damaged inputs for every parser. Each must be refused in one line or give what is sound.

A text that is imported gives rows in which `doctor` finds nothing wrong; a trace that `doctor` takes can be
replayed, and one that it refuses cannot; anything else that is read is read without a traceback, soon.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.errors import PipelineError
from pipeline.importing.import_trace import _importers, import_trace
from pipeline.importing.importer import ReadOptions, name_file
from pipeline.importing.locks.read import read_locks
from pipeline.importing.table_mapping import read_mapping
from pipeline.importing.text.blocks import open_text
from pipeline.io.resources import shipped_areas, shipped_files, shipped_recordings
from pipeline.io.toml_overrides import toml_value
from pipeline.machine.catalogue import shipped_profiles
from pipeline.machine.profile import load_profile
from pipeline.report.read_definition import load_definition
from pipeline.runs.execute import replay
from pipeline.runs.store import read_manifest
from pipeline.sql.query import sql
from pipeline.studies.definition import read_study
from pipeline.sweeps.grid import read_grid
from pipeline.trace.doctor import doctor
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import read_workload
from tests.campaigns.damage import damage_bytes, damage_text
from tests.campaigns.result import CampaignResult
from tests.importing.recorded import SAMPLES
from tests.importing.test_import_table import CSV, MAPPING
from tests.importing.test_import_vmalloc import TEXTS as VMALLOC
from tests.trace.transform.made import write_random

# No message is longer, and no try takes longer, in seconds of CPU time.
LONGEST_MESSAGE, LONGEST_TRY_S = 1_700, 5.0
_MOST_TRIES, _SHARE, _LONGEST_SHARE_S = 1_000_000, 500, 600.0
# Ending of what is no file's content, but a word of the command line.
_NO_FILE = ".word"
_IN_MEMORY = Path("/dev/shm")
# Of so many imports one is written as a trace and examined, and of so many traces one is replayed.
_EXAMINED, _REPLAYED = 10, 10

GRID = b"""trace = ["local", "kernel_build"]
operations = 1000
allocator = ["global_pool", "atomic"]
machine = "numaq16"
cpus = "1..16"
options.global_pool.slots = "128..4096"
replications = 3
jitter = "0.5%"
together = [{ "costs.switch_ns" = [5, 6], loop = ["closed", "timed"] }]
"""

Read = Callable[[Path, random.Random], object]


class Broken(Exception):  # noqa: N818 - a promise, not an error of the input
    """A promise that was not kept."""


@dataclass(frozen=True)
class Parser:
    """What reads a kind of input: samples of it, how they are damaged, and the ending of their files.

    `weight` is how often its turn comes: more often for what is read fast.
    """

    samples: Sequence[bytes]
    read: Read
    damage: Callable[[bytes, random.Random], bytes]
    suffix: str
    weight: int = 1


def _lines(text: bytes, size: int, start: int = 0) -> bytes:
    """Whole lines of a text, from about `start` on, of about so many bytes."""
    begin = text.find(b"\n", start) + 1 if start else 0
    return text[begin : text.rfind(b"\n", begin, begin + size) + 1]


def _import(format: str) -> Read:
    def read(path: Path, rng: random.Random) -> None:
        options = ReadOptions(
            rng.random() < 0.5, rng.choice((None, 1.0, 2.4)), path.with_name("mapping.toml")
        )
        if rng.randrange(_EXAMINED):
            with name_file(path, options.mapping):
                for _ in _importers()[format].read(path, options).in_batches(1 << 18):
                    pass
            return
        output = path.with_name("out.parquet")
        mapping = options.mapping if format == "table" else None
        import_trace(path, output, format, threads=options.threads, tsc_ghz=options.tsc_ghz, mapping=mapping)
        found = doctor(output)
        if not found.usable:
            raise Broken(f"doctor finds the imported trace wrong: {found.problems}")

    return read


def _examine(allocator: str) -> Read:
    """A trace is examined, and of some the replay must agree."""

    def read(path: Path, rng: random.Random) -> None:
        try:
            usable = doctor(path).usable
        except PipelineError:
            usable = False
        if rng.randrange(_REPLAYED):
            return
        loop = rng.choice(("closed", "timed"))
        try:
            replay(
                path, allocator=allocator, machine="modern-x86-64", cpus=2, loop=loop, events="none",
                output=path.with_name("runs"), compiled=False, fresh=True,
            )  # type: ignore[arg-type] # fmt: skip
            taken = True
        except PipelineError as error:
            taken = "simulated time" in str(error) or "no operation was completed" in str(error)
        if taken != usable:
            raise Broken(
                f"doctor says that it can{'' if usable else 'not'} be used, replay ({loop}) another thing"
            )

    return read


def _run_with_damage(file: str) -> Read:
    def read(path: Path, _rng: random.Random) -> None:
        run = path.with_name("run")
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(_format_1(), run)
        shutil.copy(path, run / file)
        read_manifest(run)
        sql([run], "SELECT count(*), sum(map_hold_ns) FROM operations JOIN runs USING (run)")

    return read


@cache
def _format_1() -> Path:
    return Path(__file__).parents[1] / "runs" / "format_1"


def _parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def _compress_zst(text: bytes) -> bytes:
    return bytes(pa.compress(text, "zstd", asbytes=True))


def _areas() -> bytes:
    """The first lines of the shipped recording of vmalloc."""
    return _lines(bytes(open_text(shipped_areas()["stacks-and-bpf"]).read(20_000)), 15_000)


def parsers(directory: Path) -> dict[str, Parser]:
    """All parsers with samples of what they read; what has to be made for these is made in `directory`."""
    perf = (SAMPLES / "excerpt.perf-script.txt").read_bytes()
    strace = (SAMPLES / "excerpt.strace.txt").read_bytes()
    tracefs = gzip.decompress((SAMPLES / "kcsleep2.tracefs.txt.gz").read_bytes())
    pool = b"".join(
        line for line in tracefs.splitlines(keepends=True) if line[:1] == b"#" or b"map_high+" in line
    )
    texts = {
        "perf-script": [_lines(perf, 2_000), _lines(perf, 4_000, 8_000)],
        "bpftrace": [b"# record.bt 1\n" + _lines(perf, 2_000)],
        "tracefs": [_lines(tracefs, 3_000), _lines(tracefs, 3_000, 40_000)],
        "trace-cmd": [b"cpus=4\n" + _lines(tracefs, 3_000)],
        "strace": [_lines(strace, 2_500), _lines(strace, 2_500, 9_000)],
        "kernel-pool-tracefs": [_lines(tracefs, 4_000), _lines(pool, 26_000)],
        "table": [CSV.encode()],
        "vmalloc": [*(text.encode() for text in VMALLOC.values()), _areas()],
    }
    found = {name: Parser(samples, _import(name), damage_text, ".txt") for name, samples in texts.items()}
    packed = [
        pack(_lines(perf, 2_000)) for pack in (gzip.compress, lzma.compress, bz2.compress, _compress_zst)
    ]
    found["compressed"] = Parser(packed, _import("perf-script"), damage_bytes, ".txt.x", 20)
    locks = [_lines(path.read_bytes(), 3_000) for path in sorted((SAMPLES / "locks").iterdir())]
    found["locks"] = Parser(locks, lambda path, _: read_locks(path), damage_text, ".txt", 2)

    (directory / "mapping.toml").write_text(MAPPING)
    trace = directory / "sample.parquet"
    generate("fault_storm", trace, operations=60)
    traces = [trace.read_bytes()]
    generate("kernel_build", trace, operations=60)
    traces.append(trace.read_bytes())
    found["trace"] = Parser(traces, _examine("direct_map"), damage_bytes, ".parquet", 36)
    parts = [write_random(directory / "parts.parquet", seed, parts=True).read_bytes() for seed in (5, 6)]
    found["trace of areas"] = Parser(parts, _examine("vmap_lazy"), damage_bytes, ".parquet", 12)
    tables = [
        _parquet(pl.read_parquet(path).with_columns(pl.col(pl.Categorical).cast(pl.String)))
        for path in (trace, directory / "parts.parquet")
    ]
    found["trace-table"] = Parser(tables, _import("trace-table"), damage_bytes, ".parquet", 24)
    events = _parquet(pl.read_parquet(shipped_recordings()["kcsleep2"]).head(200))
    found["kernel-pool-kmap"] = Parser([events], _import("kernel-pool-kmap"), damage_bytes, ".parquet", 24)
    found["table of Parquet"] = Parser(
        [_parquet(pl.read_csv(CSV.encode()))], _import("table"), damage_bytes, ".parquet", 20
    )

    for file in ("manifest.json", "operations.parquet"):
        damage = damage_text if file.endswith("json") else damage_bytes
        found[f"run: {file}"] = Parser(
            [(_format_1() / file).read_bytes()], _run_with_damage(file), damage, file
        )

    tomls: dict[str, tuple[Sequence[bytes], Read]] = {
        "workload": (_contents(shipped_files("traces", ".toml")), lambda path, _: read_workload(path)),
        "profile": (_contents(shipped_profiles()), lambda path, _: load_profile(str(path))),
        "mapping": ([MAPPING.encode()], lambda path, _: read_mapping(path)),
        "grid": ([GRID], lambda path, _: read_grid(path)),
        "report": (
            [_sections(text) for text in _contents(shipped_files("reports", ".toml"))],
            lambda path, _: load_definition(path),
        ),
        "study": (_contents(shipped_files("reports/studies", ".toml")), lambda path, _: read_study(path)),
        "value": (
            [b'[1, "a", {b = 2}]', b"1_000", b"true"],
            lambda path, _: toml_value(path.read_text("utf-8", "replace")),
        ),
    }
    for name, (samples, read) in tomls.items():
        suffix = _NO_FILE if name == "value" else ".toml"
        found[f"TOML: {name}"] = Parser(samples, read, damage_text, suffix, 40)
    return found


def _sections(report: bytes, count: int = 2) -> bytes:
    """The first sections of a definition of a report."""
    return b"[[section]]".join(report.split(b"[[section]]")[: count + 1])


def _contents(files: dict[str, Path]) -> list[bytes]:
    return [path.read_bytes() for path in files.values()]


def try_one(parser: Parser, rng: random.Random, directory: Path) -> tuple[Path, str, str | None]:
    """Damage a sample and read it: the file, what became of it, and which promise was broken, if one was."""
    path = directory / f"input{parser.suffix}"
    path.write_bytes(parser.damage(rng.choice(parser.samples), rng))
    begun_s = time.process_time()
    outcome, broken = "read", None
    try:
        parser.read(path, rng)
    except PipelineError as error:
        outcome, message = "refused", str(error)
        if len(message) > LONGEST_MESSAGE or not message.isprintable():
            broken = f"a message of {len(message):,} characters, or of such as act on a terminal: {message!r}"
        elif str(directory) not in message and parser.suffix != _NO_FILE:
            broken = f"a message that names no file: {message}"
    except Broken as error:
        broken = str(error)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        broken = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"
    if (took_s := time.process_time() - begun_s) > LONGEST_TRY_S:
        broken = f"took {took_s:.1f} s of CPU time"
    return path, outcome, broken


# Of an hour for all campaigns.
MINUTES = 19


def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
    """Damage and read until the time is over, a million inputs at most; what breaks a promise is in `keep`.

    Each CPU has a process, so that what ends it or hangs is a failure, and the others are tried all the same.
    """
    result = CampaignResult("mutations", seed)
    end_s = time.monotonic() + budget_s
    shares = (range(first, first + _SHARE) for first in range(0, _MOST_TRIES, _SHARE))
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as name:
        while _try_shares(shares, end_s, Path(name), result, keep):
            pass
    return result


def _try_shares(
    shares: Iterator[range], end_s: float, directory: Path, result: CampaignResult, keep: Path
) -> bool:
    """Let processes try shares; return whether they were ended for a failure, and new ones are to go on."""
    cpus = len(os.sched_getaffinity(0))
    pool = ProcessPoolExecutor(
        cpus, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(directory,)
    )
    running: deque[tuple[range, Future[CampaignResult]]] = deque()
    try:
        while True:
            while len(running) < 2 * cpus and time.monotonic() < end_s and (share := next(shares, None)):
                running.append((share, pool.submit(_try_share, share, result.seed, keep)))
            if not running:
                return False
            share, future = running.popleft()
            result.add(future.result(_LONGEST_SHARE_S))
    except (BrokenProcessPool, TimeoutError) as error:
        kept = keep / f"{result.seed}-{share.start}"
        shutil.copytree(directory, kept, dirs_exist_ok=True)
        what = "hang" if isinstance(error, TimeoutError) else "end"
        result.fail(f"a process did {what} in one of tries {share.start} to {share.stop - 1}", kept)
        return True
    finally:
        if running:
            for process in (pool._processes or {}).values():
                process.kill()
        pool.shutdown(cancel_futures=True)


class _Worker:
    """What a process tries with: its directory and the parsers."""

    directory: Path
    parsers: dict[str, Parser]
    turns: list[str]


def _begin(place: Path) -> None:
    """Make samples in a directory of this process's own, and compile what is compiled at its first use."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.directory = Path(tempfile.mkdtemp(dir=place))
    _Worker.parsers = parsers(_Worker.directory)
    _Worker.turns = [name for name, parser in _Worker.parsers.items() for _ in range(parser.weight)]
    _warm_up(_Worker.parsers, _Worker.directory)


def _try_share(numbers: range, seed: int, keep: Path) -> CampaignResult:
    """Try some inputs by their numbers."""
    result = CampaignResult("mutations", seed)
    for number in numbers:
        name = _Worker.turns[number % len(_Worker.turns)]
        draw = random.Random(f"{seed} {number}")
        path, outcome, broken = try_one(_Worker.parsers[name], draw, _Worker.directory)
        result.tries[f"{name.partition(':')[0]} {outcome}"] += 1
        if broken is not None:
            keep.mkdir(parents=True, exist_ok=True)
            kept = keep / f"{seed}-{number}{path.suffix}"
            shutil.copy(path, kept)
            result.fail(f"{name}, seed {seed}, try {number}: {broken[:300]}", kept)
    return result


def _warm_up(known: dict[str, Parser], directory: Path) -> None:
    for parser in known.values():
        for sample in parser.samples:
            path = directory / f"input{parser.suffix}"
            path.write_bytes(sample)
            try:
                parser.read(path, random.Random(0))
            except PipelineError:
                continue
