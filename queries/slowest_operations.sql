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
-- The shortest of the longest comes first, so that only the few rows above it are ranked.
WITH least AS (
    SELECT
        run,
        list_min(max(mapped_ns - asked_ns, greatest($top, 1))) AS least_ns
    FROM operations
    GROUP BY run
)

SELECT
    o.run,
    o.op,
    o.asked_ns / 1e6 AS asked_ms,
    o.task,
    o.cpu_map AS cpu,
    o.kind,
    o.page,
    o.served,
    (o.mapped_ns - o.asked_ns) / 1e3 AS map_us,
    o.map_wait_ns / 1e3 AS lock_wait_us,
    o.map_hold_ns / 1e3 AS hold_us,
    o.asleep_ns / 1e3 AS asleep_us,
    o.pin_wait_ns / 1e3 AS pin_wait_us,
    o.scanned,
    o.holder,
    o.flush_op
FROM operations AS o
INNER JOIN least ON o.run = least.run AND o.mapped_ns - o.asked_ns >= least.least_ns
QUALIFY row_number() OVER (PARTITION BY o.run ORDER BY o.mapped_ns - o.asked_ns DESC, o.op) <= $top
ORDER BY o.run, map_us DESC, o.op
