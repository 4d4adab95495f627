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
-- column: lock_wait_us (us); of it, spinning for the lock, each time it was taken
-- column: hold_us (us); of it, holding the lock, each time it was taken
-- column: asleep_us (us); of it, asleep for a slot
-- column: rest_us (us); the rest of it: ready without a CPU, switches and code without the lock
-- column: pin_wait_us (us); time ready but waiting for the CPU it was pinned to, unmap included
-- column: scanned (slots); slots passed over by its own scans
-- column: holder; task that held the lock it waited for longest
-- column: flush_op; operation whose flush under the lock it waited for longest
-- reads: operations, relock
-- The shortest of the longest comes first, so that only the few rows above it are ranked and read whole.
WITH least AS (
    SELECT
        run,
        list_min(max(mapped_ns - asked_ns, greatest($top, 1))) AS least_ns
    FROM operations
    GROUP BY run
),

chosen AS (
    SELECT
        o.run,
        o.op
    FROM operations AS o
    INNER JOIN least ON o.run = least.run AND o.mapped_ns - o.asked_ns >= least.least_ns
    WHERE o.mapped_ns > o.asked_ns
    QUALIFY row_number() OVER (PARTITION BY o.run ORDER BY o.mapped_ns - o.asked_ns DESC, o.op) <= $top
),

slowest AS (
    SELECT
        o.*,
        o.mapped_ns - o.asked_ns AS map_ns
    FROM operations AS o
    SEMI JOIN chosen AS c ON o.run = c.run AND o.op = c.op
),

-- A map that slept took the lock again.
again AS (
    SELECT
        run,
        op,
        sum(value) AS wait_ns,
        sum(duration_ns) AS hold_ns
    FROM events
    WHERE event = 'relock' AND slot = 0
    GROUP BY run, op
),

locked AS (
    SELECT
        s.*,
        s.map_wait_ns + coalesce(a.wait_ns, 0) AS lock_wait_ns,
        s.map_hold_ns + coalesce(a.hold_ns, 0) AS hold_ns
    FROM slowest AS s
    LEFT JOIN again AS a ON s.run = a.run AND s.op = a.op
)

SELECT
    run,
    op,
    asked_ns / 1e6 AS asked_ms,
    task,
    cpu_map AS cpu,
    kind,
    page,
    served,
    map_ns / 1e3 AS map_us,
    lock_wait_ns / 1e3 AS lock_wait_us,
    hold_ns / 1e3 AS hold_us,
    asleep_ns / 1e3 AS asleep_us,
    (map_ns - lock_wait_ns - hold_ns - asleep_ns) / 1e3 AS rest_us,
    pin_wait_ns / 1e3 AS pin_wait_us,
    scanned,
    holder,
    flush_op
FROM locked
ORDER BY run, map_us DESC, op
