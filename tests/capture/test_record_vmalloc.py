"""Recording areas of vmalloc with tracefs and with perf: what each sets up, and what the text becomes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from pipeline.capture import tracefs as tracefs_module
from pipeline.capture import vmalloc_perf
from pipeline.capture.capture import find_obstacles, record
from pipeline.capture.recorder import Recorder
from pipeline.capture.vmalloc import EVENTS
from pipeline.capture.vmalloc_perf import PerfAreas
from pipeline.capture.vmalloc_tracefs import TracefsAreas
from pipeline.errors import InputError, UsageError
from pipeline.importing.vmalloc.recording import read_recording
from pipeline.io.process import Process
from pipeline.trace.doctor import doctor
from tests.cli.command import answer, refusal
from tests.importing.test_import_vmalloc import TEXTS, as_tracefs

from . import fakes

_THREADS = (
    sys.executable,
    "-c",
    "import threading; e = threading.Event(); t = [threading.Thread(target=e.wait) for _ in range(40)];"
    "[x.start() for x in t]; e.set(); [x.join() for x in t]",
)


@pytest.fixture
def tracefs(tmp_path, monkeypatch):
    """A directory like tracefs, with the events; an instance in it has what the kernel puts there."""
    root = tmp_path / "tracefs"
    (root / "instances").mkdir(parents=True)
    for event in EVENTS:
        (root / "events" / event.replace(":", "/")).mkdir(parents=True)
    make, remove = Path.mkdir, Path.rmdir

    def mkdir(path: Path, *args, **options) -> None:
        make(path, *args, **options)
        if path.parent == root / "instances":
            shutil.copytree(root / "events", path / "events")
            (path / "trace").write_text(as_tracefs())

    def rmdir(path: Path) -> None:
        if path.parent == root / "instances":
            shutil.copytree(path, tmp_path / "removed", dirs_exist_ok=True)
            shutil.rmtree(path)
        else:
            remove(path)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", rmdir)
    monkeypatch.setattr(tracefs_module, "TRACEFS", (root,))
    return root


@pytest.fixture
def tools(tmp_path, tracefs, monkeypatch):
    """A PATH of plain tools and a perf that records areas; tracefs has the events but allows no instance."""
    directory = tmp_path / "tools"
    directory.mkdir()
    for name in ("sh", "true", "false", "cat", "touch", "sleep"):
        (directory / name).symlink_to(shutil.which(name))
    fakes.perf(directory, TEXTS["perf"])
    monkeypatch.setenv("PATH", str(directory))
    (tracefs / "instances").rmdir()
    return directory


def _instances(tracefs: Path) -> list[str]:
    return [path.name for path in (tracefs / "instances").iterdir()]


def test_a_recording_becomes_a_trace_and_its_instance_is_removed(tracefs, tmp_path) -> None:
    result = record(["true"], tmp_path / "out" / "t.parquet", vmalloc=True, keep=tmp_path / "kept.txt")
    assert (result.recorder, result.exit_status, result.lost_events) == ("tracefs", 0, 0)
    metadata = result.imported.metadata
    assert metadata.operations == 5
    assert metadata.source.description == "recorded on the whole machine during: true"
    assert os.uname().release in metadata.source.kernel
    assert doctor(tmp_path / "out" / "t.parquet").usable
    assert (tmp_path / "kept.txt").read_text() == as_tracefs()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["t.parquet"]
    assert _instances(tracefs) == []
    written = tmp_path / "removed"
    for event in EVENTS:
        assert (written / "events" / event.replace(":", "/") / "enable").read_text() == "1"
    assert (written / "buffer_size_kb").read_text() == str(32 << 10)
    assert (written / "tracing_on").read_text() == "0"


def test_where_tracefs_cannot_record_perf_does_for_all_cpus_and_a_shared_clock(tools, tmp_path) -> None:
    said: list[str] = []
    result = record(
        ["touch", str(tmp_path / "ran")], tmp_path / "out" / "t.parquet", vmalloc=True, buffer_mib=3,
        keep=tmp_path / "kept.txt", say=said.append,
    )  # fmt: skip
    assert (result.recorder, result.exit_status, result.lost_events) == ("perf", 0, 0)
    assert said[0].startswith("tracefs cannot record here: cannot set up an instance")
    assert said[1:] == ["recording with perf"]
    assert (tmp_path / "ran").exists()
    metadata = result.imported.metadata
    assert metadata.operations == 5
    assert metadata.source.description.startswith("recorded on the whole machine during: touch")
    assert (tmp_path / "kept.txt").read_text() == TEXTS["perf"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["t.parquet"]
    calls = (tools / "perf.txt.calls").read_text().splitlines()
    assert calls[0].startswith(f"record -q -B -a -k mono -m {3 * 256} -e {','.join(EVENTS)} -o ")
    assert calls[0].endswith("-- true")
    assert calls[1] == calls[0].replace("tried", "perf").replace("-- true", "-- cat")


def test_the_kept_text_of_perf_states_all_losses(tools, tmp_path) -> None:
    lost = "            make    12 [000]     1.000126000: PERF_RECORD_LOST lost 40\n"
    fakes.perf(tools, TEXTS["perf"] + lost, statistics=fakes.STATISTICS)
    kept = tmp_path / "kept.txt"
    result = record(["true"], tmp_path / "t.parquet", vmalloc=True, by="perf", keep=kept)
    assert result.lost_events == result.imported.metadata.losses["lost_events"] == 42
    assert kept.read_text().splitlines()[-1].endswith("1.000126000: PERF_RECORD_LOST_SAMPLES lost 2")
    fakes.perf(tools, TEXTS["perf"], statistics="\nAggregated stats:\na stats:\nSAMPLE events: 5\n")
    kept.unlink()
    record(["true"], tmp_path / "u.parquet", vmalloc=True, by="perf", keep=kept)
    assert kept.read_text().splitlines()[-1].endswith("PERF_RECORD_LOST_SAMPLES lost 0")
    assert read_recording(kept).lost == 0


@pytest.mark.parametrize("by", ["tracefs", "perf"])
@pytest.mark.parametrize(
    ("command", "status"), [(["false"], 1), (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "exit 7"], 7)]
)
def test_the_status_of_the_command_is_that_of_a_shell(
    tracefs, tmp_path, monkeypatch, request, by, command, status
) -> None:
    if by == "perf":
        request.getfixturevalue("tools")
    assert record(command, tmp_path / "t.parquet", vmalloc=True, by=by).exit_status == status


@pytest.mark.parametrize("content", ["exit 3\n", "#!/no/such/interpreter\n"])
def test_a_command_that_the_kernel_cannot_run_leaves_nothing(tools, tmp_path, content) -> None:
    command = tools / "broken"
    command.write_text(content)
    command.chmod(0o755)
    with pytest.raises(UsageError, match=r"broken: cannot be run \(.*\); check the file"):
        record(["broken"], tmp_path / "out" / "t.parquet", vmalloc=True, by="perf")
    assert list((tmp_path / "out").iterdir()) == []


def test_after_an_interrupt_perf_has_ended(tools, tmp_path, monkeypatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    def interrupt(_: object) -> int:
        assert started[-1].poll() is None
        raise KeyboardInterrupt

    monkeypatch.setattr(vmalloc_perf, "run_command", interrupt)
    monkeypatch.setattr(vmalloc_perf.subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        record(["true"], tmp_path / "out" / "t.parquet", vmalloc=True, by="perf")
    assert started[-1].returncode is not None
    assert list((tmp_path / "out").iterdir()) == []


def test_a_perf_that_does_not_begin_is_told(tools, tmp_path) -> None:
    recorder = PerfAreas()
    assert recorder.find_obstacles(tmp_path) == []
    fakes.perf(tools, refusal="No permission")
    with pytest.raises(InputError, match="status 129 and recorded nothing"):
        recorder.record(["true"], tmp_path)


def test_a_perf_that_ends_with_an_error_is_told(tools, tmp_path) -> None:
    recorder = PerfAreas()
    assert recorder.find_obstacles(tmp_path) == []
    script = tools / "perf"
    script.write_text(script.read_text().replace('exec "$@"', '"$@"; exit 28'))
    with pytest.raises(InputError, match="status 28, so events may be missing"):
        recorder.record(["true"], tmp_path)


def test_a_buffer_that_perf_may_not_allocate_is_halved(tools, tmp_path) -> None:
    fakes.perf(tools, TEXTS["perf"], most_pages=5 * 256)
    record(["true"], tmp_path / "t.parquet", vmalloc=True, by="perf", buffer_mib=32)
    assert " -m 1024 " in (tools / "perf.txt.calls").read_text().splitlines()[-3]
    fakes.perf(tools, TEXTS["perf"], most_pages=0)
    assert "Permission error mapping pages" in str(PerfAreas().find_obstacles(tmp_path)[0])


@pytest.mark.parametrize("cause", [KeyboardInterrupt, OSError(errno.ENOEXEC, "Exec format error")])
def test_after_an_interrupt_or_error_nothing_is_left(tracefs, tmp_path, monkeypatch, cause) -> None:
    def fail(*_: object, **__: object) -> None:
        assert len(_instances(tracefs)) == 1
        raise cause

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises((KeyboardInterrupt, UsageError)):
        record(["true"], tmp_path / "out" / "t.parquet", vmalloc=True)
    assert _instances(tracefs) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_the_instance_of_a_killed_process_is_removed_and_that_of_a_living_one_kept(tracefs) -> None:
    living, dead = Process.of_this_host(os.getppid()), Process(Process.current().host, 2**22 + 1, 1)
    for process in (living, dead, Process("another-host", 1, 1)):
        (tracefs / "instances" / f"pipeline@{process.name}").mkdir()
    (tracefs / "instances" / "somebody").mkdir()
    assert TracefsAreas().find_obstacles(tracefs) == []
    assert sorted(_instances(tracefs)) == [
        "pipeline@another-host-1-1", f"pipeline@{living.name}", "somebody"
    ]  # fmt: skip


def test_a_buffer_that_the_kernel_cannot_allocate_is_halved(tracefs, tmp_path, monkeypatch) -> None:
    write = Path.write_text

    def write_text(path: Path, text: str) -> int:
        if path.name == "buffer_size_kb" and int(text) > most_mib << 10:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", write_text)
    most_mib = 5
    recorder = TracefsAreas(32)
    assert recorder.find_obstacles(tmp_path) == []
    assert recorder.buffer_mib == 4
    most_mib = 0
    assert "(Cannot allocate memory)" in str(recorder.find_obstacles(tmp_path)[0])
    assert _instances(tracefs) == []


def test_what_is_lacking_is_said_with_what_helps(tools, tracefs, tmp_path, monkeypatch) -> None:
    def obstacle() -> str:
        with pytest.raises(UsageError, match=r"no recorder works here: tracefs: .*; perf: ") as caught:
            record(["true"], tmp_path / "t.parquet", vmalloc=True)
        assert "bpftrace" not in str(caught.value)
        found = find_obstacles(vmalloc=True)
        assert list(found) == ["tracefs", "perf"]
        assert all(str(obstacles[0]) in str(caught.value) for obstacles in found.values())
        return str(caught.value)

    fakes.perf(tools, refusal="No permission to enable vmalloc:alloc_vmap_area event.")
    assert "instances (No such file or directory); record as root" in obstacle()
    assert "perf says: No permission to enable vmalloc:alloc_vmap_area event.); 'sudo sysctl" in obstacle()
    (tools / "perf").unlink()
    assert "perf is not installed; 'sudo apt-get install linux-perf'" in obstacle()
    fakes.perf(tools)
    shutil.rmtree(tracefs / "events" / "vmalloc" / "purge_vmap_area_lazy")
    assert obstacle().count("no event vmalloc:purge_vmap_area_lazy; take Linux 6.3 or later") == 2
    monkeypatch.setattr(tracefs_module, "TRACEFS", (tmp_path / "nowhere",))
    assert "nowhere is not mounted; 'sudo mount -t tracefs" in obstacle()


def test_a_command_without_areas_is_told(tracefs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "as_tracefs", lambda: "# tracer: nop\n#\n")
    with pytest.raises(InputError, match="no area of vmalloc while the command ran"):
        record(["true"], tmp_path / "t.parquet", vmalloc=True)
    assert not (tmp_path / "t.parquet").exists()


def test_a_command_without_areas_is_told_with_perf_too(tools, tmp_path) -> None:
    fakes.perf(tools, "", statistics="\nAggregated stats:\n")
    with pytest.raises(InputError, match="no area of vmalloc while the command ran"):
        record(["true"], tmp_path / "t.parquet", vmalloc=True, by="perf")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--vmalloc", "--with", "strace"),
            "strace does not record areas of vmalloc; expected --with tracefs",
        ),
        (
            ("--with", "tracefs"),
            "tracefs does not record page faults, reads and writes; expected --with perf",
        ),
        (("--vmalloc", "--bpftrace"), "the script for bpftrace records page faults, reads and writes; omit"),
    ],
)
def test_recorders_and_events_that_do_not_fit_are_a_usage_error(tmp_path, options, said) -> None:
    assert refusal("record", *options, "-o", "t.parquet", "--", "true", cwd=tmp_path, status=2).startswith(
        said
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--vmalloc",)])
def test_a_check_lists_the_recorders_of_areas_with_their_obstacles(tmp_path, options) -> None:
    lines = answer("record", "--check", *options, cwd=tmp_path).splitlines()
    names = [line.partition(": ")[0] for line in lines]
    assert names == [*(() if options else ("perf", "strace")), "tracefs (--vmalloc)", "perf (--vmalloc)"]
    assert all(line.partition(": ")[2] == "works on this machine" or "; " in line for line in lines)


@pytest.mark.parametrize("recorder", [TracefsAreas(2), PerfAreas(2)], ids=lambda recorder: recorder.name)
def test_the_kernel_of_this_machine_is_recorded(tmp_path, recorder: Recorder) -> None:
    if obstacles := recorder.find_obstacles(tmp_path):
        pytest.skip(str(obstacles[0]))
    result = record(_THREADS, tmp_path / "t.parquet", vmalloc=True, buffer_mib=2, by=recorder.name)
    assert (result.exit_status, result.lost_events) == (0, 0)
    rows = pl.read_parquet(tmp_path / "t.parquet")
    # The kernel keeps a few stacks of ended threads for each CPU.
    assert rows.filter(pl.col("part").cast(pl.String) == "map").height >= 20
    tracefs = tracefs_module.find_tracefs()
    assert tracefs is not None
    assert not [*tracefs.glob(f"instances/*-{os.getpid()}-*")]


def test_perf_and_tracefs_record_the_same_events(tmp_path) -> None:
    for recorder in (TracefsAreas(2), PerfAreas(2)):
        if obstacles := recorder.find_obstacles(tmp_path):
            pytest.skip(str(obstacles[0]))
    # tracefs records the recording with perf, so it has all events of perf.
    kept = {name: tmp_path / f"{name}.txt" for name in ("tracefs", "perf")}
    inner = (
        "import sys; from pathlib import Path; from pipeline.capture.capture import record;"
        "text = Path(sys.argv[1]);"
        "record(sys.argv[2:], text.with_suffix('.parquet'), vmalloc=True, by='perf', buffer_mib=2, keep=text)"
    )
    record(
        [sys.executable, "-c", inner, str(kept["perf"]), *_THREADS], tmp_path / "t.parquet", vmalloc=True,
        by="tracefs", buffer_mib=2, keep=kept["tracefs"],
    )  # fmt: skip
    found = {name: _events(path) for name, path in kept.items()}
    assert found["perf"].total() >= 20
    assert not found["perf"] - found["tracefs"]


def _events(path: Path) -> Counter[tuple[int, ...]]:
    read = read_recording(path)
    assert read.lost in (0, None)
    columns = (read.event, read.first, read.pages, read.count, read.limit, read.cpu)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))
