"""Local kmaps: a stack of slots per task, on the CPU to which its first mapping binds it (Linux 5.11).

    pool[task].depth   current mappings of the task; the next map takes the slot of this depth

    slot               cpu * nesting + depth: an address of the CPU, whichever task runs there
    slot.task          1 + the running task whose mapping is in the PTE; 0: no PTE

A map writes the PTE of the CPU's slot for the task's depth. An unmap clears it and invalidates that one
address in the CPU's own TLB. There is no lock, no interrupt, no cache and no wait for a slot. The task may be
preempted and may sleep. When it leaves the CPU, the PTEs of all its mappings are cleared and their addresses
invalidated; when it returns, they are written again. Two tasks of one CPU thus take turns using one address,
and neither may move to another CPU: migration is disabled from the outermost map to the outermost unmap.

Mappings must be undone in reverse order; any other order is reported as `unmap_out_of_order`. Slots run out
only if mappings nest too deeply. The kernel's check fires when the new depth reaches `nesting`, so at most
`nesting` - 1 mappings can nest and the last slot is never used. Deeper nesting is reported as
`nesting_overflow`; the last slot then serves every deeper mapping.

Source: kmap_local_page of Linux 5.11 (T. Gleixner, November 2020), mm/highmem.c: 16 slots per CPU; x86
invalidates at the unmap, ARM at the map (`invalidate_at`). Ours: a switch costs the PTEs and the
invalidations of the mappings of its task, and nothing else.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import invalidate, pin, report_finding, touch_local, unpin, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS, NESTING_OVERFLOW, UNMAP_OUT_OF_ORDER

SUMMARY = "kmap_local: slots per CPU, rewritten at context switches; the task is bound but may sleep"
SOURCE = "T. Gleixner, Linux 5.11, mm/highmem.c"
OPTIONS = (
    Option("nesting", 16, minimum=2, maximum=64, help="slots of each CPU (KM_MAX_IDX); one fewer can nest"),
    Option(
        "invalidate_at",
        "unmap",
        choices=("unmap", "map"),
        default_on={"arm": "map"},
        help="unmap: as on x86; map: as on ARM",
    ),
)
POOL = [("depth", "i4")]
SLOT = [("task", "i4")]

_AT_UNMAP = 0
_AT_MAP = 1


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of all CPUs; every possible CPU needs its address space."""
    return options["nesting"] * shape.cpus


def pools(options: dict[str, int], shape: Shape) -> int:
    """One stack per task."""
    return shape.tasks


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Only the task records where a page is mapped."""
    return 0


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Push a slot of this CPU onto the task's stack."""
    stack = a.pool[r.task]
    depth = stack.depth
    if depth + 1 >= a.options[0].nesting:
        report_finding(d, NESTING_OVERFLOW)
        depth = a.options[0].nesting - 1
    stack.depth += 1
    pin(d)
    r.slot = d.cpu * a.options[0].nesting + depth
    r.served = MISS
    touch_local(d, 1)
    _load(a, r, d)
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Pop the slot, which must be the innermost."""
    stack = a.pool[r.task]
    stack.depth -= 1
    if r.slot % a.options[0].nesting != min(stack.depth, a.options[0].nesting - 1):
        report_finding(d, UNMAP_OUT_OF_ORDER)
    touch_local(d, 1)
    _unload(a, r, d)
    unpin(d)
    return DONE


@inline
def switch_out(a: State, r: Request, d: StepCost) -> None:
    """Clear the PTE, because the CPU's next task may use the address."""
    _unload(a, r, d)


@inline
def switch_in(a: State, r: Request, d: StepCost) -> None:
    """Restore the task's PTE."""
    _load(a, r, d)


@inline
def _load(a: State, r: Request, d: StepCost) -> None:
    a.slots[r.slot].task = r.task + 1
    write_pte(d)
    if a.options[0].invalidate_at == _AT_MAP:
        invalidate(a, d, r.slot)


@inline
def _unload(a: State, r: Request, d: StepCost) -> None:
    a.slots[r.slot].task = 0
    write_pte(d)
    if a.options[0].invalidate_at == _AT_UNMAP:
        invalidate(a, d, r.slot)


def check(a: State, live: Check) -> list[str]:
    """The stacks must hold all current mappings, and no PTE may remain without a user."""
    problems = []
    stacked, users = int(a.pool.depth.sum()), sum(live.users.values())
    if stacked != users:
        problems.append(f"{stacked} mappings on the tasks' stacks, {users} current mappings")
    for s in range(live.shape.cpus * int(a.options[0].nesting)):
        if a.slots[s].task and not live.users.get(s):
            problems.append(f"slot {s}: has a PTE of task {int(a.slots[s].task) - 1} but no user")
    return problems
