"""The manifest of a finished run: its inputs and its results."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.contract import Shape, Value
from pipeline.machine.drive import Simulation
from pipeline.machine.engine import records
from pipeline.runs.plan import Plan
from pipeline.runs.totals import describe_deadlock, read_findings, read_fingerprint, read_totals
from pipeline.schema.manifest import (
    AllocatorPart,
    AllocatorReference,
    Execution,
    Finding,
    MachineReference,
    Manifest,
    TraceReference,
)

_PACKAGES = ("numpy", "numba", "pyarrow")


def build_manifest(
    plan: Plan, simulation: Simulation, status: int, tables: dict[str, list[str]], execution: Execution
) -> Manifest:
    """Build the manifest of a simulation that ended with `status`; `tables` names the files of its log."""
    machine_state = simulation.machine_state
    findings = [describe_deadlock(machine_state)] if status == records.S_DEADLOCK else []
    findings += read_findings(machine_state)
    now_ns = int(machine_state.machine[0].now_ns)
    findings += [
        Finding(finding=finding, time_ns=now_ns, message=problem)
        for finding, question in (("invariant", "check"), ("lost_wakeup", "lost_wakeups"))
        for problem in simulation.ask_allocator(question)
    ]
    profile = plan.profile
    return Manifest(
        id=plan.identity(),
        label=plan.label(),
        command=plan.command(),
        trace=TraceReference(
            name=plan.trace.path.stem,
            path=str(plan.trace.path),
            sha256=plan.trace_sha256,
            metadata=plan.trace.metadata.model_dump(),
        ),
        allocator=_allocator(plan, simulation),
        machine=MachineReference(
            name=profile.name,
            summary=profile.summary,
            cpus=profile.cpus,
            costs=profile.document_costs(),
            fit=profile.fit,
        ),
        seed=plan.config.seed,
        jitter_percent=plan.config.jitter_percent,
        loop=plan.config.loop,
        events=plan.config.events,
        tables=tables,
        lowmem=list(plan.lowmem),
        versions=_versions(),
        totals=read_totals(machine_state),
        findings=findings,
        fingerprint=read_fingerprint(machine_state),
        execution=execution,
    )


@cache
def _versions() -> dict[str, str]:
    return {
        "pipeline": version("kmap-pipeline"),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _allocator(plan: Plan, simulation: Simulation) -> AllocatorReference:
    whole = plan.allocator
    prices = [_prices(allocator, options, simulation.shape) for allocator, options in plan.parts()]
    parts = []
    if isinstance(whole, Composite):
        parts = [
            AllocatorPart(
                name=allocator.name,
                summary=allocator.summary,
                source_sha256=allocator.sha256,
                kinds=list(whole.kinds[k]),
                options=options,
                first_slot=int(simulation.allocator_state.firsts[k].slot),
                **prices[k],
            )
            for k, (allocator, options) in enumerate(plan.parts())
        ]
    return AllocatorReference(
        name=whole.name,
        summary=whole.summary,
        source_sha256=whole.sha256,
        options=plan.options,
        **{name: sum(price[name] for price in prices) for name in prices[0]},
        areas=whole.maps_areas,
        lock_names=list(whole.lock_names(whole.encode(plan.options), simulation.shape)),
        bound=whole.bound,
        parts=parts,
    )


def _prices(allocator: Allocator, options: dict[str, Value], shape: Shape) -> dict[str, int]:
    """Return the pages of address space of an allocator, and its bytes in every struct page."""
    coded = allocator.encode(options)
    return {name: allocator.size(name, coded, shape) for name in ("address_space_pages", "page_struct_bytes")}
