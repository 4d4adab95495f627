"""The result of comparing a design with a recording: how much agrees, and every difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.io.numbers import format_count, format_exact


@dataclass(frozen=True)
class Difference:
    """A difference between kernel and design, with its event and task, and its time if that is known."""

    seq: int
    pid: int
    what: str
    kernel: str
    allocator: str
    time_ns: int | None = None

    def line(self) -> str:
        """Describe the difference in one line."""
        time = "" if self.time_ns is None else f" at {format_exact(self.time_ns, 's')} s"
        return (
            f"event {self.seq:,}, task {self.pid}{time}: {self.what}: "
            f"kernel {self.kernel}, design {self.allocator}"
        )


@dataclass
class Agreement:
    """The result of a lock-step replay.

    `compared` and `differing` count comparisons and differences by quantity. `differences` has the first
    thousand of each quantity. `lost` names the quantities that were not compared completely, with the fields
    or events that the recording lacks. `has_holes` says that events are missing at unknown places, which may
    be what makes a difference.
    """

    recording: Path
    allocator: str
    start: str = ""
    compared: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    has_holes: bool = False

    @property
    def agrees(self) -> bool:
        """Whether there is no difference."""
        return not self.differing.total()

    def text(self, most: int = 20) -> str:
        """Describe the result, with the first `most` differences in full."""
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
            lines.append(f"and {number - shown:,} more; later differences may be consequences of the first")
        lines.append(format_count(number, "difference") if number else "no differences")
        if number and self.has_holes:
            lines.append(
                "cannot tell whether the design differs, because events are missing; make a recording "
                "without losses, with a larger buffer"
            )
        return "\n".join(lines) + "\n"
