"""The names that an allocator's file defines, and the input of its final check.

An allocator is a module with these names. SUMMARY, map_step and unmap_step are required:

    SUMMARY, SOURCE                  one line each: what the design does; who proposed it and where
    map_step(a, r, d), unmap_step    see pipeline.machine.engine.allocator and `protocols`
    OPTIONS                          a tuple of `Option`
    BOUND                            what it bounds, in a few words ("lower bound of costs"); it is then a
                                     reference line for charts and not a practical design
    POOL, SLOT, PAGE, PERCPU         NumPy field lists of its state records
    slots(options, shape)            number of slots (default: the option `slots`)
    pools(options, shape)            number of POOL records (default: 1)
    queues(options, shape)           number of wait queues (default: 1)
    locks(options, shape)            number of spinlocks (default: 1)
    lock_names(options, shape)       name of what each spinlock protects; a tuple of `locks` names
    workers(options, shape)          number of its workers, for which it defines work_step (default: 0)
    lines(options, shape)            number of cache lines that it changes atomically (default: 0)
    NON_GLOBAL, TRACKS_SWITCHES, ATOMICS, AREAS, work_step(a, r, d), switch_out(a, r, d), switch_in(a, r, d)
                                     what it requires of the machine; see `traits`
    prepare(a, shape)                sets the initial values of the state; default: all 0
    start_at(a, cursor), adopt(a, slot, page, count)
                                     take over a pool in use; for comparison with a recording
    place(a, slot, pages, cpu)       makes an area in use at a given address; returns whether that was free;
                                     for comparison with a recording
    idle_options(options, cpus)      options without effect for these values and CPUs; a dict from each such
                                     option to what it requires
    flush_unused(a)                  drops all unused mappings, outside of any map; returns their pages
    check(a, live)                   inconsistencies of the state; a list of sentences
    lost_wakeups(a, live)            tasks that sleep although they could have a slot; sentences
    address_space_pages(options, shape)   kernel address space in pages (default: the number of slots)
    page_struct_bytes(options, shape)     bytes in every struct page (default: 4 if it has PAGE, else 0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import UsageError, unknown_name

Value = int | bool | str

COST_BOUND = "lower bound of costs"
"""The BOUND of a design without mapping costs, the reference for the throughput of other designs."""


@dataclass(frozen=True)
class Option:
    """One option of a design. The type of the default is the option's type; compiled code uses an integer.

    There, a bool is 0 or 1 and a choice is its position in `choices`. `minimum` and `maximum` are inclusive.
    `default_on` gives other defaults for machines of some architectures, by the profile's `architecture`.
    """

    name: str
    default: Value
    help: str
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    default_on: Mapping[str, Value] = field(default_factory=dict)

    def describe_allowed(self) -> str:
        """Describe the allowed values, for help and errors."""
        if self.choices:
            return " | ".join(self.choices)
        if isinstance(self.default, bool):
            return "true | false"
        low = "" if self.minimum is None else str(self.minimum)
        high = "" if self.maximum is None else str(self.maximum)
        return f"{low}..{high}"

    def parse(self, text: str, allocator: str) -> Value:
        """Convert `text` from the command line to a value. Raises UsageError with the allowed values."""
        wrong = UsageError(
            f"{allocator}: option {self.name} expects {self.describe_allowed()}, found '{text}'"
        )
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
        """Return the integer that compiled code uses."""
        return self.choices.index(str(value)) if self.choices else int(value)


def parse_options(
    options: tuple[Option, ...], given: dict[str, str], allocator: str, architecture: str = ""
) -> dict[str, Value]:
    """Return every option's value: parsed if given, otherwise its default on machines of `architecture`.

    A name may be qualified by its design (global_pool.slots). It must be if several designs have the option.
    Raises UsageError for an unknown or ambiguous name, an option given twice, or a value not allowed.
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
    """The full name of an option; in a composite these are ALLOCATOR.NAME, and `allocator` is joined by +."""
    if name in known:
        return name
    owner, dot, bare = name.partition(".")
    if dot and owner == allocator and bare in known:
        return bare
    there = [option for option in known if option.endswith(f".{name}")]
    if len(there) > 1:
        raise UsageError(f"several allocators have an option {name}; give one of {' or '.join(there)}")
    if there:
        return there[0]
    owners = allocator.split("+")
    if dot and owner not in owners:
        raise UsageError(f"option {name}: this run has no allocator '{owner}'; it has {', '.join(owners)}")
    raise unknown_name(f"option of {allocator}", name, known)


@dataclass(frozen=True)
class Shape:
    """Size of the machine and the trace, from which a design sizes its state."""

    cpus: int
    tasks: int
    processes: int
    pages: int


@dataclass(frozen=True)
class Check:
    """The machine's record between two events, to compare with a design's state.

    `users`: current mappings per slot; `sleepers`: sleeping tasks per wait queue.
    """

    shape: Shape
    users: dict[int, int] = field(default_factory=dict)
    sleepers: list[int] = field(default_factory=list)
