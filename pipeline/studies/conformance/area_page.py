"""The section of docs/validation.md on recordings of a kernel's vmalloc, with figures measured for it."""

from __future__ import annotations

from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.io.tables import markdown_table
from pipeline.studies.conformance.agreement import Agreement
from pipeline.studies.conformance.area_lockstep import verify_areas

RECORDING = "stacks-and-bpf"
MANY_CPUS = "eight-cpus"
DESIGNS: tuple[tuple[str, dict[str, str]], ...] = (("vmap_lazy", {"drain": "worker"}), ("vmap_nodes", {}))


def write_areas() -> str:
    """Return the section as Markdown, which takes seconds."""
    recordings = RECORDING, MANY_CPUS
    found = {
        (recording, name): _verify(recording, name, options)
        for recording in recordings
        for name, options in DESIGNS
    }
    what = list(dict.fromkeys(key for agreement in found.values() for key in agreement.compared))
    rows = [[key, *(f"{agreement.compared[key]:,}" for agreement in found.values())] for key in what]
    rows.append(
        ["**differences**", *(f"**{agreement.differing.total():,}**" for agreement in found.values())]
    )
    head = [f"{recording}, {agreement.allocator}" for (recording, _), agreement in found.items()]
    unknown = "".join(
        f"- {recording}, {key}: {why}\n"
        for recording in recordings
        for key, why in found[recording, DESIGNS[0][0]].lost.items()
    )
    caller = _verify(RECORDING, "vmap_lazy", {"drain": "caller"})
    return f"""## Lock-step against a kernel's vmalloc

`pipeline study kernel {RECORDING} --allocator NAME` replays a recording of the areas of a stock kernel
(Linux 6.18, 64 bits, 2 CPUs), and `{MANY_CPUS}` one of Debian's 6.12 in an emulated machine with 8 CPUs. The
design is told the address of each map. Frees take effect in the order in which the kernel counted them. Each
purge collects areas that explain its number, its range and the pages that it returned. No costs and no random
draws are involved.

{markdown_table(["compared", *head], rows)}
Not compared:

{unknown}
With `drain=caller`, the unmap itself purges, and {caller.differing.total():,} comparisons of {RECORDING}
differ. The first difference is: {caller.differences[0].line()}.

[Recording](recording.md#a-kernels-vmalloc) describes what is compared and what the kernel's code leaves open.
`tests/studies/conformance/test_area_lockstep.py` covers more with a model of the kernel: other causes of
purges, late and lost events, starts in the middle, lists collected at different moments, up to 16 CPUs. It
detects broken copies of the designs, each with one error, with the model and with `{MANY_CPUS}`.
"""


def _verify(recording: str, design: str, options: dict[str, str]) -> Agreement:
    return verify_areas(recording_path(recording), allocator=design, options=options)
