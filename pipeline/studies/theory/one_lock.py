"""The smallest queue there is: a map takes the lock, touches shared entries, and releases it.

With `hold=fixed` it touches one entry, so a run is a single server with a constant service time. With
`hold=page` it touches as many entries as the page's number says: where an entry costs 1 ns, the trace gives
each hold in its column of pages, in ns, and the service time has whatever distribution that column has.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import DIRECT, DONE, LOCK, UNLOCK, touch
from pipeline.allocators.api.contract import Option
from pipeline.jit.marks import inline

SUMMARY = "one lock whose hold is fixed, or given by the page"
OPTIONS = (Option("hold", "fixed", choices=("fixed", "page"), help="entries touched: 1, or the page number"),)


@inline
def map_step(a: Any, r: Any, d: Any) -> int:
    """Lock, touch, release."""
    r.step += 1
    if r.step == 1:
        return LOCK
    if r.step == 2:
        touch(d, r.page if a.options[0].hold == 1 else 1)
        return UNLOCK
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Nothing to undo."""
    return DONE
