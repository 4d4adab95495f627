"""The compiled table of descriptors beside a plain one of its own, over calls at random."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importing.plain_strace import PlainStrace
from tests.importing.recorded import imported
from tests.importing.test_import_strace import strace

_KINDS = {"copy_to_user": "read", "copy_from_user": "write"}
_FLAGS = ("O_RDONLY", "O_RDWR|O_CREAT|O_TRUNC, 0644", "O_RDWR|O_CREAT|O_TRUNC|O_APPEND, 0644")
_COUNTS = st.sampled_from([1, 100, 4096, 5000, 12_288])


@st.composite
def calls(draw: st.DrawFn) -> str:
    """Lines of tasks that open, share, move and close descriptors as a kernel would let them."""
    # Paths by descriptor, by task.
    open_files: dict[int, dict[int, str]] = {7: {}}
    lines: list[tuple[int, float, str]] = []
    for _ in range(draw(st.integers(1, 40))):
        task = draw(st.sampled_from(sorted(open_files)))
        files = open_files[task]
        free = next(fd for fd in range(3, 100) if fd not in files)
        kind = draw(
            st.sampled_from(["open", "clone", "move", "move", "move", "dup", "dup2", "seek", "close", "copy"])
        )
        if kind == "open" or (not files and kind != "clone"):
            files[free] = draw(st.sampled_from(["/d/x", "/d/y"]))
            said = f'openat(AT_FDCWD</d>, "f", {draw(st.sampled_from(_FLAGS))}) = {free}<{files[free]}>'
        elif kind == "clone":
            child = max(open_files) + 1
            open_files[child] = dict(files)
            said = f"clone(child_stack=NULL, flags=SIGCHLD) = {child}"
        else:
            fd = draw(st.sampled_from(sorted(files)))
            name, count = f"{fd}<{files[fd]}>", draw(_COUNTS)
            if kind == "move":
                call = draw(st.sampled_from(["read", "write", "pread64", "pwrite64"]))
                at = f", {draw(st.integers(0, 50_000))}" if call.startswith("p") else ""
                said = f'{call}({name}, "a) = 1"..., {count}{at}) = {count}'
            elif kind == "dup":
                files[free] = files[fd]
                said = f"dup({name}) = {free}<{files[fd]}>"
            elif kind == "dup2":
                other = draw(st.sampled_from([*sorted(files), free]))
                said = f"dup2({name}, {other}) = {other}<{files[fd]}>"
                said = said.replace(f", {other})", f", {other}<{files[other]}>)") if other in files else said
                files[other] = files[fd]
            elif kind == "seek":
                at = str(draw(st.integers(0, 50_000)))
                said = f"lseek({name}, {at}, SEEK_SET) = {at}"
            elif kind == "close":
                said = f"close({name}) = 0"
                del files[fd]
            else:
                target = draw(st.sampled_from(sorted(files)))
                said = f"copy_file_range({name}, NULL, {target}<{files[target]}>, NULL, {count}, 0) = {count}"
        lines.append((task, len(lines), f"{said} <0.000010>"))
    lines.append((7, len(lines), 'openat(AT_FDCWD</d>, "z", O_RDONLY) = 99</d/z> <0.000010>'))
    lines.append((7, len(lines), 'read(99</d/z>, "a", 1) = 1 <0.000010>'))
    return strace(*lines)


@given(text=calls())
@settings(deadline=None, max_examples=60)
def test_each_call_moves_the_pages_that_open_says(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        rows, _ = imported(Path(directory), text, format="strace", strict=True)
    expected = PlainStrace().take(text).moved
    assert [_KINDS[kind] for kind in rows["kind"]] == [kind for kind, _, _ in expected]
    pairs = set(zip(rows["page"], [(path, page) for _, path, page in expected], strict=True))
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
