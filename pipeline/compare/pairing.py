"""Pairing runs of A and B that agree in every factor except those in which the two sides differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError
from pipeline.io.numbers import join_words
from pipeline.runs.store import identify_workload
from pipeline.schema.manifest import Manifest

Factors = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """Pairs of runs under one set of conditions."""

    name: str
    """What distinguishes this setting from others; "" if it is the only one."""
    pairs: Sequence[tuple[Manifest, Manifest]]


@dataclass(frozen=True)
class Pairing:
    """All settings, and the factors in which the two sides differ."""

    differ: Mapping[str, tuple[Any, Any]]
    settings: Sequence[Setting]
    unpaired: int
    """Number of runs without a counterpart on the other side."""


def pair(a: Sequence[Manifest], b: Sequence[Manifest]) -> Pairing:
    """Pair the runs of two sides. Raises InputError, with the factor that differs, for incomparable runs."""
    for side, runs in (("A", a), ("B", b)):
        _check(side, runs)
    _check_workloads(a, b)
    factors_a, factors_b = [_factors(m) for m in a], [_factors(m) for m in b]
    differ: dict[str, tuple[Any, Any]] = {}
    for name in factors_a[0]:
        here, there = _distinct(factors_a, name), _distinct(factors_b, name)
        if not {repr(value) for value in here} & {repr(value) for value in there}:
            # Two designs have two sources, so these differ with the names.
            if (len(here) > 1 or len(there) > 1) and name != "source":
                raise InputError(
                    f"A and B have no {name} in common, and one of them has several: {_list(here)}; "
                    f"{_list(there)}; name runs or sweeps that differ in one factor"
                )
            differ[name] = here[0], there[0]
    keys = [name for name in factors_a[0] if name not in differ]
    by_key_a, by_key_b = _by_key(a, factors_a, keys), _by_key(b, factors_b, keys)
    conditions = [name for name in keys if name not in ("trace", "seed")]
    groups: dict[tuple[Any, ...], list[tuple[Manifest, Manifest]]] = defaultdict(list)
    for key in by_key_a.keys() & by_key_b.keys():
        values = dict(zip(keys, key, strict=True))
        groups[tuple(values[name] for name in conditions)].append((by_key_a[key], by_key_b[key]))
    if not groups:
        raise InputError(_no_pair(factors_a, factors_b, keys))
    names = _name_settings([dict(zip(conditions, group, strict=True)) for group in groups])
    settings = [
        Setting(name, sorted(pairs, key=_order)) for name, pairs in zip(names, groups.values(), strict=True)
    ]
    paired = sum(map(len, groups.values()))
    return Pairing(differ, sorted(settings, key=lambda s: s.name), len(by_key_a) + len(by_key_b) - 2 * paired)


def _name_settings(settings: Sequence[Factors]) -> list[str]:
    """Name settings by the factors that vary: for machines, by name or else by costs."""
    words: list[list[str]] = [[] for _ in settings]
    for name in settings[0]:
        texts = [_say(name, values[name]) for values in settings]
        if name != "source" and len(set(texts)) > 1:
            for own, text in zip(words, texts, strict=True):
                own.append(text)
    if "machine" in settings[0]:
        prices = [dict(values["machine"][1:]) for values in settings]
        for cost in prices[0]:
            # The number of CPUs determines the number of nodes.
            if cost != "nodes" and len({repr(price.get(cost)) for price in prices}) > 1:
                for own, price in zip(words, prices, strict=True):
                    own.append(f"{cost} {price.get(cost)}")
    return [", ".join(own) for own in words]


def _check(side: str, runs: Sequence[Manifest]) -> None:
    for manifest in runs:
        if manifest.findings:
            found = join_words(dict.fromkeys(one.finding for one in manifest.findings))
            raise InputError(
                f"{side}: {manifest.label} ({manifest.id[:12]}) ended with {found}, so its results are "
                "invalid; fix the design, or leave out the run"
            )


def _check_workloads(a: Sequence[Manifest], b: Sequence[Manifest]) -> None:
    workloads = [{identify_workload(m): m.trace.name for m in side} for side in (a, b)]
    if not workloads[0].keys() & workloads[1].keys():
        raise InputError(
            f"A and B replayed different traces: {_list(workloads[0].values())}; "
            f"{_list(workloads[1].values())}; compare runs of the same trace, or compare the traces"
        )
    rows = [{m.trace.sha256: m.totals.operations for m in side} for side in (a, b)]
    for sha in rows[0].keys() & rows[1].keys():
        if rows[0][sha] != rows[1][sha]:
            raise InputError(
                f"A replayed {rows[0][sha]:,} rows of the trace and B {rows[1][sha]:,}; compare runs of the "
                "whole trace"
            )


def _factors(m: Manifest) -> Factors:
    """Return the factors of a run by name. The design's source is a factor, to compare two versions of it."""
    return {
        "trace": m.trace.sha256,
        "seed": m.seed,
        "design": m.label,
        "source": m.allocator.source_sha256,
        "machine": (m.machine.name, *((name, cost.value) for name, cost in sorted(m.machine.costs.items()))),
        "CPUs": m.machine.cpus,
        "loop": m.loop,
        "jitter": m.jitter_percent,
        "low memory": tuple(sorted(m.lowmem)),
    }


def _distinct(side: Sequence[Factors], name: str) -> list[Any]:
    return list({repr(factors[name]): factors[name] for factors in side}.values())


def _by_key(
    runs: Sequence[Manifest], factors: Sequence[Factors], keys: Sequence[str]
) -> dict[tuple[Any, ...], Manifest]:
    """Return the runs by their pairing key; of repeated runs, the last one."""
    return {tuple(values[name] for name in keys): m for m, values in zip(runs, factors, strict=True)}


def _order(both: tuple[Manifest, Manifest]) -> tuple[str, int]:
    return both[0].trace.sha256, both[0].seed


def _say(name: str, value: Any) -> str:
    if name == "machine":
        return str(value[0])
    if name == "CPUs":
        return f"{value} CPUs"
    if name == "low memory":
        return f"{'+'.join(value) or 'nothing'} in low memory"
    return str(value) if name == "design" else f"{name} {value}"


def describe_both(name: str, a: Any, b: Any) -> str:
    """Describe the two values of a factor; for machines of the same name, the costs that differ."""
    if name == "machine" and a[0] == b[0]:
        prices = dict(a[1:]), dict(b[1:])
        return join_words(
            f"{cost} {prices[0].get(cost)} and {prices[1].get(cost)}"
            for cost in prices[0] | prices[1]
            if prices[0].get(cost) != prices[1].get(cost)
        )
    return f"{describe_value(name, a)} and {describe_value(name, b)}"


def describe_value(name: str, value: Any) -> str:
    """Write the value of a factor."""
    return str(value)[:12] if name in ("trace", "source") else _say(name, value)


def _list(values: Any) -> str:
    texts = [str(value[0]) if isinstance(value, tuple) and value else str(value) for value in values]
    return join_words(texts[:6] + (["more"] if len(texts) > 6 else []))


def _no_pair(a: Sequence[Factors], b: Sequence[Factors], keys: Sequence[str]) -> str:
    return (
        f"none of {len(a)} runs of A has a counterpart in {len(b)} of B: no two agree in "
        f"{join_words(list(_disagreeing(a, b, keys)) or keys)}"
    )


def _disagreeing(a: Sequence[Factors], b: Sequence[Factors], keys: Sequence[str]) -> Iterator[str]:
    for name in keys:
        values = [{repr(factors[name]) for factors in side} for side in (a, b)]
        if values[0] != values[1]:
            yield name
