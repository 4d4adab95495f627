"""What an allocator's file says of itself, and what its final check is given.

An allocator is a module with these names (only the first three are required):

    SUMMARY, SOURCE                  one line each: what it does, and who proposed it where
    map_step(a, r, d), unmap_step    see pipeline.machine.engine.allocator and `protocols`
    OPTIONS                          a tuple of `Option`
    BOUND                            what it bounds, in a few words ("lower bound of costs"), if it is a
                                     line for charts to measure others by and no design to be had
    POOL, SLOT, PAGE, PERCPU         NumPy field lists of its state records
    slots(options, shape)            how many slots it has; as the option `slots` says if left out
    pools(options, shape)            how many records of POOL; one if left out
    queues(options, shape)           how many wait queues; one if left out
    locks(options, shape)            how many spinlocks; one if left out
    lines(options, shape)            how many lines of memory it changes atomically; none if left out
    NON_GLOBAL, TRACKS_SWITCHES, ATOMICS, switch_out(a, r, d), switch_in(a, r, d)
                                     what it needs of the machine, see `traits`
    prepare(a, shape)                give the state its first values, where zeros will not do
    start_at(a, cursor), adopt(a, slot, page, count)
                                     take over a pool in use, to be held against a recording of one
    idle_options(options, cpus)           options without effect, given the values of the others and the
                                     number of CPUs: a dict from each to what it requires
    flush_unused(a)                  forget what nobody uses, outside of any mapping; return the pages
    check(a, live)                   what is wrong with the state, as a list of sentences
    lost_wakeups(a, live)            which tasks sleep beside a slot they could have, as sentences
    address_space_pages(options, shape)   kernel address space taken, in pages; its slots if left out
    page_struct_bytes(options, shape)     bytes it needs in every struct page; 4 if it has PAGE, else 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import UsageError, unknown_name

Value = int | bool | str

COST_BOUND = "lower bound of costs"
"""The BOUND of a design under which mapping costs nothing, which others' throughput is measured by."""


@dataclass(frozen=True)
class Option:
    """One option of a design: its default gives its type; compiled code sees an integer.

    A bool is 0 or 1 there, a choice its position in `choices`. `minimum` and `maximum` are inclusive.
    `default_on` has other defaults for machines of some architectures, by the profile's `architecture`.
    """

    name: str
    default: Value
    help: str
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    default_on: Mapping[str, Value] = field(default_factory=dict)

    def describe_allowed(self) -> str:
        """Say which values are allowed, for help and errors."""
        if self.choices:
            return " | ".join(self.choices)
        if isinstance(self.default, bool):
            return "true | false"
        low = "" if self.minimum is None else str(self.minimum)
        high = "" if self.maximum is None else str(self.maximum)
        return f"{low}..{high}"

    def parse(self, text: str, allocator: str) -> Value:
        """Turn `text` from the command line into a value. Raises UsageError naming what is allowed."""
        wrong = UsageError(f"{allocator}: option {self.name} wants {self.describe_allowed()}, found '{text}'")
        if self.choices:
            if text not in self.choices:
                raise wrong
            return text
        if isinstance(self.default, bool):
            known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            if text.lower() not in known:
                raise wrong
            return known[text.lower()]
        try:
            value = int(text)
        except ValueError:
            raise wrong from None
        if (self.minimum is not None and value < self.minimum) or (
            self.maximum is not None and value > self.maximum
        ):
            raise wrong
        return value

    def code(self, value: Value) -> int:
        """Return the integer that compiled code sees."""
        return self.choices.index(str(value)) if self.choices else int(value)


def parse_options(
    options: tuple[Option, ...], given: dict[str, str], allocator: str, architecture: str = ""
) -> dict[str, Value]:
    """Return every option's value: the given ones parsed, the others' defaults on machines of `architecture`.

    Raises UsageError for an unknown name.
    A name may be written with its design's (global_pool.slots), and must be where several designs have it.
    """
    by_name = {option.name: option for option in options}
    texts: dict[str, str] = {}
    for name, text in given.items():
        known = _known_name(by_name, name, allocator)
        if known in texts:
            raise UsageError(f"option {known} is given twice; give it once")
        texts[known] = text
    return {
        name: option.parse(texts[name], allocator)
        if name in texts
        else option.default_on.get(architecture, option.default)
        for name, option in by_name.items()
    }


def _known_name(known: Mapping[str, Option], name: str, allocator: str) -> str:
    """The option of that name; of several allocators, they are ALLOCATOR.NAME, and `allocator` joins by +."""
    if name in known:
        return name
    owner, dot, bare = name.partition(".")
    if dot and owner == allocator and bare in known:
        return bare
    there = [option for option in known if option.endswith(f".{name}")]
    if len(there) > 1:
        raise UsageError(f"several allocators have an option {name}; say which: {' or '.join(there)}")
    if there:
        return there[0]
    owners = allocator.split("+")
    if dot and owner not in owners:
        raise UsageError(f"option {name}: this run has no allocator '{owner}'; it has {', '.join(owners)}")
    raise unknown_name(f"option of {allocator}", name, known)


@dataclass(frozen=True)
class Shape:
    """How large the machine and the trace are, for a design to size its state."""

    cpus: int
    tasks: int
    processes: int
    pages: int


@dataclass(frozen=True)
class Check:
    """What the machine knows at a moment between events, to hold a design's state against.

    `users`: mappings in force per slot; `sleepers`: tasks asleep per wait queue.
    """

    shape: Shape
    users: dict[int, int] = field(default_factory=dict)
    sleepers: list[int] = field(default_factory=list)
