"""A workload with some of its values changed, for one trace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError
from pipeline.io.scratch import ScratchDirectory
from pipeline.io.toml_overrides import apply_overrides, toml_value
from pipeline.workload.read_spec import read_workload


@contextmanager
def override_workload(spec: str | Path, settings: Mapping[str, str]) -> Iterator[str | Path]:
    """Yield a spec given as in `read_workload` with the values at some dotted keys replaced by TOML text.

    Without settings it is the given one. A key may be an old one, see `rename_old_keys`. Raises UsageError or
    InputError as `read_workload` does; an InputError about the copy names the spec and the settings instead.
    """
    if not settings:
        yield spec
        return
    path = read_workload(spec).path
    old = re.search(r"^\[pools\b", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
    with ScratchDirectory() as name:
        changes = {_as_in_file(key, old): toml_value(text) for key, text in settings.items()}
        copy = apply_overrides(path, changes, Path(name))
        try:
            yield copy
        except InputError as error:
            said = ", ".join(f"{key} = {value}" for key, value in settings.items())
            raise InputError(str(error).replace(str(copy), f"{path} with {said}")) from error


def _as_in_file(key: str, old: bool) -> str:
    """A dotted key as the file has it: with the old names of page sets, or with the present ones."""
    page_sets, page_set = ("pools", "pool") if old else ("page_sets", "page_set")
    key = re.sub(r"^(pools|page_sets)(?=\.|$)", page_sets, key)
    return re.sub(r"^(kinds\.\w+)\.(pool|page_set)$", rf"\1.{page_set}", key)
