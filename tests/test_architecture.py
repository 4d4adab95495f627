"""Imports go down only: the contracts of pyproject.toml hold, and every package has its layer."""

from __future__ import annotations

import tomllib
from pathlib import Path

from importlinter.cli import lint_imports

import pipeline

ROOT = Path(__file__).parents[1]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
LAYERS = next(contract["layers"] for contract in LINTER["contracts"] if contract["id"] == "layers")


def test_no_import_goes_up(capsys) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_every_package_has_a_layer() -> None:
    layers = {name.strip() for layer in LAYERS for name in layer.split("|")}
    entries = Path(pipeline.__file__).parent.glob("[!_]*")
    modules = {path.stem for path in entries if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert layers == {f"pipeline.{name}" for name in modules}
