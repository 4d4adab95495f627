"""A loaded design: what the machine is given, whichever way the file was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.allocators.api.contract import Option
from pipeline.io.files import sha256_of


@dataclass(frozen=True)
class Allocator:
    """One design: its module as plain Python, and the file that a simulator is composed from."""

    name: str
    path: Path
    module: ModuleType

    @property
    def summary(self) -> str:
        """One line: what the design does."""
        return str(self.module.SUMMARY)

    @property
    def source(self) -> str:
        """Who proposed the design, and where."""
        return str(getattr(self.module, "SOURCE", ""))

    @property
    def bound(self) -> str:
        """What it bounds, if it is a bound for charts; "" for a design that could be had."""
        return str(getattr(self.module, "BOUND", ""))

    @property
    def options(self) -> tuple[Option, ...]:
        """The options it takes."""
        return tuple(getattr(self.module, "OPTIONS", ()))

    @property
    def sha256(self) -> str:
        """Hash of its source."""
        return sha256_of(self.path)

    def fields(self, name: str) -> list[Any]:
        """NumPy field list of one of its records (POOL, SLOT, PAGE, PERCPU); empty if it has none."""
        return list(getattr(self.module, name, ()))
