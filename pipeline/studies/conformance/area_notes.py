"""What a lock-step replay of areas compared, what it could not compare, and why."""

from __future__ import annotations

from pipeline.allocators.components.lazy_areas import LAZY_PAGES
from pipeline.importing.vmalloc.recording import VmallocRecording
from pipeline.io.numbers import format_count, join_words
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.area_order import may_lack_events
from pipeline.studies.conformance.area_schedule import AreaSchedule

LAZY = "lazy pages"
ASKED = "purge asked for"
COLLECTED = "areas purged"
RANGE = "range flushed"
ADDRESS = "address free"
RETURNING = "frees while a purge returned pages"
NOT_COUNTED = "purges not caused by the counter"
WIDENED = "ranges widened by the caller"


def describe_start(schedule: AreaSchedule) -> str:
    """Describe the areas that were lazy at the start."""
    pages = sum(schedule.lazy)
    if not pages:
        return "nothing lazy at the start"
    areas = format_count(len(schedule.lazy), "area") if schedule.number_told else "an unknown number of areas"
    return f"{pages:,} pages lazy at the start, in {areas}"


def describe_comparison(
    recording: VmallocRecording, schedules: list[AreaSchedule], result: Agreement
) -> None:
    """Add to the result what could not be compared, and notes on the recording."""
    for what, number, noun, why in (
        (
            COLLECTED,
            sum(len(schedule.number_derived) for schedule in schedules),
            "purge",
            "the number of areas that were lazy at the start follows from it",
        ),
        (
            RANGE,
            sum(len(schedule.range_unknown) for schedule in schedules),
            "purge",
            "the addresses of areas that were lazy at the start are unknown",
        ),
        (
            LAZY,
            sum(len(schedule.order.length_derived) + len(schedule.order.skipped) for schedule in schedules),
            "free",
            "the map was not recorded, and the length follows from the counter",
        ),
    ):
        if number:
            result.lost[what] = f"cannot tell for {format_count(number, noun)}: {why}"
    if cut_off := sum(schedule.cut_off for schedule in schedules):
        result.notes.append(
            f"{format_count(cut_off, 'free')} at the end not compared: they show a purge without an event"
        )
    moved = sum(schedule.order.moved for schedule in schedules)
    if moved:
        result.notes.append(
            f"{format_count(moved, 'free')} took effect before one recorded earlier, as the counter shows"
        )
    if exchanged := sum(schedule.exchanged for schedule in schedules):
        result.notes.append(
            f"{format_count(exchanged, 'free')} left by a purge that collected as many later ones, on lists "
            "that it took later"
        )
    if may_lack_events(recording):
        lost = "the recorder does not say whether it lost events"
        if recording.lost or recording.losses:
            lost = (
                f"events are missing ({', '.join(f'{name}: {n:,}' for name, n in recording.losses.items())})"
            )
        result.notes.append(f"{lost}; compared in {format_count(len(schedules), 'part')} without a gap")
    if result.differing[ASKED]:
        limits = sorted(set(recording.limit[recording.limit >= 0].tolist()))
        result.notes.append(
            f"the kernel's limit was {join_words(f'{limit:,}' for limit in limits)} lazy pages; the design's "
            f"is {LAZY_PAGES.name} or, if that is 0, follows from the recorded CPUs ({recording.cpus or 1})"
        )
