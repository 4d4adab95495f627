"""Which recorder is taken, what is said when none can record, and what a recording becomes."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from pipeline.capture import perf as perf_recorder
from pipeline.capture import tracefs as tracefs_module
from pipeline.capture.bpftrace import bpftrace_commands, script_path
from pipeline.capture.capture import find_obstacles, record
from pipeline.capture.strace import Strace
from pipeline.errors import InputError, PipelineError, UsageError
from pipeline.trace.doctor import doctor

from . import fakes


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A PATH of the plain tools alone, to put recorders into, and a tracefs that has every event."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "true", "false", "cat", "cp", "touch"):
        (tools / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tools))
    tracefs = tmp_path / "tracefs"
    for event in (*perf_recorder.NEEDED, *perf_recorder.WANTED):
        (tracefs / "events" / event.replace(":", "/")).mkdir(parents=True)
    monkeypatch.setattr(tracefs_module, "TRACEFS", (tracefs,))
    return tools


def test_a_command_recorded_with_perf_becomes_a_trace(here, tmp_path) -> None:
    fakes.perf(here)
    said: list[str] = []
    result = record(["true"], tmp_path / "out" / "t.parquet", keep=tmp_path / "kept.txt", say=said.append)
    assert (result.recorder, result.exit_status, result.lost_events) == ("perf", 0, 0)
    metadata = result.imported.metadata
    assert (metadata.operations, metadata.lost_events, metadata.source.name) == (3, 0, "t")
    assert metadata.source.description == "recorded: true"
    assert os.uname().release in metadata.source.kernel
    assert not any("does not contain the number of lost events" in note for note in metadata.notes)
    assert doctor(tmp_path / "out" / "t.parquet").usable
    assert (tmp_path / "kept.txt").read_text() == fakes.PERF_TEXT
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["t.parquet"]
    assert said == ["recording with perf"]


def test_events_that_perf_lost_are_counted_and_written_into_the_trace(here, tmp_path) -> None:
    fakes.perf(here, fakes.PERF_TEXT + fakes.LOST_LINE.format(count=40) + fakes.LOST_LINE.format(count=2))
    result = record(["true"], tmp_path / "t.parquet")
    assert result.lost_events == 42
    assert result.imported.metadata.lost_events == 42


def test_losses_after_the_last_record_are_counted_as_perf_does(here, tmp_path) -> None:
    fakes.perf(here, fakes.PERF_TEXT + fakes.LOST_LINE.format(count=40), statistics=fakes.STATISTICS)
    assert record(["true"], tmp_path / "t.parquet", keep=tmp_path / "kept.txt").lost_events == 42
    last = (tmp_path / "kept.txt").read_text().splitlines()[-1]
    assert last.endswith("[000]  100.000046000: PERF_RECORD_LOST_SAMPLES lost 2")


def test_where_perf_may_not_record_strace_does_and_it_is_said_why(here, tmp_path) -> None:
    fakes.perf(here, refusal="Error:\nAccess to performance monitoring is limited.")
    fakes.strace(here)
    said: list[str] = []
    result = record(["false"], tmp_path / "t.parquet", say=said.append)
    assert (result.recorder, result.exit_status, result.lost_events) == ("strace", 1, 0)
    assert result.imported.metadata.operations == 2
    assert "kernel.perf_event_paranoid" in said[0]
    assert "perf says: Access to performance monitoring is limited" in said[0]
    assert said[1] == "recording with strace"


def test_a_kernel_without_a_useful_event_is_recorded_and_the_lack_is_said(here, tmp_path) -> None:
    shutil.rmtree(tmp_path / "tracefs" / "events" / "filemap")
    fakes.perf(here)
    said: list[str] = []
    record(["true"], tmp_path / "t.parquet", say=said.append)
    assert said[0].startswith("this kernel does not have filemap:mm_filemap_get_pages")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("no tools", "perf is not installed; 'sudo apt-get install linux-perf'"),
        ("no tools", "strace is not installed; 'sudo apt-get install strace'"),
        ("no tracefs", "is not mounted; 'sudo mount -t tracefs"),
        ("no event", "the kernel has no event exceptions:page_fault_user"),
        ("refused", "--cap-add=SYS_PTRACE"),
    ],
)
def test_what_is_lacking_is_said_with_what_helps(here, tmp_path, monkeypatch, broken, said) -> None:
    if broken != "no tools":
        fakes.perf(here)
        fakes.strace(here, refusal="PTRACE_TRACEME: Operation not permitted")
    if broken == "no tracefs":
        monkeypatch.setattr(tracefs_module, "TRACEFS", (tmp_path / "nowhere",))
    else:
        shutil.rmtree(tmp_path / "tracefs" / "events" / "exceptions" / "page_fault_user")
    with pytest.raises(UsageError, match=r"no recorder works here") as caught:
        record(["true"], tmp_path / "out" / "t.parquet")
    assert said in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []
    assert all(find_obstacles().values())


def test_a_recorder_that_is_asked_for_is_the_only_one_tried(here, tmp_path) -> None:
    fakes.strace(here)
    with pytest.raises(UsageError, match="perf is not installed") as caught:
        record(["true"], tmp_path / "t.parquet", by="perf")
    assert "strace" not in str(caught.value).partition("'pipeline record")[0]


@pytest.mark.parametrize(
    ("by", "vmalloc", "said"),
    [
        ("tracefs", False, "expected --with perf or --with strace, or add --vmalloc"),
        ("strace", True, "expected --with tracefs or --with perf, or omit --vmalloc"),
        ("ftrace", True, "ftrace does not record areas of vmalloc; expected --with tracefs or --with perf$"),
    ],
)
def test_a_recorder_of_something_else_is_refused(here, tmp_path, by, vmalloc, said) -> None:
    with pytest.raises(UsageError, match=said):
        record(["true"], tmp_path / "out" / "t.parquet", by=by, vmalloc=vmalloc)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", ["perf", "strace"])
def test_the_status_of_a_killed_command_is_that_of_a_shell(here, tmp_path, tool) -> None:
    getattr(fakes, tool)(here)
    assert record(["sh", "-c", "kill -9 $$"], tmp_path / "t.parquet", by=tool).exit_status == 137


def test_a_recording_that_perf_cannot_read_is_told(here, tmp_path) -> None:
    fakes.perf(here)
    script = here / "perf"
    script.write_text(script.read_text().replace("script) cat", "script) echo incompatible >&2; exit 1; cat"))
    with pytest.raises(InputError, match=r"\(incompatible\); check that the command can be run"):
        record(["true"], tmp_path / "t.parquet", by="perf")


@pytest.mark.parametrize(("command", "said"), [([], "found none"), (["no-such-tool"], "check PATH")])
def test_a_command_that_is_none_is_refused_before_anything_is_recorded(here, tmp_path, command, said) -> None:
    with pytest.raises(UsageError, match=said):
        record(command, tmp_path / "t.parquet")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_real_command_is_recorded_with_the_real_strace(tmp_path) -> None:
    if Strace().find_obstacles(tmp_path):
        pytest.skip("strace may not trace here")
    (tmp_path / "data").write_bytes(bytes(3 * 4096))
    result = record(
        ["cat", str(tmp_path / "data")], tmp_path / "t.parquet", by="strace", keep=tmp_path / "kept"
    )
    assert result.exit_status == 0
    assert "read(" in (tmp_path / "kept").read_text()
    assert doctor(tmp_path / "t.parquet").kinds["copy_to_user"] >= 3


def test_the_bpftrace_command_has_whole_paths_and_refuses_what_bpftrace_would_split() -> None:
    said = bpftrace_commands(["sh", "-c", "make"], Path("a b.parquet"))
    assert f"-c '{shutil.which('sh')} -c make' {script_path()}" in said
    assert said.endswith("pipeline import 'a b.bpftrace.txt' -o 'a b.parquet'")
    with pytest.raises(UsageError, match="record a script with the command"):
        bpftrace_commands(["sh", "-c", "make -j2"], None)


def test_the_bpftrace_script_follows_the_command_alone() -> None:
    text = script_path().read_text()
    assert text.count("@traced[cpid] = 1") == 1
    probes = len(re.findall(r"^tracepoint:[^,]+$", text, re.MULTILINE))
    assert len(re.findall(r"^/@traced\[", text, re.MULTILINE)) == probes
    # with a dot, bpftrace of Debian 12 (0.17) cannot read a tracepoint's fields
    assert "args." not in text


def test_where_nothing_could_be_written_the_command_is_not_run(here, tmp_path) -> None:
    fakes.strace(here)
    ran = tmp_path / "ran"
    output = tmp_path / "t.parquet"
    for output_is, keep, wanted in (
        (output, output, "another file"),
        (output, tmp_path, "found a directory"),
    ):
        with pytest.raises(PipelineError, match=wanted):
            record(["touch", str(ran)], output_is, keep=keep)
    with pytest.raises(PipelineError, match="expected a file for the trace"):
        record(["touch", str(ran)], tmp_path)
    assert not ran.exists()
    assert not output.exists()
