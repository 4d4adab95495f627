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
UNTOLD = "frees were in progress on several CPUs, and their events do not show which of them it collected"


def describe_start(schedule: AreaSchedule) -> str:
    """Describe the areas that were lazy at the start."""
    number = len(schedule.lazy) - schedule.early
    told = []
    if pages := sum(schedule.lazy[:number]):
        areas = format_count(number, "area") if schedule.number_told else "an unknown number of areas"
        told.append(f"{format_count(pages, 'page')} lazy at the start, in {areas}")
    if schedule.early:
        told.append(f"{format_count(schedule.early, 'area')} of unknown length purged before the first free")
    return "; ".join(told) or "nothing lazy at the start"


def describe_comparison(
    recording: VmallocRecording, schedules: list[AreaSchedule], result: Agreement
) -> None:
    """Add to the result what could not be compared, and notes on the recording."""
    untold = sum(schedule.untold >= 0 for schedule in schedules)
    for what, number, noun, why in (
        (
            COLLECTED,
            sum(len(schedule.number_derived) for schedule in schedules),
            "purge",
            "the number of areas that were lazy at the start follows from it",
        ),
        (COLLECTED, untold, "purge", UNTOLD),
        (
            RANGE,
            sum(len(schedule.range_unknown) for schedule in schedules),
            "purge",
            "the addresses of areas that were lazy at the start are unknown",
        ),
        (RANGE, untold, "purge", UNTOLD),
        (
            LAZY,
            sum(len(schedule.order.length_derived) + len(schedule.order.skipped) for schedule in schedules),
            "free",
            "the map was not recorded, and the length follows from the counter",
        ),
        (
            LAZY,
            sum(schedule.order.unordered for schedule in schedules),
            "free",
            "the counter does not show its place among those of other CPUs",
        ),
        (
            LAZY,
            sum(schedule.cut_off for schedule in schedules if schedule.untold >= 0),
            "free",
            "they show a purge that the recording does not explain",
        ),
    ):
        if number:
            told = f"for {format_count(number, noun)}: {why}"
            result.lost[what] = (
                f"{result.lost[what]}; {told}" if what in result.lost else f"cannot tell {told}"
            )
    if cut_off := sum(schedule.cut_off for schedule in schedules if schedule.untold < 0):
        result.notes.append(
            f"{format_count(cut_off, 'free')} at the end not compared: they show a purge without an event"
        )
    moved = sum(schedule.order.moved for schedule in schedules)
    if moved:
        result.notes.append(
            f"{format_count(moved, 'free')} took effect before one recorded earlier, as the counter shows"
        )
    if left := sum(schedule.left for schedule in schedules):
        result.notes.append(
            f"{format_count(left, 'free')} left by a purge that collected later ones, on lists that it took "
            "later"
        )
    if schedules[0].joins:
        result.notes.append(
            "the kernel joins lazy areas that are next to each other, as before 6.9; joined areas are counted"
        )
    if may_lack_events(recording):
        lost = "the recorder does not say whether it lost events"
        if recording.lost or recording.losses:
            result.has_holes = True
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
