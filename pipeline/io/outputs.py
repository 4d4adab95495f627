"""Where a command writes: what its file's name says of the content, and whether it can be written at all."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.errors import OutputError, UsageError
from pipeline.io.files import STDOUT, check_no_directory, output_error
from pipeline.io.numbers import join_words

ENDINGS: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "csv": (".csv",),
    "json": (".json",),
    "table": (".txt",),
    "lockmeter": (".txt",),
    "lock_stat": (".txt",),
    "html": (".html", ".htm"),
    "md": (".md",),
    "png": (".png",),
    "svg": (".svg",),
    "perfetto": (".pftrace", ".perfetto-trace"),
    "chrome": (".json",),
    "toml": (".toml",),
    "duckdb": (".duckdb", ".db"),
}
"""The endings that say that a file holds some content; a name without an ending says nothing."""

_COMPRESSED = ".gz"
_BINARY = ("parquet", "png", "perfetto", "duckdb")


def choose_form(
    path: Path | None, form: str | None, forms: Sequence[str], compressible: Collection[str] = ()
) -> str:
    """Choose one of `forms` for a file: the one that is given, else what its ending says, else the first.

    A name may end in .gz for a form that is `compressible`. Raises UsageError for an ending that is of none
    of the forms, and for one that contradicts the form that is given. An ending that no content in `ENDINGS`
    has is accepted for a form that is given.
    """
    if path is None or path == STDOUT:
        return form or forms[0]
    zipped = path.suffix.lower() == _COMPRESSED
    ending = (path.with_suffix("") if zipped else path).suffix.lower()
    fitting = [name for name in forms if ending in ENDINGS[name]]
    if form is None and (fitting or not ending):
        form = fitting[0] if fitting else forms[0]
    if form is None:
        known = join_words(dict.fromkeys(one for name in forms for one in ENDINGS[name]))
        how = "; or say with --format what it is to hold" if len(forms) > 1 else ""
        raise UsageError(f"{path}: wanted a name that ends in {known}, found '{ending}'{how}")
    if form not in fitting and any(ending in endings for endings in ENDINGS.values()):
        raise UsageError(
            f"{path}: its ending says {ending.removeprefix('.')}, but it would hold {form}; "
            f"name it {path.with_suffix(ENDINGS[form][0]).name}"
            + ("" if len(forms) == 1 else " or choose another --format")
        )
    if zipped and form not in compressible:
        raise UsageError(f"{path}: {form} is not compressed with gzip here; name the file without .gz")
    return form


def choose_output(
    path: Path,
    forms: Sequence[str],
    form: str | None = None,
    *,
    force: bool,
    stdout: bool = False,
    compressible: Collection[str] = (),
) -> str:
    """Choose the content of a file as `choose_form`, and check before the work that it can be written.

    `force` allows to overwrite it; `stdout` allows "-", which is standard output, for binary content only
    where that is no terminal. Nothing is left on disk. Raises UsageError or OutputError.
    """
    chosen = choose_form(path, form, forms, compressible)
    check_output(path, force=force, stdout=stdout, binary=chosen in _BINARY)
    return chosen


def check_output(path: Path, *, force: bool, stdout: bool = False, binary: bool = False) -> None:
    """Check before the work that a file can be written, whatever its name ends in; as `choose_output`."""
    if path == STDOUT:
        if not stdout:
            raise UsageError("-o -: this cannot be written to standard output; give the name of a file")
        if binary and sys.stdout.isatty():
            raise UsageError("-o -: this is no text for a terminal; give a file, or send it on with a pipe")
        return
    check_no_directory(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: wanted a file to write, found a device or pipe; '-o -' writes to a pipe")
    if path.exists() and not force:
        raise OutputError(f"{path}: is there already; choose another name, or overwrite it with --force")
    _try_to_write(path)


def check_output_directory(path: Path, *, force: bool) -> None:
    """Check before the work that a directory can be written; `force` allows to replace one with files in it.

    Raises OutputError.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: wanted a directory to write, found a file; choose another name")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(f"{path}: has files in it; choose another name, or replace it with --force")
    _try_to_write(path)


def _try_to_write(path: Path) -> None:
    """Make something beside `path`, or where the first of its missing directories will be, and remove it."""
    place = path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    trial = place / f".{secrets.token_hex(4)}.partial"
    try:
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if place == path.parent:
            trial.touch(exist_ok=False)
            trial.unlink()
        else:
            trial.mkdir()
            trial.rmdir()
    except OSError as error:
        raise output_error(path, error) from error
