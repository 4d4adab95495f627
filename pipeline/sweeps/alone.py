"""A run in a separate process, so a crash does not affect the calling process."""

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
    """Do a job in a separate process, and repeat it if the process ends, up to the settings' attempts.

    The next process takes over the claim of the ended one and counts it as an attempt.
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
    return InputError(f"{job.name}: processes end before they start it: {line}")


def _main() -> None:
    # Output of a design is not part of the result.
    out = os.dup(1)
    os.dup2(2, 1)
    settings, job = pickle.load(sys.stdin.buffer)
    with os.fdopen(out, "wb") as file:
        file.write(pickle.dumps(answer(Maker(settings), job)))


if __name__ == "__main__":
    _main()
