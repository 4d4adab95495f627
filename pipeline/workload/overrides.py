"""Override values of a workload for one trace."""

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
    """Yield a spec, given as for `read_workload`, with the values at dotted keys replaced by TOML text.

    Without settings, yield `spec` itself. Deprecated keys are accepted, see `rename_old_keys`. Raises
    UsageError or InputError as `read_workload` does; an InputError names the spec and the settings.
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
    """Return a dotted key as in the file: with deprecated or current names of page sets."""
    page_sets, page_set = ("pools", "pool") if old else ("page_sets", "page_set")
    key = re.sub(r"^(pools|page_sets)(?=\.|$)", page_sets, key)
    return re.sub(r"^(kinds\.\w+)\.(pool|page_set)$", rf"\1.{page_set}", key)
