"""The candidates of a selection: designs, each with several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Option
from pipeline.allocators.registry import resolve_allocator, shipped_allocators
from pipeline.errors import UsageError
from pipeline.sweeps.trace_source import is_workload
from pipeline.trace.names import trace_path
from pipeline.trace.reader import open_trace
from pipeline.workload.read_spec import read_workload

# Names of options that set the size of a design.
_SIZE_OPTIONS = ("slots", "slots_per_cpu", "region_pages")


@dataclass(frozen=True)
class Candidate:
    """A design with the options that differ from its defaults."""

    design: str
    options: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The candidate as written on the command line."""
        return ":".join([self.design, *(f"{name}={value}" for name, value in self.options.items())])


def find_candidates(
    designs: Sequence[str], own: Sequence[str], sizes: Sequence[float], areas: bool = False
) -> list[Candidate]:
    """Return the candidates of `designs` and of the user's `own` file.

    Without `designs`, all shipped designs for kmap that are not bounds take part, or with `areas` all shipped
    designs for areas. `sizes` are multiples of the default of the option that sets a design's size. Raises
    UsageError for a factor that is not positive, and for unknown names.
    """
    if wrong := [size for size in sizes if size <= 0]:
        raise UsageError(f"--sizes: expected positive factors, found {wrong[0]:g}")
    named = list(designs) or [name for name in shipped_allocators() if _competes(name, areas)]
    found: dict[str, Candidate] = {}
    for name in dict.fromkeys([*named, *own]):
        for candidate in _sized(name, resolve_allocator(name), sizes):
            found.setdefault(candidate.text, candidate)
    return list(found.values())


def _competes(name: str, areas: bool) -> bool:
    design = resolve_allocator(name)
    return design.maps_areas == areas and not design.bound


def has_areas(trace: str) -> bool:
    """Whether the mappings of a trace, a shipped recording or a workload are areas of several pages.

    Raises the errors of reading it.
    """
    if is_workload(trace):
        return any(kind.most_pages > 1 for kind in read_workload(trace).workload.kinds.values())
    return not {"pages", "part"}.isdisjoint(open_trace(trace_path(trace)).columns)


def parse_sizes(text: str) -> tuple[float, ...]:
    """Parse comma-separated factors. Raises UsageError."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"--sizes: expected comma-separated numbers, found '{text}'") from None


def _sized(name: str, allocator: Allocator, sizes: Sequence[float]) -> Iterator[Candidate]:
    option = next((option for option in allocator.options if option.name in _SIZE_OPTIONS), None)
    if option is None:
        yield Candidate(name)
        return
    for size in sizes:
        value = _within(option, round(int(option.default) * size))
        yield Candidate(name, {} if value == option.default else {option.name: value})


def _within(option: Option, value: int) -> int:
    low = option.minimum if option.minimum is not None else value
    high = option.maximum if option.maximum is not None else value
    return min(max(value, low), high)
