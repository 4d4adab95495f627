"""TOML of every kind is read within limits; what is wrong with it is said in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.importing.table_mapping import read_mapping
from pipeline.io.toml import MOST_BYTES, MOST_DEPTH, parse_toml, read_toml
from pipeline.io.toml_overrides import toml_value
from pipeline.machine.profile import load_profile
from pipeline.report.read_definition import load_definition
from pipeline.studies.definition import read_study
from pipeline.sweeps.grid import read_grid
from pipeline.workload.read_spec import read_workload

LOADERS: dict[str, Callable[[Path], object]] = {
    "workload": read_workload,
    "profile": lambda path: load_profile(str(path)),
    "mapping": read_mapping,
    "grid": read_grid,
    "report": load_definition,
    "study": read_study,
}
HOSTILE = {
    "deep": (b"a = " + b"[" * 3_000 + b"]" * 3_000, "at most 32 levels of nesting"),
    "deep keys": (b".".join([b"a"] * 500) + b" = 1", "at most 32 levels of nesting"),
    "digits": (b"a = " + b"9" * 5_000, "found an invalid value"),
    "large": (b"a.b = [" + b"9" * 40 + b"]", "a.b.0: expected a 64-bit number"),
    "long": (b"#" * (MOST_BYTES + 1), "at most 1,024 KiB"),
    "latin": (b"\n\na = '\xe9'", ":3: expected TOML in UTF-8"),
    "mistake": (b"\na 1", ":2: expected TOML, found a syntax error"),
    "NUL": (b"a = '\0'", ":1: expected TOML, found a syntax error"),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_cannot_be_read_is_refused_by_every_loader(loader: str, hostile: str, tmp_path: Path) -> None:
    content, said = HOSTILE[hostile]
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        LOADERS[loader](path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "content", [b"a" * 70_000 + b" = 1", b"'\\u001b[31m' = 1", b'claim = "' + b"x" * 70_000 + b'"']
)
def test_a_message_is_no_longer_than_a_screen_and_acts_on_no_terminal(loader, content, tmp_path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content.replace(b"'\\u001b", b'"\\u001b').replace(b"[31m'", b'[31m"'))
    with pytest.raises(InputError) as caught:
        LOADERS[loader](path)
    assert len(str(caught.value)) < 1_700
    assert str(caught.value).isprintable()


def test_the_limits_themselves_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    deepest = "[" * MOST_DEPTH + "]" * MOST_DEPTH
    path.write_text(f"a = {deepest}\nb = {(1 << 63) - 1}\n")
    assert read_toml(path, "TOML")["b"] == (1 << 63) - 1
    with pytest.raises(InputError):
        parse_toml(f"a = [{deepest}]".encode(), path)


@pytest.mark.parametrize("text", ["[" * 5_000, "9" * 5_000, "1 2", "\0", '"'])
def test_a_value_that_is_no_toml_is_a_string(text: str) -> None:
    assert toml_value(text) == text
