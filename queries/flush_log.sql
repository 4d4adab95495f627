-- question: What did each flush bring, how long did it take, and who waited for it?
-- param: top = 50; flushes for each run: those that were waited for longest, then the longest
-- param: from_ms = 0.0; only flushes that began then or later
-- param: to_ms = 1e12; only flushes that began before
-- column: run; name of the run
-- column: time_ms (ms); when it began, in simulated time
-- column: duration_us (us); from the first IPI to the slowest answer
-- column: cpus_interrupted (CPUs); CPUs that had to answer
-- column: op; operation in whose course it happened
-- column: task; task that flushed
-- column: cpu; CPU it ran on
-- column: kind; what asked for the mapping
-- column: scanned (slots); slots passed over by that operation's scan before it; NULL: none was made
-- column: freed (slots); slots that this scan freed
-- column: waiters; operations that waited for the lock longest because of this operation's flush
-- column: wait_ms (ms); how long they waited for the lock, map and unmap, all together
-- reads: operations, flush, scan
WITH chosen AS (
    SELECT
        f.*,
        s.scanned,
        s.freed
    FROM flushes AS f
    ASOF LEFT JOIN scans AS s ON f.run = s.run AND f.op = s.op AND f.time_ns >= s.time_ns
    WHERE f.time_ns >= $from_ms * 1e6 AND f.time_ns < $to_ms * 1e6
),

waiting AS (
    SELECT
        run,
        flush_op,
        count(*) AS waiters,
        sum(map_wait_ns + unmap_wait_ns) AS wait_ns
    FROM operations
    WHERE flush_op IS NOT NULL
    GROUP BY run, flush_op
),

ranked AS (
    SELECT
        c.*,
        w.wait_ns,
        coalesce(w.waiters, 0) AS waiters
    FROM chosen AS c
    LEFT JOIN waiting AS w ON c.run = w.run AND c.op = w.flush_op
    QUALIFY
        row_number() OVER (
            PARTITION BY c.run ORDER BY coalesce(w.wait_ns, 0) DESC, c.duration_ns DESC, c.time_ns, c.op
        ) <= $top
)

SELECT
    r.run,
    r.time_ns / 1e6 AS time_ms,
    r.duration_ns / 1e3 AS duration_us,
    r.cpus_interrupted,
    r.op,
    r.task,
    r.cpu,
    o.kind,
    r.scanned,
    r.freed,
    CASE WHEN runs.provenance = 'simulated' THEN r.waiters END AS waiters,
    CASE WHEN runs.provenance = 'simulated' THEN coalesce(r.wait_ns, 0) / 1e6 END AS wait_ms
FROM ranked AS r
INNER JOIN runs ON r.run = runs.run
LEFT JOIN operations AS o ON r.run = o.run AND r.op = o.op
ORDER BY r.run, time_ms, r.op
