"""The text before and between kernel events, by tool.

perf script: `comm pid/tid [cpu] seconds: period system:event: fields`; pid, cpu and period are optional. An
event may be followed by its call chain, with one frame per line.

tracefs: `comm-tid (tgid) [cpu] flags time: event: fields`; tgid and flags are optional, and time is in
seconds or in ticks of a clock. With the option latency-format: `comm-tid cpu+flags time`, in seconds or in
us since the first event. A system call is `sys_read(fd: 3, ...)` at its entry and `sys_read -> 0x10` at its
exit.

trace-cmd report: as tracefs, without tgid. Lines of an instance begin with its name: `areas: comm-tid`.
"""

from __future__ import annotations

from pipeline.importing.text.kernel_text import EVENT_NAME, STACKS, KernelText

# A text with these events is a recording of vmalloc, whatever else it has.
VMALLOC_EVENT = rb"(?:alloc_vmap_area|free_vmap_area_noflush): "

_SECONDS = r"(?P<seconds>[0-9]+)\.(?P<fraction>[0-9]+): +"
_TIME = r"(?P<seconds>[0-9]{1,18})(?:\.(?P<fraction>[0-9]+))?: +"
_TRACER_TASK = r"^ *(?P<name>NAME)-(?P<task>[0-9]{1,10}) +"

_NOTHING = {"": r"^\s*$|^#"}
_FRAMES = {STACKS: r"^\s+(?:[0-9a-f]+ +(?:[^\[ ]|\[[^0-9]).*|[^ :]+:[0-9]+)$"}
_TRACER_FRAMES = {STACKS: r"^ *=> "}
_LOST_OF_CPU = (
    "CPU:{d} [LOST {count:d} EVENTS]",
    "CPU:{d} [LOST EVENTS]",
    "CPU:{d} [{count:d} EVENTS DROPPED]",
    "CPU:{d} [EVENTS DROPPED]",
)

PERF_HEAD = (
    r"^ *(?P<name>NAME) +(?:(?P<process>-?[0-9]{1,10})/ *)?(?P<task>-?[0-9]{1,10}) +"
    r"(?:\[(?P<cpu>[0-9]{1,5})\] +)?" + _SECONDS + r"(?:[0-9]+ +)?" + EVENT_NAME
)
TRACER_HEAD = (
    _TRACER_TASK
    + r"(?:\( *(?:(?P<process>[0-9]{1,10})|-+)\) +)?\[(?P<cpu>[0-9]{1,5})\] +(?:[^ :]+ +)?"
    + _TIME
    + EVENT_NAME
)
_LATENCY = _TRACER_TASK + r"(?P<cpu>[0-9]{1,5})[^ 0-9][^ ]* +"
LATENCY_HEADS = (_LATENCY + _SECONDS + EVENT_NAME, _LATENCY + r"(?P<us>[0-9]{1,15})us[^ ]? *: +" + EVENT_NAME)

PERF = KernelText(
    heads=(PERF_HEAD,),
    auxiliary=_NOTHING | _FRAMES | {"messages of perf": r"^\[ perf |^Warning:|^Check IO/CPU overload"},
    losses=(
        "Processed {d} events and lost {count:d} chunks!{any}",
        "Processed {d} samples and lost {any}%!",
    ),
    mistakes={
        r"^ *\S.*? +(?:-?[0-9]+/)?-?[0-9]+ +(?:\[[0-9]+\] +)?(?:[0-9]+ +)?[a-z_0-9]+:[a-z_0-9]+: ": (
            "this is output of perf script without times; run perf script with "
            "-F comm,pid,tid,cpu,time,event,trace"
        ),
        r"^ *[0-9]+\.[0-9]+: +(?:[0-9]+ +)?[a-z_0-9]+:[a-z_0-9]+: ": (
            "this is output of perf script without tasks; run perf script with "
            "-F comm,pid,tid,cpu,time,event,trace"
        ),
    },
)
TRACEFS = KernelText(
    heads=(TRACER_HEAD, *LATENCY_HEADS),
    auxiliary=_NOTHING | _TRACER_FRAMES | {"function graphs of the tracer": r"^ *(?:[0-9]+\) |-{6,}$)"},
    losses=("# entries-in-buffer/entries-written: {kept:d}/{written:d}{any}", *_LOST_OF_CPU),
)
TRACE_CMD = KernelText(
    heads=(TRACER_HEAD, *LATENCY_HEADS),
    auxiliary=_NOTHING
    | _TRACER_FRAMES
    | {
        "": r"^\s*$|^#|^CPU [0-9]+ is empty$|^ *cpus=[0-9]+$|^version = ",
        "messages of trace-cmd": r"^ *(?:overriding event |trace-cmd: |[Ww]arning: |\S+\.dat\S*:?$)",
    },
    losses=(*_LOST_OF_CPU, *(f"{{any}}: {form}" for form in _LOST_OF_CPU)),
)
BPFTRACE = KernelText(
    heads=(PERF_HEAD,),
    auxiliary=_NOTHING | {"messages of bpftrace": r"^Attach(?:ing|ed) [0-9]+ probes?|^@|^(?:WARNING|stdin):"},
    losses=("{any}Lost {count:d} events{any}",),
)
