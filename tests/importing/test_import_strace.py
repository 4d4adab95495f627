"""Reads and writes as `strace -f -ttt -T -y` prints them."""

from __future__ import annotations

from pathlib import Path

from tests.importing.recorded import imported

T = 1795387398.0


def strace(*calls: tuple[int, float, str]) -> str:
    """Lines of strace: task, milliseconds, and the rest."""
    return "".join(f"{task} {T + time / 1000:.6f} {rest}\n" for task, time, rest in calls)


def test_pages_follow_from_the_descriptors_position(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'openat(AT_FDCWD</>, "x", O_RDONLY) = 3</data/a b/x> <0.000011>'),
        (7, 1, 'read(3</data/a b/x>, "a\\")\\n"..., 5000) = 5000 <0.000900>'),
        (7, 2, 'read(3</data/a b/x>, "b", 100) = 100 <0.000900>'),
        (7, 3, "lseek(3</data/a b/x>, 0, SEEK_SET) = 0 <0.000008>"),
        (7, 4, 'read(3</data/a b/x>, "c", 1) = 1 <0.000900>'),
        (7, 5, 'pread64(3</data/a b/x>, "d", 10, 8190) = 10 <0.000900>'),
        (7, 6, 'write(3</data/a b/x>, "e", 1) = 1 <0.000900>'),
    )
    rows, result = imported(tmp_path, text)
    assert result.format == "strace"
    assert rows["kind"].to_list() == ["copy_to_user"] * 6 + ["copy_from_user"]
    assert rows["page"].to_list() == [0, 1, 1, 0, 1, 2, 0]
    assert rows["bytes"].to_list() == [4096, 904, 100, 1, 2, 8, 1]
    assert rows["cpu"].is_null().all()
    assert result.metadata.losses == {}
    assert result.metadata.columns["hold_ns"] == "assumed"
    assert result.metadata.columns["cpu"] == "absent"


def test_a_call_in_two_halves_is_one_call(tmp_path: Path) -> None:
    text = strace(
        (7, 0, "read(3</x>,  <unfinished ...>"),
        (8, 1, "pread64(4</x>,  <unfinished ...>"),
        (7, 2, '<... read resumed>"a\\n)"..., 4096) = 5 <0.002000>'),
        (8, 3, '<... pread64 resumed>"b", 10, 4096) = 10 <0.002000>'),
        (7, 4, "wait4(-1,  <unfinished ...>"),
        (7, 5, "<... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 8 <0.001000>"),
        (7, 6, "+++ exited with 0 +++"),
    )
    rows, result = imported(tmp_path, text)
    assert rows["page"].to_list() == [0, 1]
    assert rows["bytes"].to_list() == [5, 10]
    assert result.metadata.losses == {"tasks_without_fork": 1, "descriptors_before": 1}


def test_time_inside_a_long_call_is_waiting(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'read(3</x>, "a", 1) = 1 <0.000002>'),
        (7, 1, "wait4(-1, NULL, 0, NULL) = 8 <5.000000>"),
        (7, 5002, 'read(3</x>, "a", 1) = 1 <0.000002>'),
    )
    rows, _ = imported(tmp_path, text)
    # All but the wait is CPU time, of which the long call has 25 us.
    assert rows["wait_ns"].to_list() == [0, 5_000_000_000 - 25_000]
    assert rows["think_ns"][1] == 5_002_000_000 - 2000 - rows["wait_ns"][1] + (2000 - rows["hold_ns"][1])


def test_a_child_has_its_parents_descriptors_until_it_closes_them(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'openat(AT_FDCWD, "/x", O_RDONLY) = 3 <0.000011>'),
        (7, 1, 'read(3, "a", 4096) = 4096 <0.000900>'),
        (7, 2, "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 8 <0.000100>"),
        (8, 3, 'read(3, "b", 4096) = 4096 <0.000900>'),
        (7, 4, 'read(3, "c", 4096) = 4096 <0.000900>'),
        (8, 5, "close(3) = 0 <0.000010>"),
        (7, 6, 'read(3, "d", 4096) = 4096 <0.000900>'),
    )
    rows, result = imported(tmp_path, text)
    assert rows["process"].to_list() == [0, 1, 0, 0]
    assert rows["page"].to_list() == [0, 1, 2, 3]
    assert result.metadata.losses == {}


def test_a_thread_shares_its_makers_process_even_if_it_is_seen_first(tmp_path: Path) -> None:
    for first, second in ((2, 3), (3, 2)):
        text = strace(
            (7, 0, 'read(3</x>, "a", 1) = 1 <0.000002>'),
            (7, 1, "clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0} <unfinished ...>"),
            *sorted(
                [
                    (7, first, "<... clone3 resumed> => {parent_tid=[8]}, 88) = 8 <0.000100>"),
                    (8, second, "rseq(0x7f, 0x20, 0, 0x53053053) = 0 <0.000008>"),
                ],
                key=lambda call: call[1],
            ),
            (8, 5, 'read(3</x>, "b", 1) = 1 <0.000002>'),
        )
        rows, result = imported(tmp_path, text)
        assert rows["process"].to_list() == [0, 0]
        assert result.metadata.columns["process"] == "derived"
        assert result.metadata.losses == {"descriptors_before": 1}


def test_without_y_a_file_is_the_path_that_was_opened(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'openat(AT_FDCWD, "/x", O_RDONLY) = 3 <0.000011>'),
        (7, 1, 'read(3, "a", 4096) = 4096 <0.000900>'),
        (7, 2, 'read(3, "a", 4096) = 4096 <0.000900>'),
    )
    rows, _ = imported(tmp_path, text)
    assert rows["page"].to_list() == [0, 1]


def test_pipes_devices_and_sockets_have_no_pages(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'read(3</x>, "a", 1) = 1 <0.000002>'),
        (7, 1, 'read(4<pipe:[84554]>, "a", 1) = 1 <0.000002>'),
        (7, 2, 'write(1</dev/null<char 1:3>>, "a", 1) = 1 <0.000002>'),
        (7, 3, 'write(5<socket:[12]>, "a", 1) = 1 <0.000002>'),
        (7, 4, "read(3</x>, 0x7ffe, 1) = -1 EAGAIN (Resource temporarily unavailable) <0.000002>"),
        (7, 5, "exit_group(0) = ?"),
    )
    rows, result = imported(tmp_path, text)
    assert len(rows) == 1
    assert result.metadata.losses == {"descriptors_before": 1, "calls_without_pages": 3}
