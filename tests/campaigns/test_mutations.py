"""The campaign finds what it is for, and a few of its tries with every parser find nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.errors import InputError
from tests.campaigns.damage import damage_bytes, damage_text
from tests.campaigns.mutations import Broken, Parser, parsers, try_one


def _raise(error: Exception):
    def read(path: Path, _rng: random.Random) -> None:
        raise type(error)(str(error).format(path=path))

    return read


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("x"), "KeyError at test_mutations.py"),
        (Broken("another thing"), "another thing"),
        (InputError("two\nlines"), "act on a terminal"),
        (InputError("one line"), "names no file"),
        (InputError("{path}: one line"), None),
    ],
)
def test_a_promise_that_is_broken_is_told(error, said, tmp_path) -> None:
    parser = Parser([b"a sample"], _raise(error), damage_text, ".txt")
    path, _, broken = try_one(parser, random.Random(1), tmp_path)
    assert path.exists()
    assert (broken is None) if said is None else said in str(broken)


def test_the_same_seed_damages_in_the_same_way() -> None:
    for damage in (damage_bytes, damage_text):
        found = [damage(b"some text 123\nand more\n" * 5, random.Random(seed)) for seed in (1, 1, 2, 3)]
        assert found[0] == found[1]
        assert len({*found}) > 1


def test_a_few_tries_with_every_parser(tmp_path) -> None:
    found = []
    for name, parser in parsers(tmp_path).items():
        for number in range(3):
            path, _, broken = try_one(parser, random.Random(f"{name} {number}"), tmp_path)
            # Compiling, where it was not done yet, takes longer than a try may.
            found += [(name, number, path, broken)] if broken and "CPU time" not in broken else []
    assert found == []
