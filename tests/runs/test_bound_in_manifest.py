"""A design that is a bound says so itself, and its run's manifest with it."""

from __future__ import annotations

import pytest

from pipeline.allocators.registry import load_allocator, resolve_allocator
from pipeline.schema.manifest import AllocatorReference


@pytest.mark.parametrize(
    ("allocator", "bound"),
    [
        ("direct_map", "lower bound of costs"),
        ("always_flush", "one flush for each miss"),
        ("clairvoyant", "fewest flushes of a pool of its size, for its order of maps"),
        ("global_pool", ""),
    ],
)
def test_only_a_bound_says_what_it_bounds(allocator, bound):
    assert load_allocator(allocator).bound == bound


def test_designs_that_share_a_run_are_no_bound():
    assert resolve_allocator("page_fault=direct_map,default=global_pool").bound == ""


def test_a_manifest_from_before_bounds_were_told_apart_reads_as_none():
    old = AllocatorReference(
        name="a", summary="", source_sha256="", options={}, address_space_pages=1, page_struct_bytes=0
    )
    assert old.bound == ""
