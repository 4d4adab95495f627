-- question: Which operations took longest to get their mapping, and why?
-- param: top = 5; operations for each run
-- column: run; name of the run
-- column: op; row of the trace
-- column: asked_ms (ms); when it asked
-- column: task; thread
-- column: cpu; CPU that mapped
-- column: kind; what asked for the mapping
-- column: page; mapped page
-- column: served; how it was served
-- column: map_us (us); from asking to having the mapping
-- column: lock_wait_us (us); of it, spinning for the map's first lock
-- column: hold_us (us); hold of the map's first lock
-- column: asleep_us (us); time asleep for a slot
-- column: pin_wait_us (us); time ready but waiting for the CPU it was pinned to, unmap included
-- column: scanned (slots); slots passed over by its own scans
-- column: holder; task that held the lock it waited for longest
-- column: flush_op; operation whose flush under the lock it waited for longest
-- reads: operations
SELECT
    run,
    op,
    asked_ns / 1e6 AS asked_ms,
    task,
    cpu_map AS cpu,
    kind,
    page,
    served,
    (mapped_ns - asked_ns) / 1e3 AS map_us,
    map_wait_ns / 1e3 AS lock_wait_us,
    map_hold_ns / 1e3 AS hold_us,
    asleep_ns / 1e3 AS asleep_us,
    pin_wait_ns / 1e3 AS pin_wait_us,
    scanned,
    holder,
    flush_op
FROM operations
QUALIFY row_number() OVER (PARTITION BY run ORDER BY mapped_ns - asked_ns DESC, op) <= $top
ORDER BY run, map_us DESC, op
