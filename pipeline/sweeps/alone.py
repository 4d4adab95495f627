"""A run in a process of its own, so that whatever it does to the process, the one that asked goes on."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from pipeline.errors import InputError, PipelineError
from pipeline.sweeps.job import Job, answer
from pipeline.sweeps.maker import Made, Maker, Settings

_PACKAGES = Path(__file__).parents[2]


def make_alone(settings: Settings, job: Job) -> Made | PipelineError | None:
    """Do a job in a process of its own, and again if that ends, as often as the settings allow attempts.

    The claim that an ended process leaves is taken over by the next, which counts it.
    """
    line = ""
    for _ in range(settings.most_attempts + 1):
        child = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join([str(_PACKAGES), os.environ.get("PYTHONPATH", "")])},
            input=pickle.dumps((settings, job)),
            capture_output=True,
            check=False,
        )
        if child.returncode == 0:
            found: Made | PipelineError | None = pickle.loads(child.stdout)
            return found
        line = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return InputError(f"{job.name}: processes end before they make it: {line}")


def _main() -> None:
    # What a design prints is not the answer.
    out = os.dup(1)
    os.dup2(2, 1)
    settings, job = pickle.load(sys.stdin.buffer)
    with os.fdopen(out, "wb") as file:
        file.write(pickle.dumps(answer(Maker(settings), job)))


if __name__ == "__main__":
    _main()
