"""The model of a workload spec: the keys of a TOML file in traces/, their meanings and allowed values.

A workload is a number of tasks. Each task repeats this cycle: think (on a CPU), wait (off CPU), map a page,
hold the mapping (on a CPU), block while holding it (off CPU), unmap. Kinds of operation differ in their
frequency, their pages and the duration of each step.

The names of version 0.1 for `page_sets` and `page_set`, `pools` and `pool`, are still accepted; see
`rename_old_keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.schema.names import KINDS
from pipeline.schema.trace import MAX_LENGTH, MAX_PAGE, MAX_TASKS
from pipeline.workload.distributions import NOTHING, TimeDistribution
from pipeline.workload.sampling_tables import MAX_ALIAS_PAGES
from pipeline.workload.strict_model import Probability, SpecModel

# A type checker cannot evaluate a Literal with values from another module.
if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[KINDS]
Sharing = Literal["all", "process", "task"]
Bytes = Annotated[int, Field(ge=0, lt=1 << 31)]
Pages = Annotated[int, Field(ge=1, le=MAX_LENGTH)]

MAX_OPERATIONS = 10**12
MAX_NESTING = 4


class PageSet(SpecModel):
    """A set of pages from which operations choose: `[page_sets.NAME]`."""

    pages: Annotated[int, Field(ge=1, lt=MAX_PAGE)]
    """Number of pages in one instance of the set at which a mapping can begin; page 0 is the most popular.
    The further pages of the longest mapping follow them."""
    skew: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Zipf exponent: page i has a probability proportional to (i + 1 + hot_pages)**-skew; 0 is uniform."""
    hot_pages: Annotated[float, Field(ge=0.0, le=MAX_ALIAS_PAGES)] = 0.0
    """Size of a hot set of pages with about equal probability; the power law's tail follows it."""
    sharing: Sharing = "all"
    """Which tasks share an instance: all tasks, the tasks of a process, or none ("task")."""

    @model_validator(mode="after")
    def _table_fits(self) -> PageSet:
        if self.skew != 0.0 and self.pages > MAX_ALIAS_PAGES:
            raise ValueError(
                f"a skewed page set can have at most {MAX_ALIAS_PAGES} pages, found {self.pages}; "
                "use fewer pages or skew = 0.0"
            )
        return self


class Sometimes(SpecModel):
    """A time that occurs with some probability: `{ probability = 0.02, time = { dist = ... } }`."""

    probability: Probability
    time: TimeDistribution


class LongLived(SpecModel):
    """Mappings that are held far longer than others of their kind.

    `long_lived = { of = "operations", share = 0.001, block = { dist = "constant", ns = 1_000_000_000 } }`
    """

    of: Literal["operations", "tasks"]
    """Whether `share` is a fraction of the kind's operations, or of the tasks (with all their mappings)."""
    share: Probability
    hold: TimeDistribution | None = None
    """Replaces the kind's `hold` (on a CPU); the default is the kind's."""
    block: TimeDistribution | None = None
    """Replaces the kind's `block` (off CPU), with probability 1; the default is the kind's."""

    @model_validator(mode="after")
    def _lengthens_something(self) -> LongLived:
        if self.hold is None and self.block is None:
            raise ValueError("`hold`, `block` or both are required: without them no mapping is held longer")
        return self


class SomeValues(SpecModel):
    """Whole numbers with relative weights: `{ values = [1024, 4096], weights = [1, 9] }`."""

    values: Annotated[list[int], Field(min_length=1, max_length=256)]
    weights: Annotated[list[Annotated[float, Field(ge=0.0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _fit(self) -> SomeValues:
        if len(self.values) != len(self.weights) or sum(self.weights) <= 0.0:
            raise ValueError("one weight for each value is required, and at least one must be greater than 0")
        return self


class SomeBytes(SomeValues):
    """Sizes of copies."""

    values: Annotated[list[Bytes], Field(min_length=1, max_length=256)]


class SomePages(SomeValues):
    """Lengths of mappings in pages."""

    values: Annotated[list[Pages], Field(min_length=1, max_length=256)]


class KindSpec(SpecModel):
    """A kind of operation: `[kinds.KIND]`, where KIND is a kind of the trace format."""

    share: Probability
    """Fraction of the outermost operations; the shares of all kinds sum to 1. 0: occurs only nested."""
    page_set: str
    """Name of the page set of its pages."""
    think: TimeDistribution
    """CPU time since the previous operation's unmap (not used if the operation is nested)."""
    wait: Sometimes | None = None
    """Time off CPU before the operation, in addition to `think` (not used if the operation is nested)."""
    hold: TimeDistribution
    """CPU time for which the mapping is in use, without nested operations."""
    block: Sometimes | None = None
    """Time off CPU while the mapping is held, for example when a copy faults and waits for the disk."""
    long_lived: LongLived | None = None
    bytes: SomeBytes | None = None
    """Bytes copied: a number, or a table of values and weights. The default is null in the trace."""
    pages: SomePages | None = None
    """Length of a mapping: a number of pages, or a table of values and weights. The default is one page."""
    nested: dict[Kind, Probability] = Field(default_factory=dict)
    """Probability that an operation of another kind is nested in one of this kind, by that kind."""

    @property
    def most_pages(self) -> int:
        """The length of the longest mapping in pages."""
        return max(self.pages.values) if self.pages else 1

    @field_validator("bytes", "pages", mode="before")
    @classmethod
    def _one_size(cls, found: object) -> object:
        whole = isinstance(found, int) and not isinstance(found, bool)
        return {"values": [found], "weights": [1.0]} if whole else found

    @model_validator(mode="after")
    def _at_most_one_nested(self) -> KindSpec:
        if sum(self.nested.values()) > 1.0:
            raise ValueError(
                "the probabilities in `nested` sum to more than 1; at most one operation is nested"
            )
        return self


class Bursts(SpecModel):
    """Bursts of operations with idle time between them: `[bursts]`. The default is a steady stream."""

    mean_operations: Annotated[float, Field(ge=1.0, le=1e9)]
    """Mean number of operations in a burst. It has a geometric distribution, so each operation is equally
    likely to be the first."""
    idle: TimeDistribution
    """Time off CPU between two bursts of a task, in addition to `wait`."""


class KindRuns(SpecModel):
    """Runs of operations of one kind, for example the copies when a file is read: `[kind_runs]`.

    By default, the kind of every outermost operation is drawn independently.
    """

    mean_operations: Annotated[float, Field(ge=1.0, le=1e9)]
    """Mean number of operations until a task draws the kind again (possibly the same kind). The number has a
    geometric distribution, so the shares of the kinds do not change."""


class Workload(SpecModel):
    """A workload spec: the contents of a file."""

    description: Annotated[str, Field(min_length=1, max_length=200)]
    """One line that `pipeline workloads` lists."""
    tasks: Annotated[int, Field(ge=1, le=MAX_TASKS)]
    threads_per_process: Annotated[int, Field(ge=1, le=MAX_TASKS)] = 1
    operations: Annotated[int, Field(ge=1, le=MAX_OPERATIONS)]
    """Default number of rows to generate."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    start: TimeDistribution = NOTHING
    """Time at which each task starts."""
    page_sets: Annotated[dict[str, PageSet], Field(min_length=1)]
    kinds: Annotated[dict[Kind, KindSpec], Field(min_length=1)]
    kind_runs: KindRuns | None = None
    bursts: Bursts | None = None

    @property
    def processes(self) -> int:
        """Number of processes; tasks are assigned to them in order, `threads_per_process` each."""
        return -(-self.tasks // self.threads_per_process)

    def instances(self, page_set: PageSet) -> int:
        """Return the number of instances of a page set: one, one per process or one per task."""
        return {"all": 1, "process": self.processes, "task": self.tasks}[page_set.sharing]

    def instance_pages(self, name: str) -> int:
        """Return the number of pages in one instance of the page set `name`."""
        longest = (kind.most_pages for kind in self.kinds.values() if kind.page_set == name)
        return self.page_sets[name].pages + max(longest, default=1) - 1

    @model_validator(mode="after")
    def _hangs_together(self) -> Workload:
        total = sum(kind.share for kind in self.kinds.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(
                f"the shares of all kinds sum to {total:g}, but must sum to 1; change kinds.*.share"
            )
        pages = sum(
            self.instance_pages(name) * self.instances(page_set) for name, page_set in self.page_sets.items()
        )
        if pages > MAX_PAGE:
            raise ValueError(f"the page sets have {pages} pages, but a trace can have at most {MAX_PAGE}")
        for name, kind in self.kinds.items():
            if kind.page_set not in self.page_sets:
                raise ValueError(
                    f"kinds.{name}.page_set: found '{kind.page_set}', expected one of: "
                    f"{', '.join(self.page_sets)}"
                )
            missing = [inner for inner in kind.nested if inner not in self.kinds]
            if missing:
                raise ValueError(f"kinds.{name}.nested: the file has no [kinds.{missing[0]}]; add it")
        self.nesting_depth()
        return self

    def nesting_depth(self) -> int:
        """Return the maximum depth of nesting; 0 if no operation is nested.

        Raises ValueError if a kind can contain itself at any depth, or if operations nest deeper than 4.
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
    """Return a spec's table with the deprecated keys `pools`, and `pool` of a kind, renamed.

    The next version rejects these keys.
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
