"""A loaded design, independent of how its file was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.allocators.api.contract import Option, Shape, Value
from pipeline.io.files import sha256_of


@dataclass(frozen=True)
class Allocator:
    """One allocator: its module as plain Python, and the file from which a simulator is composed."""

    name: str
    path: Path
    module: ModuleType

    @property
    def summary(self) -> str:
        """One line that says what the design does."""
        return str(self.module.SUMMARY)

    @property
    def source(self) -> str:
        """Who proposed the design, and where."""
        return str(getattr(self.module, "SOURCE", ""))

    @property
    def bound(self) -> str:
        """What the design bounds, if it is a bound for charts; "" for any other design."""
        return str(getattr(self.module, "BOUND", ""))

    @property
    def options(self) -> tuple[Option, ...]:
        """Options of the design."""
        return tuple(getattr(self.module, "OPTIONS", ()))

    @property
    def sha256(self) -> str:
        """SHA-256 of its source."""
        return sha256_of(self.path)

    @property
    def maps_areas(self) -> bool:
        """Whether its mappings may have several pages and be unmapped by another task."""
        return bool(getattr(self.module, "AREAS", False))

    def lock_names(self, options: dict[str, int], shape: Shape) -> tuple[str, ...]:
        """The name of what each of its spinlocks protects; () if the design does not say."""
        function = getattr(self.module, "lock_names", None)
        return tuple(function(options, shape)) if function is not None else ()

    def fields(self, name: str) -> list[Any]:
        """NumPy field list of one of its records (POOL, SLOT, PAGE, PERCPU); empty if it has none."""
        return list(getattr(self.module, name, ()))

    def encode(self, options: dict[str, Value]) -> dict[str, int]:
        """Values of all options as compiled code uses them."""
        return {option.name: option.code(options[option.name]) for option in self.options}

    def idle_options(self, options: dict[str, Value], cpus: int) -> dict[str, str]:
        """Return the options without effect for the values of the others, each with what it requires."""
        function = getattr(self.module, "idle_options", None)
        return dict(function(self.encode(options), cpus)) if function is not None else {}

    def size(self, name: str, options: dict[str, int], shape: Shape) -> int:
        """One of its sizes, from its function of that name or the default; `options` are encoded."""
        function = getattr(self.module, name, None)
        if function is not None:
            return int(function(options, shape))
        if name == "address_space_pages":
            return self.size("slots", options, shape)
        if name == "page_struct_bytes":
            return 4 if self.fields("PAGE") else 0
        return {"slots": options.get("slots", 0), "lines": 0, "workers": 0}.get(name, 1)
