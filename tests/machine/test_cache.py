"""Where compiled code is kept: what is found there is run, so it has to be the user's own."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from pipeline.jit import cache
from pipeline.jit.dispatchers import emit, make_dispatcher
from pipeline.jit.machine_code import CompiledFunction


@pytest.fixture
def fallback(tmp_path, monkeypatch) -> Path:
    """The place beside an unwritable one, before anybody has made it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KMAP_PIPELINE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache._temporary_cache.cache_clear()
    yield tmp_path / f"kmap-pipeline-{os.getuid()}"
    cache._temporary_cache.cache_clear()


def test_the_chosen_directory_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("KMAP_PIPELINE_CACHE", str(tmp_path / "some" / "where"))
    assert cache.cache_directory() == tmp_path / "some" / "where"
    assert list((tmp_path / "some" / "where").iterdir()) == []


def test_where_it_cannot_be_written_a_private_temporary_one_is_taken(fallback):
    assert cache.cache_directory() == cache.cache_directory() == fallback
    assert fallback.stat().st_mode & 0o077 == 0


def writable_by_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def elsewhere(path: Path) -> None:
    (path.parent / "other").mkdir(mode=0o700)
    path.symlink_to("other")


@pytest.mark.parametrize("make", [writable_by_all, elsewhere, Path.touch])
def test_what_somebody_else_may_have_put_there_is_not_used(fallback, make):
    make(fallback)
    found = cache.cache_directory()
    assert found != fallback
    assert found == cache.cache_directory()
    assert found.stat().st_mode & 0o077 == 0


@pytest.fixture
def full(tmp_path, monkeypatch) -> Path:
    """A place below which nothing can be written, and no problem told of before."""
    (tmp_path / "full").touch()
    monkeypatch.setattr(cache, "_problems", [])
    return tmp_path / "full"


def test_what_cannot_be_kept_is_told_once_and_done_without(full, capsys):
    for name in ("run", "finish"):
        cache.keep(full / f"{name}.code", b"code")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"pipeline: {full}/run.code: cannot be written (")
    assert said[0].endswith("; the next command compiles again what could not be kept")


def test_a_function_that_cannot_be_kept_works(full, capsys):
    def add(a, b):
        return a + b

    compiled = CompiledFunction(
        lambda: full / "package", "add", lambda arguments: emit(make_dispatcher(add), arguments)
    )
    assert compiled(2, 3) == 5
    assert "package/add-" in capsys.readouterr().err


def test_a_loop_that_numba_cannot_keep_works(full, capsys, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    dispatcher = make_dispatcher(inverse, cache=True)
    monkeypatch.setattr(dispatcher._cache._cache_file, "save", refuse)
    assert dispatcher(4) == ~4
    assert capsys.readouterr().err.count("No space left on device") == 1


def inverse(number):
    return ~number
