"""Where compiled code is kept: what is found there is run, so it has to be the user's own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pipeline.jit import cache


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
