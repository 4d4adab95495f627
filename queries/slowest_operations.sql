-- question: Which operations took longest to map, and why?
-- param: top = 5; number of operations per run
-- column: run; name of the run
-- column: op; operation (row of the trace)
-- column: asked_ms (ms); time of the request
-- column: task; task number
-- column: cpu; CPU that mapped the page
-- column: kind; kernel operation that requested the mapping
-- column: page; page number
-- column: served; hit, miss or other outcome
-- column: map_us (us); time from request to mapped
-- column: lock_wait_us (us); part spent spinning on locks
-- column: hold_us (us); part spent holding locks
-- column: asleep_us (us); part spent asleep for a slot, from the release of the lock
-- column: rest_us (us); remainder: waiting for a CPU, context switches and code outside the lock
-- column: pin_wait_us (us); time ready but waiting for the pinned CPU, including the unmap
-- column: scanned (slots); slots scanned
-- column: holder; task that held the lock during most of the longest wait
-- column: flush_op; operation whose flush under the lock caused most of the longest wait
-- reads: operations, relock, sleep
-- The longest maps of the $top tasks with the longest maps give a lower limit. Only operations above it are
-- ranked and read in full. In runs with fewer tasks, all operations are ranked.
WITH least AS MATERIALIZED (
    SELECT
        run,
        CASE WHEN count(*) >= $top THEN list_min(max(map_max_ns, greatest($top, 1))) ELSE 1 END AS least_ns
    FROM task_totals
    GROUP BY run
),

chosen AS MATERIALIZED (
    SELECT
        o.run,
        o.op
    FROM operations AS o
    INNER JOIN least ON o.run = least.run AND o.mapped_ns - o.asked_ns >= least.least_ns
    WHERE o.mapped_ns - o.asked_ns >= (SELECT greatest(min(l.least_ns), 1) FROM least AS l)
    QUALIFY row_number() OVER (PARTITION BY o.run ORDER BY o.mapped_ns - o.asked_ns DESC, o.op) <= $top
),

slowest AS MATERIALIZED (
    SELECT
        o.*,
        o.mapped_ns - o.asked_ns AS map_ns
    FROM operations AS o
    SEMI JOIN chosen AS c ON o.run = c.run AND o.op = c.op
),

-- A map that slept takes the lock again.
again AS MATERIALIZED (
    SELECT
        e.run,
        e.op,
        e.time_ns,
        e.wait_ns,
        e.duration_ns AS hold_ns
    FROM events AS e
    SEMI JOIN chosen AS c ON e.run = c.run AND e.op = c.op
    WHERE e.event = 'relock' AND e.site = 0
),

holds AS (
    SELECT
        run,
        op,
        locked_ns AS time_ns,
        map_wait_ns AS wait_ns,
        map_hold_ns AS hold_ns
    FROM slowest
    UNION ALL
    FROM again
),

locked AS (
    SELECT
        run,
        op,
        sum(wait_ns) AS lock_wait_ns,
        sum(hold_ns) AS hold_ns
    FROM holds
    GROUP BY run, op
),

-- In the log a sleep begins with the release of the lock. A release delayed by spinners counts as hold.
releasing AS (
    SELECT
        h.run,
        h.op,
        sum(least(s.time_ns + s.duration_ns, h.time_ns + h.hold_ns) - s.time_ns) AS ns
    FROM sleeps AS s
    INNER JOIN holds AS h
        ON s.run = h.run AND s.op = h.op AND s.time_ns >= h.time_ns AND s.time_ns < h.time_ns + h.hold_ns
    GROUP BY h.run, h.op
),

parts AS (
    SELECT
        s.*,
        l.lock_wait_ns,
        l.hold_ns,
        s.asleep_ns - coalesce(r.ns, 0) AS slept_ns
    FROM slowest AS s
    INNER JOIN locked AS l ON s.run = l.run AND s.op = l.op
    LEFT JOIN releasing AS r ON s.run = r.run AND s.op = r.op
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
    slept_ns / 1e3 AS asleep_us,
    (map_ns - lock_wait_ns - hold_ns - slept_ns) / 1e3 AS rest_us,
    pin_wait_ns / 1e3 AS pin_wait_us,
    scanned,
    holder,
    flush_op
FROM parts
ORDER BY run, map_us DESC, op
