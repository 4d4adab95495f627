"""Machine profiles: the cost of each operation of the simulated machine, with its source.

A profile is a TOML file with the keys `name`, `summary`, `cpus`, `nodes` and `architecture` (default: x86;
some options of designs have other defaults elsewhere). If costs were fitted, the table `fit` gives the
measurements, their `cpus`, the `workload` and the `allocators`. One table per cost then gives `value` and
`source` (a publication, a measurement, or the word "assumed"). If there is evidence for a range of the cost,
the table also has `low`, `high` and `range_source`. Times are integer nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import InputError, UsageError, did_you_mean, unknown_name
from pipeline.io.toml import read_toml
from pipeline.machine.catalogue import profile_path
from pipeline.machine.costs import COST_KINDS
from pipeline.machine.engine.records import COSTS, FIFO, MAX_CPUS, UNFAIR
from pipeline.machine.interrupt_load import explain_interrupt_load
from pipeline.machine.profile_ranges import PriceRange, explain_bad_range, explain_lack, range_of
from pipeline.schema.manifest import Cost, Fit, is_assumed

_ARBITRATIONS = {"fifo": FIFO, "unfair": UNFAIR}


class _Priced(BaseModel):
    model_config = ConfigDict(extra="forbid")

    value: int = Field(ge=0)
    source: str = Field(min_length=1)
    low: int | None = None
    high: int | None = None
    range_source: str = ""

    @property
    def stated_range(self) -> tuple[int, int, str] | None:
        """Low, high and their source, if the profile states them."""
        return None if self.low is None or self.high is None else (self.low, self.high, self.range_source)


class Profile(BaseModel):
    """A machine: its shape and its costs."""

    model_config = ConfigDict(extra="forbid")

    name: str
    summary: str
    cpus: int = Field(ge=1, le=MAX_CPUS)
    nodes: int = Field(ge=1, le=MAX_CPUS)
    architecture: str = Field("x86", pattern=r"^[a-z0-9_]+$")
    arbitration: str
    arbitration_source: str
    fit: Fit | None = None
    costs: dict[str, _Priced]

    def with_cpus(self, cpus: int | None) -> Profile:
        """Return the same machine with another number of CPUs and the same node size.

        A single CPU has every cache line in its own cache.
        """
        if cpus is None:
            return self
        if not 1 <= cpus <= MAX_CPUS:
            raise UsageError(f"--cpus must be 1..{MAX_CPUS}, found {cpus}")
        per_node = max(self.cpus // self.nodes, 1)
        costs = self.costs
        if cpus == 1 < self.cpus:
            own = {"shared_entry_ns": costs["recent_entry_ns"].value, "line_transfer_ns": 0}
            source = f"derived: one CPU has every line in its own cache; of {self.cpus} CPUs, "
            costs = costs | {
                name: _Priced(value=value, source=f"{source}{costs[name].value}: {costs[name].source}")
                for name, value in own.items()
            }
        return self.model_copy(update={"cpus": cpus, "nodes": -(-cpus // per_node), "costs": costs})

    def with_costs(self, costs: Mapping[str, int]) -> Profile:
        """Return the same machine with some costs replaced, by name.

        Raises UsageError for an unknown cost, for a value outside its limits, and for interrupts that leave
        no time for work.
        """
        replaced = dict(self.costs)
        for name, value in costs.items():
            if name not in COST_KINDS:
                raise unknown_name("cost", name, COST_KINDS)
            kind = COST_KINDS[name]
            if not kind.minimum <= value <= kind.maximum:
                raise UsageError(
                    f"cost {name}: expected {kind.minimum:,} to {kind.maximum:,} {kind.unit}, found {value:,}"
                )
            if value != self.costs[name].value:
                source = f"assumed: replaces the {self.costs[name].value:,} of {self.name}"
                replaced[name] = _Priced(value=value, source=source)
        if problem := explain_interrupt_load({name: cost.value for name, cost in replaced.items()}):
            raise UsageError(problem)
        return self.model_copy(update={"costs": replaced})

    def node_of(self, cpu: int) -> int:
        """Node of a CPU; CPUs are assigned to nodes in blocks."""
        return cpu // -(-self.cpus // self.nodes)

    def record(self) -> np.ndarray:
        """Return the costs as the simulator reads them."""
        costs = np.zeros(1, COSTS)
        for name, cost in self.costs.items():
            costs[0][name] = cost.value
        costs[0]["arbitration"] = _ARBITRATIONS[self.arbitration]
        return costs

    @property
    def assumed(self) -> list[str]:
        """Names of the costs that are neither published nor measured."""
        return [name for name, cost in self.costs.items() if is_assumed(cost.source)]

    def ranges(self) -> dict[str, PriceRange]:
        """The range of each cost, by name; a cost without a range is omitted."""
        found = {
            name: range_of(kind, cost.value, cost.stated_range, is_assumed(cost.source))
            for name, kind in COST_KINDS.items()
            for cost in [self.costs[name]]
        }
        return {name: found_range for name, found_range in found.items() if found_range is not None}

    def document_costs(self) -> dict[str, Cost]:
        """Every cost and property with its unit, source and meaning, for the manifest."""
        documented = {
            name: Cost(
                value=self.costs[name].value, unit=kind.unit, source=self.costs[name].source, doc=kind.doc
            )
            for name, kind in COST_KINDS.items()
        }
        documented["arbitration"] = Cost(
            value=self.arbitration, unit="", source=self.arbitration_source,
            doc="order in which waiters get a contended lock: fifo (ticket, queued) or unfair (test-and-set)",
        )  # fmt: skip
        documented["nodes"] = Cost(value=self.nodes, unit="", source="shape of the machine", doc="NUMA nodes")
        return documented


def load_profile(name: str) -> Profile:
    """Load a profile by name, or from a path ending in `.toml`.

    Raises UsageError for an unknown name and InputError, naming file and key, for a bad file.
    """
    path = profile_path(name)
    return _check(path, read_toml(path, "a machine profile (TOML)"))


def _check(path: Path, data: dict[str, Any]) -> Profile:
    try:
        profile = Profile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        unknown_key = str(first["loc"][0]) if first["type"] == "extra_forbidden" else ""
        hint = did_you_mean(unknown_key, Profile.model_fields)
        raise InputError(f"{path}: key {key}: {first['msg']}, found {first['input']!r}{hint}") from error
    unknown = sorted(set(profile.costs) - set(COST_KINDS))
    if unknown:
        hint = did_you_mean(unknown[0], COST_KINDS)
        raise InputError(f"{path}: costs.{unknown[0]} is not a cost of the machine{hint}")
    missing = [k.name for k in COST_KINDS.values() if k.name not in profile.costs and k.default is None]
    if missing:
        raise InputError(
            f'{path}: costs lacks {", ".join(missing)}; give each a value and a source (or "assumed")'
        )
    for name, kind in COST_KINDS.items():
        if name not in profile.costs:
            inherited = profile.costs.get(str(kind.default))
            value = inherited.value if inherited else int(kind.default or 0)
            profile.costs[name] = _Priced(value=value, source=f"assumed: the default, {kind.default}")
        if not kind.minimum <= profile.costs[name].value <= kind.maximum:
            raise InputError(
                f"{path}: costs.{name}: expected {kind.minimum:,} to {kind.maximum:,} {kind.unit}, "
                f"found {profile.costs[name].value:,}"
            )
        cost = profile.costs[name]
        if problem := explain_bad_range(kind, cost.value, cost.low, cost.high, cost.range_source):
            raise InputError(f"{path}: costs.{name}: {problem}")
    if problem := explain_interrupt_load({name: cost.value for name, cost in profile.costs.items()}):
        raise InputError(f"{path}: {problem}")
    if profile.arbitration not in _ARBITRATIONS:
        raise InputError(
            f"{path}: arbitration expects {' or '.join(_ARBITRATIONS)}, found '{profile.arbitration}'"
        )
    if profile.nodes > profile.cpus:
        raise InputError(f"{path}: found {profile.nodes} nodes but only {profile.cpus} CPUs")
    return profile


def describe_profile(name: str) -> str:
    """Describe one profile as text: every cost with its value, meaning, source and range."""
    profile = load_profile(name)
    costs, ranges = profile.document_costs(), profile.ranges()
    assumed = sum(cost.assumed for cost in costs.values())
    lines = [
        f"{profile.name}: {profile.summary}",
        f"{profile.cpus} CPUs in {profile.nodes} nodes; {assumed} of {len(costs)} costs are assumed",
        "",
    ]
    for key, cost in costs.items():
        value = f"{cost.value:,}" if isinstance(cost.value, int) else str(cost.value)
        lines += [f"{key} = {value} {cost.unit}".rstrip(), f"    {cost.doc}", f"    source: {cost.source}"]
        if key in COST_KINDS:
            found = ranges.get(key)
            lack = explain_lack(COST_KINDS[key], profile.costs[key].value)
            lines.append(f"    range: {found.describe() if found else f'none: {lack}'}")
    return "\n".join(lines) + "\n"
