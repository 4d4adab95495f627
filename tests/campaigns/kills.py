"""Signals at random moments of every command.

SIGKILL: nothing looks complete that is not, and the next run leaves nothing stale and the same result.
SIGINT and SIGTERM, besides: one line within two seconds, status 130 or 143, and nothing left at once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from tests.campaigns.house import (
    COMMANDS,
    Command,
    Ended,
    House,
    clear,
    finish,
    left_over,
    wait_for_owners,
    wait_until_begun,
)
from tests.campaigns.result import CampaignResult

# Of an hour for all campaigns.
MINUTES = 17
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_MOST_TRIES = 200
_SOON_S = 2.0
# What a repeated command says of an output that is whole.
_EXISTS = ("--force", "the path exists", "expected a new or empty directory")
# A busy machine delays even a process that ends at once.
_SLACK_S = 1.0


def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
    """Kill commands until the time is up, or 200 of them; see the module."""
    end_s = time.monotonic() + budget_s
    result = CampaignResult("kills", seed)
    with tempfile.TemporaryDirectory() as name:
        house = House(Path(name) / "house")
        place = _Place(house, Path(name), seed, result, keep)
        for number in range(_MOST_TRIES):
            if time.monotonic() >= end_s:
                break
            place.kill(COMMANDS[number % len(COMMANDS)], number)
        print(f"  {place.slowest_s:.2f} s at most from a signal to the end")
    return result


class _Place:
    """Where commands are killed, and what each takes and makes when it is left alone."""

    def __init__(self, house: House, path: Path, seed: int, result: CampaignResult, keep: Path) -> None:
        self._house, self._seed, self._result, self._keep = house, seed, result, keep
        self._out, self._tmp, self._cache = path / "out", path / "tmp", path / "cache"
        source = Path(os.environ.get("KMAP_PIPELINE_CACHE", Path.home() / ".cache" / "kmap-pipeline"))
        if source.is_dir():
            shutil.copytree(source, self._cache, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        self._environment = {"TMPDIR": str(self._tmp), "KMAP_PIPELINE_CACHE": str(self._cache)}
        self._undisturbed: dict[str, tuple[float, object]] = {}
        # What each says on stderr when it is left alone.
        self._said: dict[str, list[str]] = {}
        self.slowest_s = 0.0

    def kill(self, command: Command, number: int) -> None:
        """Kill one command at a moment that the seed and the try's number decide; then run it again."""
        drawn = random.Random(f"{self._seed} {number}")
        sign = drawn.choice(SIGNALS)
        lasts_s, made = self._alone(command)
        clear(self._out), clear(self._tmp)
        process = self._house.start(command, self._out, self._environment)
        wait_until_begun(process)
        moment_s = drawn.uniform(0, 1.1 * lasts_s)
        time.sleep(moment_s)
        process.send_signal(sign)
        ended = finish(process, 20)
        if ended.status == 128 + sign:
            self.slowest_s = max(self.slowest_s, ended.after_s)
        self._result.tries[sign.name] += 1
        for what in self._broken(command, sign, ended, made):
            text = f"try {number}: {sign.name} after {moment_s:.2f} s of '{command.words}': {what}"
            self._result.fail(text, self._kept(number, ended))

    def _alone(self, command: Command) -> tuple[float, object]:
        if command.endless:
            return 3.0, None
        if command.name not in self._undisturbed:
            self._undisturbed[command.name] = self._whole(command)
        return self._undisturbed[command.name]

    def _whole(self, command: Command) -> tuple[float, object]:
        """Run a command to its end; how long it took, and what it made."""
        clear(self._out), clear(self._tmp)
        begun_s = time.monotonic()
        ended = finish(self._house.start(command, self._out, self._environment))
        if ended.status not in (0, 6, 7):
            raise RuntimeError(f"{command.words}: ended with {ended.status}: {ended.err}")
        self._said[command.name] = ended.said
        return time.monotonic() - begun_s, what_is_made(self._out)

    def _broken(self, command: Command, sign: signal.Signals, ended: Ended, made: object) -> list[str]:
        """What was promised of a killed command and is not so, in a line each."""
        found = []
        finished = ended.status in (0, 6, 7)
        if sign != signal.SIGKILL and not finished:
            if ended.status != 128 + sign:
                found.append(f"ended with status {ended.status}: {ended.err[-300:]}")
            about_it = [line for line in ended.said if line not in self._said.get(command.name, ())]
            if ended.status == 128 + sign and not 1 <= len(about_it) <= 2:
                found.append(f"said {len(about_it)} lines: {ended.err[-300:]}")
            if ended.after_s > _SOON_S + _SLACK_S:
                found.append(f"took {ended.after_s:.1f} s to end")
            if left := [*left_over(self._out), *left_over(self._tmp), *left_over(self._cache)]:
                found.append(f"left {', '.join(left)}")
        # If it has appeared already, it is whole.
        appeared = command.output is not None and (self._out / command.output).is_file()
        if not finished and appeared and what_is_made(self._out) != made:
            found.append(f"{command.output} is there and is not what it should be")
        if command.output and made is not None:
            again = finish(self._house.start(command, self._out, self._environment))
            exists = any(said in again.err for said in _EXISTS)
            if again.status not in (0, 6, 7) and not exists:
                found.append(f"the next run ended with {again.status}: {again.err[-300:]}")
            elif what_is_made(self._out) != made:
                found.append("the next run made something else")
            wait_for_owners([self._out, self._tmp, self._cache])
            if left := [*left_over(self._out), *left_over(self._tmp), *left_over(self._cache)]:
                found.append(f"the next run left {', '.join(left)}")
        return found

    def _kept(self, number: int, ended: Ended) -> Path:
        place = self._keep / f"seed-{self._seed}-try-{number}"
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self._out, place)
        (place / "stderr").write_text(ended.err)
        return place


def what_is_made(directory: Path) -> object:
    """What is in a directory for keeps: fingerprints of runs, rows of tables, names of other files."""
    found: dict[str, object] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        # How long each run took, and when, is in a sweep's own files.
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(directory).parts):
            continue
        if path.name == "manifest.json":
            found[name] = json.loads(path.read_text())["fingerprint"]
        elif path.suffix == ".parquet" and "sweep" not in name and not name.startswith("c/"):
            # Of what is recorded, every time is another.
            found[name] = name == "r.parquet" or pq.read_metadata(path).num_rows
        elif path.parent == directory or path.suffix == ".svg":
            found[name] = True
    return found
