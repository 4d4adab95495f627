"""Too little disk or memory: one line, a status of its own, nothing half-written."""

from __future__ import annotations

import resource

import pytest

from pipeline.errors import OutOfMemory, OutputError
from tests.campaigns.house import COMMANDS, Ended, House, clear, finish, left_over

WRITERS = [command for command in COMMANDS if command.output and not command.endless]
# Fewer bytes than what any of them writes.
SMALL = 300


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    return House(tmp_path_factory.mktemp("limits") / "house")


def limited(house, command, out, what: int, most: int) -> Ended:
    return finish(house.start(command, out, limit=lambda: resource.setrlimit(what, (most, most))))


def assert_told(ended: Ended, error: type) -> None:
    assert ended.status == error.exit_status, ended
    assert sum(line.startswith("pipeline: ") for line in ended.said) >= 1
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", WRITERS, ids=lambda command: command.name)
def test_a_file_that_may_not_grow(house, tmp_path, command):
    if command.name in ("sweep", "record", "compare"):
        pytest.skip("its workers and children write too; the campaign has it")
    clear(tmp_path / "out")
    ended = limited(house, command, tmp_path / "out", resource.RLIMIT_FSIZE, SMALL)
    assert_told(ended, OutputError)
    assert left_over(tmp_path) == []
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


NAMED = {command.name: command for command in COMMANDS}


@pytest.mark.parametrize("name", ["sql", "replay"])
def test_an_address_space_that_is_too_small_is_refused(house, tmp_path, name):
    clear(tmp_path / "out")
    ended = limited(house, NAMED[name], tmp_path / "out", resource.RLIMIT_AS, 500_000_000)
    assert_told(ended, OutOfMemory)
    assert "at least 1,000 MB of address space is required, found a limit of 500 MB" in ended.err


def test_one_that_is_large_enough_does(house, tmp_path):
    clear(tmp_path / "out")
    ended = limited(house, NAMED["sql"], tmp_path / "out", resource.RLIMIT_AS, 1_500_000_000)
    assert ended.status == 0, ended
    assert "global_pool" in ended.out


def test_an_abort_of_a_library_is_one_line(house, tmp_path):
    command = NAMED["sql"]
    # A list of 400 MB is more than the rest of the limit has room for, however often it is copied.
    words = "sql 'SELECT repeat(chr(120), 400_000_000) AS x, x || chr(121) AS y, y || chr(122) AS z'"
    ended = limited(house, type(command)("large", words), tmp_path, resource.RLIMIT_AS, 1_200_000_000)
    assert_told(ended, OutOfMemory)
    assert len(ended.said) == 1


def test_standard_output_that_is_full(house, tmp_path):
    import subprocess

    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            house.words(NAMED["sql"], tmp_path), cwd=house.path, stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == OutputError.exit_status
    assert done.stderr.splitlines()[0].endswith("(No space left on device); check the free space")
