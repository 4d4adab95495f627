"""What holding a design against a recording found: how much agrees, and every difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Difference:
    """One thing that the design did otherwise: at which event, for which task, kernel's and design's."""

    seq: int
    pid: int
    what: str
    kernel: str
    allocator: str

    def line(self) -> str:
        """One line of text."""
        return (
            f"event {self.seq:,}, task {self.pid}: {self.what}: kernel {self.kernel}, design {self.allocator}"
        )


@dataclass
class Agreement:
    """What a lock-step replay found: how much was compared, how often the two differ, and where.

    `compared` and `differing` count by what was compared; `differences` holds the first thousand of each.
    `lost` says of what was not compared, or not all of it, which fields or events the recording lacks.
    """

    recording: Path
    allocator: str
    start: str = ""
    compared: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether there is no difference at all."""
        return not self.differing.total()

    def text(self, most: int = 20) -> str:
        """The result for a person; the first `most` differences in full."""
        lines = [f"{self.recording.name}, {self.allocator}, {self.start}"]
        width = max(map(len, self.compared), default=0)
        for what, number in self.compared.items():
            wrong = self.differing[what.partition(",")[0]]
            if not number and not wrong:
                continue
            lines.append(
                f"  {what:<{width}}  {number:>9,}  {'all agree' if not wrong else f'{wrong:,} differ'}"
            )
        lines += [f"  not compared: {what}: {why}" for what, why in self.lost.items()]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [difference.line() for difference in self.differences[:most]]
        number = self.differing.total()
        if number > most:
            shown = min(most, len(self.differences))
            lines.append(f"and {number - shown:,} more; later ones may follow from the first")
        lines.append("no difference" if self.agrees else f"{number:,} differences")
        return "\n".join(lines) + "\n"
