"""The model of a workload spec: what the keys of a TOML file in traces/ mean and what they may be.

A workload is a number of tasks that each repeat for ever: think (on a CPU), wait (off it), map a page, hold
the mapping (on a CPU), block while holding it (off it), unmap. Kinds of operation differ in how often they
occur, which pages they map and how long each of these takes.

The keys `page_sets` and `page_set` were `pools` and `pool` in version 0.1, which is still read: see
`rename_old_keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.schema.names import KINDS
from pipeline.schema.trace import MAX_PAGE, MAX_TASKS
from pipeline.workload.distributions import NOTHING, TimeDistribution
from pipeline.workload.sampling_tables import MAX_ALIAS_PAGES
from pipeline.workload.strict_model import Probability, SpecModel

# A checker of types cannot read a Literal's values from elsewhere.
if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[KINDS]
Sharing = Literal["all", "process", "task"]
Bytes = Annotated[int, Field(ge=0, lt=1 << 31)]

MAX_OPERATIONS = 10**12
MAX_NESTING = 4


class PageSet(SpecModel):
    """A set of pages that operations choose from: `[page_sets.NAME]`."""

    pages: Annotated[int, Field(ge=1, lt=MAX_PAGE)]
    """Pages of one instance of the set; page 0 is the most popular."""
    skew: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Zipf exponent: page i is chosen in proportion to (i + 1 + hot_pages)**-skew; 0 is uniform."""
    hot_pages: Annotated[float, Field(ge=0.0, le=MAX_ALIAS_PAGES)] = 0.0
    """Size of a hot set whose pages are chosen about equally often, before the power law's long tail."""
    sharing: Sharing = "all"
    """Who shares an instance: all tasks, the tasks of one process, or nobody ("task")."""

    @model_validator(mode="after")
    def _table_fits(self) -> PageSet:
        if self.skew != 0.0 and self.pages > MAX_ALIAS_PAGES:
            raise ValueError(
                f"a skewed page set may have {MAX_ALIAS_PAGES} pages at most, found {self.pages}; "
                "take fewer pages or skew = 0.0"
            )
        return self


class Sometimes(SpecModel):
    """A time that passes with some probability: `{ probability = 0.02, time = { dist = ... } }`."""

    probability: Probability
    time: TimeDistribution


class LongLived(SpecModel):
    """Mappings held far longer than the others of their kind.

    `long_lived = { of = "operations", share = 0.001, block = { dist = "constant", ns = 1_000_000_000 } }`
    """

    of: Literal["operations", "tasks"]
    """Whether `share` is of the kind's operations, or of the tasks (which then hold all of theirs long)."""
    share: Probability
    hold: TimeDistribution | None = None
    """Replaces the kind's `hold` (on a CPU); absent: as the others."""
    block: TimeDistribution | None = None
    """Replaces the kind's `block` (off CPU), with certainty; absent: as the others."""

    @model_validator(mode="after")
    def _lengthens_something(self) -> LongLived:
        if self.hold is None and self.block is None:
            raise ValueError("give `hold` or `block`, or both: without them nothing lives longer")
        return self


class SomeBytes(SpecModel):
    """Sizes of copies: `bytes = { values = [1024, 4096], weights = [1, 9] }`; weights are relative."""

    values: Annotated[list[Bytes], Field(min_length=1, max_length=256)]
    weights: Annotated[list[Annotated[float, Field(ge=0.0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _fit(self) -> SomeBytes:
        if len(self.values) != len(self.weights) or sum(self.weights) <= 0.0:
            raise ValueError("give one weight for each value, at least one of them above 0")
        return self


class KindSpec(SpecModel):
    """One kind of operation: `[kinds.KIND]`, KIND one of the kinds of the trace format."""

    share: Probability
    """Share of the outermost operations; the shares of all kinds sum to 1. 0: occurs only nested."""
    page_set: str
    """Name of the page set that its pages come from."""
    think: TimeDistribution
    """CPU time since the previous operation's unmap (not used where the operation is nested)."""
    wait: Sometimes | None = None
    """Time off CPU before the operation, beside `think` (not used where the operation is nested)."""
    hold: TimeDistribution
    """CPU time for which the mapping is in use; nested operations come on top of it."""
    block: Sometimes | None = None
    """Time off CPU while the mapping is held: the copy faults, the fault waits for the disk."""
    long_lived: LongLived | None = None
    bytes: SomeBytes | None = None
    """Bytes copied: a number, or a table of values and weights. Absent: null in the trace."""
    nested: dict[Kind, Probability] = Field(default_factory=dict)
    """Probability that an operation of another kind happens inside one of this kind, by that kind."""

    @field_validator("bytes", mode="before")
    @classmethod
    def _one_size(cls, found: object) -> object:
        whole = isinstance(found, int) and not isinstance(found, bool)
        return {"values": [found], "weights": [1.0]} if whole else found

    @model_validator(mode="after")
    def _at_most_one_nested(self) -> KindSpec:
        if sum(self.nested.values()) > 1.0:
            raise ValueError("the probabilities in `nested` sum to more than 1; at most one happens inside")
        return self


class Bursts(SpecModel):
    """Bursts of operations with idle time between them: `[bursts]`. Absent: a steady stream."""

    mean_operations: Annotated[float, Field(ge=1.0, le=1e9)]
    """Mean operations of a burst; the number is geometric, so each operation is equally likely the first."""
    idle: TimeDistribution
    """Time off CPU between two bursts of a task, on top of `wait`."""


class KindRuns(SpecModel):
    """Runs of operations of one kind, such as the copies of a file that is read: `[kind_runs]`.

    Absent: the kind of every outermost operation is drawn for itself.
    """

    mean_operations: Annotated[float, Field(ge=1.0, le=1e9)]
    """Mean operations after which a task draws the kind anew (perhaps the same); the number is geometric, so
    that the shares of the kinds stay what they are."""


class Workload(SpecModel):
    """A whole spec file."""

    description: Annotated[str, Field(min_length=1, max_length=200)]
    """One line that `pipeline workloads` lists."""
    tasks: Annotated[int, Field(ge=1, le=MAX_TASKS)]
    threads_per_process: Annotated[int, Field(ge=1, le=MAX_TASKS)] = 1
    operations: Annotated[int, Field(ge=1, le=MAX_OPERATIONS)]
    """Rows that are generated if the command does not say how many."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    start: TimeDistribution = NOTHING
    """How long after the beginning each task starts."""
    page_sets: Annotated[dict[str, PageSet], Field(min_length=1)]
    kinds: Annotated[dict[Kind, KindSpec], Field(min_length=1)]
    kind_runs: KindRuns | None = None
    bursts: Bursts | None = None

    @property
    def processes(self) -> int:
        """Number of address spaces: tasks are put into them in order, `threads_per_process` each."""
        return -(-self.tasks // self.threads_per_process)

    def instances(self, page_set: PageSet) -> int:
        """How many instances of a page set there are: one, one per process or one per task."""
        return {"all": 1, "process": self.processes, "task": self.tasks}[page_set.sharing]

    @model_validator(mode="after")
    def _hangs_together(self) -> Workload:
        total = sum(kind.share for kind in self.kinds.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"the `share` of all kinds sums to {total:g}, wanted 1; change kinds.*.share")
        pages = sum(page_set.pages * self.instances(page_set) for page_set in self.page_sets.values())
        if pages > MAX_PAGE:
            raise ValueError(f"the page sets have {pages} pages in all, at most {MAX_PAGE} fit into a trace")
        for name, kind in self.kinds.items():
            if kind.page_set not in self.page_sets:
                raise ValueError(
                    f"kinds.{name}.page_set: found '{kind.page_set}', wanted one of: "
                    f"{', '.join(self.page_sets)}"
                )
            missing = [inner for inner in kind.nested if inner not in self.kinds]
            if missing:
                raise ValueError(f"kinds.{name}.nested: there is no [kinds.{missing[0]}] in this file")
        self.nesting_depth()
        return self

    def nesting_depth(self) -> int:
        """How deep operations nest at most; 0 if none contains another.

        Raises ValueError if a kind can contain itself, at whatever depth, or beyond 4 levels.
        """
        level: set[Kind] = {name for name, kind in self.kinds.items() if kind.share > 0.0}
        for depth in range(MAX_NESTING + 1):
            level = {inner for name in level for inner, p in self.kinds[name].nested.items() if p > 0.0}
            if not level:
                return depth
        raise ValueError(
            f"kinds.*.nested: operations nest deeper than {MAX_NESTING}, or a kind contains itself through "
            f"'{sorted(level)[0]}'; remove one of the nested probabilities"
        )


def rename_old_keys(table: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's table with the keys `pools`, and `pool` of a kind, under their present names.

    Deprecated: they will be unknown keys in the version after this one.
    """
    renamed = _rename(table, "pools", "page_sets")
    kinds = renamed.get("kinds")
    if isinstance(kinds, dict):
        renamed["kinds"] = {
            name: _rename(kind, "pool", "page_set") if isinstance(kind, dict) else kind
            for name, kind in kinds.items()
        }
    return renamed


def _rename(table: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old and new not in table else key: value for key, value in table.items()}
