-- question: How long does it take to flush and return areas, and who does it?
-- column: run; name of the run
-- column: who; worker, or task: the task that unmaps, within its unmap
-- column: drains; number of runs of the worker, or of unmaps that flush
-- column: per_second (1/s); drains per second of simulated time
-- column: mean_us (us); mean duration
-- column: max_us (us); longest duration
-- column: delay_mean_us (us); from the wake-up of the worker to its first step, mean; NULL: no worker
-- column: areas_mean; areas that a scan returns, mean; NULL: nothing is scanned
-- reads: operations, flush, scan, work
-- Only for designs with several pages in a mapping: those that name their locks.
WITH drains AS (
    SELECT
        run,
        op,
        'worker' AS who,
        duration_ns,
        value AS delay_ns
    FROM events
    WHERE event = 'work'
    UNION ALL
    SELECT DISTINCT
        o.run,
        o.op,
        'task' AS who,
        o.done_ns - o.unmap_asked_ns AS duration_ns,
        NULL AS delay_ns
    FROM operations AS o
    INNER JOIN flushes AS f ON o.run = f.run AND o.op = f.op AND o.unmap_asked_ns <= f.time_ns
),

returned AS (
    SELECT
        run,
        avg(freed) AS areas_mean
    FROM scans
    GROUP BY run
)

SELECT
    d.run,
    d.who,
    count(*) AS drains,
    1e9 * count(*) / any_value(r.wall_ns) AS per_second,
    avg(d.duration_ns) / 1e3 AS mean_us,
    max(d.duration_ns) / 1e3 AS max_us,
    avg(d.delay_ns) / 1e3 AS delay_mean_us,
    any_value(s.areas_mean) AS areas_mean
FROM drains AS d
INNER JOIN runs AS r ON d.run = r.run
LEFT JOIN returned AS s ON d.run = s.run
WHERE d.run IN (SELECT c.run FROM lock_classes AS c)
GROUP BY d.run, d.who
ORDER BY d.run, d.who
