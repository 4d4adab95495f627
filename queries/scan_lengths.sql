-- question: How many slots does a scan visit, and how long does it take?
-- column: run; name of the run
-- column: scans; scans of the pool
-- column: slots_mean (slots); slots scanned, mean
-- column: slots_min (slots); slots scanned, fewest
-- column: slots_p50 (slots); slots scanned, median
-- column: slots_p99 (slots); slots scanned, 99th percentile
-- column: slots_max (slots); slots scanned, most
-- column: freed_mean (slots); slots freed per scan, mean
-- column: duration_mean_us (us); mean duration of a scan
-- column: duration_max_us (us); longest scan
-- reads: totals, scan
WITH histogram AS (
    SELECT
        run,
        NULL AS part,
        scanned AS value,
        count(*) AS n
    FROM scans
    WHERE scanned IS NOT NULL
    GROUP BY run, scanned
),

durations AS (
    SELECT
        run,
        avg(duration_ns) AS mean_ns,
        max(duration_ns) AS max_ns
    FROM scans
    GROUP BY run
)

-- Counts and means come from the totals, so they are available for runs without a log.
SELECT
    runs.run,
    runs.scans,
    1.0 * runs.scanned / runs.scans AS slots_mean,
    q.least AS slots_min,
    q.p50 AS slots_p50,
    q.p99 AS slots_p99,
    q.most AS slots_max,
    1.0 * runs.freed / runs.scans AS freed_mean,
    durations.mean_ns / 1e3 AS duration_mean_us,
    durations.max_ns / 1e3 AS duration_max_us
FROM runs
LEFT JOIN quantiles('histogram') AS q ON runs.run = q.run
LEFT JOIN durations ON runs.run = durations.run
WHERE runs.scans > 0
ORDER BY runs.run
