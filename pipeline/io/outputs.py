"""Output files of commands: the format that a file name implies, and checks that it can be written."""

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
"""File name endings of each format; a name without an ending implies no format."""

_COMPRESSED = ".gz"
_BINARY = ("parquet", "png", "perfetto", "duckdb")


def choose_form(
    path: Path | None, form: str | None, forms: Sequence[str], compressible: Collection[str] = ()
) -> str:
    """Choose the format of a file: `form` if given, else the one that the ending implies, else the first.

    A name may end in .gz if the format is `compressible`. Raises UsageError for an ending of none of `forms`,
    and for an ending that contradicts `form`. If `form` is given, endings that are not in `ENDINGS` are
    accepted.
    """
    if path is None or path == STDOUT:
        return form or forms[0]
    zipped = path.suffix.lower() == _COMPRESSED
    ending = (path.with_suffix("") if zipped else path).suffix.lower()
    fitting = [name for name in forms if ending in ENDINGS[name]]
    if form is None and (fitting or not ending):
        form = fitting[0] if fitting else forms[0]
    if form is None:
        known = join_words(dict.fromkeys(one for name in forms for one in ENDINGS[name]), "or")
        how = "; change the name or give --format" if len(forms) > 1 else ""
        raise UsageError(f"{path}: expected a name that ends in {known}, found '{ending}'{how}")
    if form not in fitting and any(ending in endings for endings in ENDINGS.values()):
        raise UsageError(
            f"{path}: the name ends in {ending}, but the format is {form}; "
            f"name it {path.with_suffix(ENDINGS[form][0]).name}"
            + ("" if len(forms) == 1 else " or choose another --format")
        )
    if zipped and form not in compressible:
        raise UsageError(f"{path}: gzip is not supported for {form}; name the file without .gz")
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
    """Choose the format of a file as `choose_form` does, and check in advance that it can be written.

    `force` permits overwriting. `stdout` permits "-" for standard output, except for binary content on a
    terminal. Leaves nothing on disk. Raises UsageError or OutputError.
    """
    chosen = choose_form(path, form, forms, compressible)
    check_output(path, force=force, stdout=stdout, binary=chosen in _BINARY)
    return chosen


def check_output(path: Path, *, force: bool, stdout: bool = False, binary: bool = False) -> None:
    """Check in advance that a file with any ending can be written, as `choose_output` does."""
    if path == STDOUT:
        if not stdout:
            raise UsageError("-o -: this command cannot write to standard output; give a file name")
        if binary and sys.stdout.isatty():
            raise UsageError(
                "-o -: binary output cannot be written to a terminal; give a file name or use a pipe"
            )
        return
    check_no_directory(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: expected a file to write, found a device or pipe; use '-o -' for a pipe")
    if path.exists() and not force:
        raise OutputError(f"{path}: already exists; choose another name, or overwrite it with --force")
    _try_to_write(path)


def check_output_directory(path: Path, *, force: bool) -> None:
    """Check in advance that a directory can be written; `force` permits replacing one that is not empty.

    Raises OutputError.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: expected a directory to write, found a file; choose another name")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(
            f"{path}: the directory is not empty; choose another name, or replace it with --force"
        )
    _try_to_write(path)


def _try_to_write(path: Path) -> None:
    """Create and remove a file next to `path`, or a directory in the nearest directory that exists."""
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
