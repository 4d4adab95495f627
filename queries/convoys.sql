-- question: How much time do lock convoys take, and do flushes start them?
-- param: waiters = 4; number of CPUs spinning at the same time that makes a convoy
-- column: run; name of the run
-- column: convoys; number of convoys
-- column: convoy_percent (%); share of wall time spent in convoys
-- column: mean_us (us); mean duration
-- column: max_us (us); longest duration
-- column: after_flush_percent (%); share of convoys that began during a flush or the scan before it
-- reads: operations, relock, flush, scan
WITH edges AS (
    SELECT
        run,
        time_ns,
        level >= $waiters AS inside
    FROM spinning
    WHERE (level >= $waiters) <> (before >= $waiters)
),

convoys AS (
    SELECT
        run,
        inside,
        time_ns,
        lead(time_ns) OVER (PARTITION BY run ORDER BY time_ns) - time_ns AS length_ns
    FROM edges
),

busy AS (
    SELECT
        run,
        time_ns,
        time_ns + duration_ns AS until_ns
    FROM flushes
    UNION ALL
    SELECT
        run,
        time_ns,
        time_ns + duration_ns AS until_ns
    FROM scans
),

started AS (
    SELECT
        c.run,
        c.length_ns,
        coalesce(b.until_ns >= c.time_ns, false) AS after_flush
    FROM convoys AS c
    ASOF LEFT JOIN busy AS b ON c.run = b.run AND c.time_ns >= b.time_ns
    WHERE c.inside
)

SELECT
    runs.run,
    count(started.length_ns) AS convoys,
    coalesce(100.0 * sum(started.length_ns) / nullif(max(runs.wall_ns), 0), 0) AS convoy_percent,
    avg(started.length_ns) / 1e3 AS mean_us,
    max(started.length_ns) / 1e3 AS max_us,
    100.0 * count(*) FILTER (WHERE started.after_flush) / nullif(count(started.length_ns), 0)
        AS after_flush_percent
FROM runs
LEFT JOIN started ON runs.run = started.run
-- A recording does not show which tasks spun.
WHERE runs.events = 'full' AND runs.provenance = 'simulated'
GROUP BY runs.run
ORDER BY runs.run
