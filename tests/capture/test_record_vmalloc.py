"""Recording areas of vmalloc: the instance of tracefs, its removal, and what the text becomes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipeline.capture import tracefs as tracefs_module
from pipeline.capture.capture import find_obstacles, record
from pipeline.capture.vmalloc import EVENTS, Vmalloc
from pipeline.errors import InputError, UsageError
from pipeline.io.process import Process
from pipeline.trace.doctor import doctor
from tests.importing.test_import_vmalloc import as_tracefs


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


@pytest.mark.parametrize(
    ("command", "status"), [(["false"], 1), (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "exit 7"], 7)]
)
def test_the_status_of_the_command_is_that_of_a_shell(tracefs, tmp_path, command, status) -> None:
    assert record(command, tmp_path / "t.parquet", vmalloc=True).exit_status == status


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
    assert Vmalloc().find_obstacles(tracefs) == []
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
    recorder = Vmalloc(32)
    assert recorder.find_obstacles(tmp_path) == []
    assert recorder.buffer_mib == 4
    most_mib = 0
    assert "(Cannot allocate memory)" in str(recorder.find_obstacles(tmp_path)[0])
    assert _instances(tracefs) == []


def test_what_is_lacking_is_said_with_what_helps(tracefs, tmp_path, monkeypatch) -> None:
    def obstacle() -> str:
        with pytest.raises(UsageError, match="no recorder works here: tracefs: ") as caught:
            record(["true"], tmp_path / "t.parquet", vmalloc=True)
        assert "bpftrace" not in str(caught.value)
        assert str(find_obstacles(vmalloc=True)["tracefs"][0]) in str(caught.value)
        return str(caught.value)

    (tracefs / "instances").rmdir()
    assert "instances (No such file or directory); record as root" in obstacle()
    shutil.rmtree(tracefs / "events" / "vmalloc" / "purge_vmap_area_lazy")
    assert "no event vmalloc:purge_vmap_area_lazy; take Linux 6.3 or later" in obstacle()
    monkeypatch.setattr(tracefs_module, "TRACEFS", (tmp_path / "nowhere",))
    assert "nowhere is not mounted; 'sudo mount -t tracefs" in obstacle()


def test_a_command_without_areas_is_told(tracefs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "as_tracefs", lambda: "# tracer: nop\n#\n")
    with pytest.raises(InputError, match="no area of vmalloc while the command ran"):
        record(["true"], tmp_path / "t.parquet", vmalloc=True)
    assert not (tmp_path / "t.parquet").exists()


def test_the_kernel_of_this_machine_is_recorded(tmp_path) -> None:
    if obstacles := Vmalloc(2).find_obstacles(tmp_path):
        pytest.skip(str(obstacles[0]))
    threads = (
        "import threading; e = threading.Event(); t = [threading.Thread(target=e.wait) for _ in range(40)];"
        "[x.start() for x in t]; e.set(); [x.join() for x in t]"
    )
    result = record([sys.executable, "-c", threads], tmp_path / "t.parquet", vmalloc=True, buffer_mib=2)
    assert (result.exit_status, result.lost_events) == (0, 0)
    rows = pl.read_parquet(tmp_path / "t.parquet")
    # The kernel keeps a few stacks of ended threads for each CPU.
    assert rows.filter(pl.col("part").cast(pl.String) == "map").height >= 20
    tracefs = tracefs_module.find_tracefs()
    assert tracefs is not None
    assert not [*tracefs.glob(f"instances/*-{os.getpid()}-*")]
