"""A workload with some of its values changed, for one trace."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.io.toml_overrides import changed, toml_value
from pipeline.workload.read_spec import read_workload


@contextmanager
def varied(spec: str | Path, settings: Mapping[str, str]) -> Iterator[str | Path]:
    """Yield a spec given as in `read_workload` with the values at some dotted keys replaced by TOML text.

    Without settings it is the given one. Raises UsageError or InputError as `read_workload` does.
    """
    if not settings:
        yield spec
        return
    path = read_workload(spec).path
    with tempfile.TemporaryDirectory() as name:
        yield changed(path, {key: toml_value(text) for key, text in settings.items()}, Path(name))
