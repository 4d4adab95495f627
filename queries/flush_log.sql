-- question: What did each flush free, how long did it take, and which operations waited for it?
-- param: top = 50; number of flushes per run: those with the longest total wait, then the longest
-- param: from_ms = 0.0; include only flushes that began at or after this time
-- param: to_ms = 1e12; include only flushes that began before this time
-- column: run; name of the run
-- column: time_ms (ms); start, in simulated time
-- column: duration_us (us); time from the first IPI to the last acknowledgement
-- column: cpus_interrupted (CPUs); CPUs interrupted
-- column: op; operation that flushed
-- column: task; task that flushed
-- column: cpu; CPU that flushed
-- column: kind; kernel operation that requested the mapping
-- column: scanned (slots); slots scanned by this operation before the flush; NULL: no scan
-- column: freed (slots); slots freed by this scan
-- column: waiters; operations whose longest wait for the lock was due to this flush
-- column: wait_ms (ms); total lock wait of these operations, map and unmap
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
